"""The command line."""

import json
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from broker.app import make_app
from fleet import options as o
from fleet.audit import audit
from fleet.bench import bench
from fleet.dead import dead
from fleet.demo import clips_in, free_folder, show
from fleet.described import Kind, RecipesAnswer, described
from fleet.doctor import examine
from fleet.estimate_command import plan
from fleet.exporter import metrics
from fleet.flower import flower
from fleet.latest import read
from fleet.local import captioning
from fleet.options import opened
from fleet.proof import CheckFile, Papers, ProofFile, proof_of
from fleet.proven import keep_proof
from fleet.reads import reads_of
from fleet.report import print_audit, print_reads, print_status, say
from fleet.running import EXIT_FAILED, EXIT_SOME_DEAD, err, out, run
from fleet.spoken import speak_as_asked, traced
from fleet.status import status_of
from fleet.steering import add_steering
from fleet.torture.command import torture
from schemas.errors import FleetError
from schemas.model import Model
from storage import StoreError
from workers.settings import read_settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Caption the keyframes of a billion videos."
)
app.add_typer(dead, name="dead")
app.add_typer(bench, name="bench")


@app.command()
@o.asks
def caption(asked: o.Asked, workers: o.Workers = None, openai_url: o.OpenAiUrl = None, openai_model: o.OpenAiModel = None) -> None:
    """Caption a source on this machine, from the first file to the audit. Run it again to go on where it stopped.

    Exit status: 0 all captioned, 3 some videos or frames are dead letters, 1 failed, 130 interrupted.
    """
    job, spec = asked.job()
    env = o.engine_env(asked.engine, openai_url=openai_url, openai_model=openai_model)
    run(job, captioning(job, spec, partial(say, err)), workers=o.workers_for(asked.engine, workers), env=env)


@app.command()
def demo(
    videos: Annotated[str | None, typer.Argument(help="Your videos; clips are made if left out.")] = None,
    folder: Annotated[Path, typer.Option("--in", help="Folder for clips and captions.")] = Path("demo"),
    workers: o.Workers = None,
) -> None:
    """Try the whole fleet on this machine: clips, captions, audit, and a look at a record."""
    source = videos or str(clips_in(folder / "clips"))
    asked = o.Asked(sources=[source], dest=str(free_folder(folder)), engine="opencv")
    job, spec = asked.job()
    err.print(f"framefleet caption {source} --out {asked.dest}", soft_wrap=True)
    try:
        run(
            job,
            captioning(job, spec, partial(say, err)),
            workers=o.workers_for("opencv", workers),
            env=o.engine_env("opencv", openai_url=None, openai_model=None),
        )
    except typer.Exit as ended:
        if ended.exit_code not in {0, EXIT_SOME_DEAD}:
            raise
    if videos is None:
        out.print("  (broken.mp4 was cut in half on purpose, to show a dead letter)", soft_wrap=True)
    show(out, job)


add_steering(app)
app.command()(read)
app.command()(torture)
app.command()(plan)
app.command()(metrics)
app.command()(flower)


@app.command()
def worker(
    engine: o.Engine = "opencv",
    broker: Annotated[str | None, typer.Option("--broker", help="Broker URL.", envvar="FRAMEFLEET_BROKER_URL")] = None,
    recipe: o.WorkerRecipe = None,
    openai_url: o.OpenAiUrl = None,
    openai_model: o.OpenAiModel = None,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Work shards from a broker until told to stop (SIGTERM finishes what is begun). More settings: FRAMEFLEET_* variables."""
    o.use_storage(endpoint_url, profile)
    o.use_worker(o.engine_env(engine, openai_url=openai_url, openai_model=openai_model, recipe=recipe), broker)
    from workers.app import app as celery_app  # noqa: PLC0415 - reads the environment that was just set
    from workers.app import leave, settings  # noqa: PLC0415

    celery_app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=threads",
            f"--concurrency={settings.shards_at_once}",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=WARNING",
            f"--hostname={o.worker_name()}",
        ]
    )
    leave()


@app.command()
def status(
    job: o.JobUrl,
    broker: Annotated[str | None, typer.Option("--broker", help="Ask this broker too.", envvar="FRAMEFLEET_BROKER_URL")] = None,
    reads: Annotated[bool, typer.Option("--reads", help="List what was read of each video, out of its lines.")] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Look at every shard, however many there are.")] = False,
    as_json: o.AsJson = False,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Say how far a job is."""
    where = opened(job, endpoint_url, profile)
    if reads:
        print_models(reads_of(where)) if as_json else print_reads(out, reads_of(where))
        return
    found = status_of(where, make_app(broker) if broker else None, exact=exact)
    print_model(found) if as_json else print_status(out, found)


@app.command("audit")
def audit_command(
    job: o.JobUrl,
    proof: ProofFile = None,
    check: CheckFile = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the result with the job, for metrics to tell of.")] = False,
    as_json: o.AsJson = False,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Prove from storage alone that every planned frame has one line or a dead letter. Exit status 0 only if so."""
    place = opened(job, endpoint_url, profile)
    papers = Papers(proof, check)
    report = audit(place)
    print_model(report) if as_json else print_audit(out, report)
    found = proof_of(place, report)
    if keep:
        keep_proof(place, found)
    same = papers.settle(found, say=partial(say, err))
    raise typer.Exit(0 if report.complete and report.clean and same else EXIT_FAILED)


@app.command()
def doctor(
    store: Annotated[str | None, typer.Argument(help="An output prefix to try, such as s3://bucket/prefix.")] = None,
    broker: Annotated[str | None, typer.Option("--broker", help="A broker to try.", envvar="FRAMEFLEET_BROKER_URL")] = None,
    engine: o.Engine = "opencv",
    recipe: o.WorkerRecipe = None,
    openai_url: o.OpenAiUrl = None,
    openai_model: o.OpenAiModel = None,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Try the parts of a fleet: versions, broker, store with conditional creation, decoder and engine."""
    o.use_storage(endpoint_url, profile)
    o.use_worker(o.engine_env(engine, openai_url=openai_url, openai_model=openai_model, recipe=recipe), broker)
    well = True
    for finding in examine(broker_url=broker, store_url=None if store is None else o.absolute(store), settings=read_settings()):
        out.print(f"{'ok ' if finding.well else 'ILL'} {finding.part}: {finding.seen}", soft_wrap=True)
        well = well and finding.well
    raise typer.Exit(0 if well else EXIT_FAILED)


@app.command()
def schema(kind: Kind, recipe: RecipesAnswer = None) -> None:
    """Print the JSON Schema of what the fleet writes and reads."""
    sys.stdout.write(json.dumps(described(kind, recipe), indent=2) + "\n")


def print_models(models: Iterable[Model]) -> None:
    """Print models as one JSON array."""
    sys.stdout.write(json.dumps([model.model_dump(mode="json") for model in models], indent=2) + "\n")


def print_model(model: Model) -> None:
    """Print a model as JSON, for scripts."""
    sys.stdout.write(model.model_dump_json(indent=2) + "\n")


def main() -> None:
    """Run the command line; what goes wrong is said in a sentence or two."""
    try:
        speak_as_asked(err)
        with traced(sys.argv[1:]):
            app()
    except (FleetError, StoreError) as error:
        err.print(f"framefleet: {error}", soft_wrap=True)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
