"""The command line."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from broker.app import make_app
from broker.queues import ShardQueue
from fleet import options as o
from fleet.audit import audit
from fleet.bench import bench
from fleet.deadletters import Choice, find_letter, live_letters, redrives
from fleet.demo import clips_in, free_folder, show
from fleet.described import Kind, RecipesAnswer, described
from fleet.doctor import examine
from fleet.local import Interrupted, run_here
from fleet.reads import reads_of
from fleet.report import print_audit, print_letter, print_letters, print_reads, print_status
from fleet.status import status_of
from fleet.view import View
from producer.enqueue import WINDOW, feed
from producer.plan import plan
from producer.sources import open_source
from schemas.errors import FleetError
from schemas.job import JobSpec
from schemas.model import Model
from schemas.reasons import Reason
from schemas.task import ShardTask
from storage import StoreError
from storage.job import Job, open_job
from workers.settings import EngineName, read_settings

EXIT_FAILED, EXIT_SOME_DEAD, EXIT_INTERRUPTED = 1, 3, 130

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Caption the keyframes of a billion videos."
)
dead = typer.Typer(no_args_is_help=True, help="What could not be captioned, why, and trying it again.")
app.add_typer(dead, name="dead")
app.add_typer(bench, name="bench")
out, err = (Console(markup=False, emoji=False, highlight=False, stderr=stderr) for stderr in (False, True))

Reasons = Annotated[list[Reason] | None, typer.Option("--reason", help="Only letters with this reason; may be repeated.")]
Video = Annotated[str, typer.Option("--video", help="Only letters of videos whose URI matches this glob.")]
AtMost = Annotated[int, typer.Option("--limit", help="At most so many; 0 is no limit.", min=0)]


@app.command()
@o.asks
def caption(asked: o.Asked, workers: o.Workers = None, openai_url: o.OpenAiUrl = None, openai_model: o.OpenAiModel = None) -> None:
    """Caption a source on this machine, from the first file to the audit. Run it again to go on where it stopped.

    Exit status: 0 all captioned, 3 some videos or frames are dead letters, 1 failed, 130 interrupted.
    """
    job, spec = asked.job()
    env = o.engine_env(asked.engine, openai_url=openai_url, openai_model=openai_model)
    run(job, planned(job, spec), workers=o.workers_for(asked.engine, workers), env=env)


@app.command()
def demo(
    videos: Annotated[str | None, typer.Argument(help="Your videos; clips are made if left out.")] = None,
    folder: Annotated[Path, typer.Option("--in", help="Folder for clips and captions.")] = Path("demo"),
    workers: o.Workers = None,
) -> None:
    """Try the whole fleet on this machine: clips, captions, audit, and a look at a record."""
    source = videos or str(clips_in(folder / "clips"))
    asked = o.Asked(source=source, dest=str(free_folder(folder)), engine="opencv")
    job, spec = asked.job()
    err.print(f"framefleet caption {source} --out {asked.dest}", soft_wrap=True)
    try:
        run(
            job,
            planned(job, spec),
            workers=o.workers_for("opencv", workers),
            env=o.engine_env("opencv", openai_url=None, openai_model=None),
        )
    except typer.Exit as ended:
        if ended.exit_code not in {0, EXIT_SOME_DEAD}:
            raise
    if videos is None:
        out.print("  (broken.mp4 was cut in half on purpose, to show a dead letter)", soft_wrap=True)
    show(out, job)


def planned(job: Job, spec: JobSpec) -> Iterable[ShardTask]:
    """The shards of a job's plan, planned as they are asked for."""
    return (task for part in plan(job, spec, lambda: open_source(spec.source, spec.selection)) for task in part.shards)


def run(job: Job, tasks: Iterable[ShardTask], *, workers: int, env: dict[str, str]) -> None:
    """Work a job to its end on this machine and say how it ended."""
    with View(err) as view:
        try:
            report = run_here(job, tasks, workers=workers, env=env, view=view)
        except Interrupted:
            view.say("Stopped. Nothing is lost: run the same command again to go on from here.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
    print_audit(out, report)
    if not (report.complete and report.clean):
        raise typer.Exit(EXIT_FAILED)
    raise typer.Exit(EXIT_SOME_DEAD if report.dead_videos or report.dead_frames else 0)


@app.command()
@o.asks
def launch(
    asked: o.Asked,
    broker: o.Broker,
    window: Annotated[int, typer.Option(help="Shards that wait in the queue at most.", min=1)] = WINDOW,
) -> None:
    """Plan a source and keep a fleet's queue fed until everything is enqueued. Run it again to go on where it stopped."""
    job, spec = asked.job()
    sent = feed(planned(job, spec), job=job, queue=ShardQueue(make_app(broker)), stopped=lambda: False, window=window)
    err.print(f"{sent} shards enqueued; watch them with: framefleet status {job.url} --broker {o.without_password(broker)}", soft_wrap=True)


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
    from workers.app import exit_status, settings  # noqa: PLC0415

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
    raise typer.Exit(exit_status())


@app.command()
def status(
    job: o.JobUrl,
    broker: Annotated[str | None, typer.Option("--broker", help="Ask this broker too.", envvar="FRAMEFLEET_BROKER_URL")] = None,
    reads: Annotated[bool, typer.Option("--reads", help="List what was read of each video, out of its lines.")] = False,
    as_json: o.AsJson = False,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Say how far a job is."""
    where = opened(job, endpoint_url, profile)
    if reads:
        print_models(reads_of(where)) if as_json else print_reads(out, reads_of(where))
        return
    found = status_of(where, make_app(broker) if broker else None)
    print_model(found) if as_json else print_status(out, found)


@app.command("audit")
def audit_command(job: o.JobUrl, as_json: o.AsJson = False, endpoint_url: o.Endpoint = None, profile: o.Profile = None) -> None:
    """Prove from storage alone that every planned frame has one line or a dead letter. Exit status 0 only if so."""
    report = audit(opened(job, endpoint_url, profile))
    print_model(report) if as_json else print_audit(out, report)
    raise typer.Exit(0 if report.complete and report.clean else EXIT_FAILED)


@dead.command("list")
def dead_list(
    job: o.JobUrl,
    reason: Reasons = None,
    video: Video = "",
    limit: AtMost = 0,
    as_json: o.AsJson = False,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """List the dead letters that stand."""
    letters = live_letters(opened(job, endpoint_url, profile), Choice(tuple(reason or ()), video, limit))
    if as_json:
        sys.stdout.write(json.dumps([{"key": key, **letter.model_dump(mode="json")} for key, letter in letters], indent=2) + "\n")
    else:
        print_letters(out, letters)


@dead.command("show")
def dead_show(
    job: o.JobUrl,
    letter: Annotated[str, typer.Argument(help="A letter's key, or a part of it or of its video's URI.")],
    as_json: o.AsJson = False,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Show one dead letter."""
    key, found = find_letter(opened(job, endpoint_url, profile), letter)
    print_model(found) if as_json else print_letter(out, key, found)


@dead.command("redrive")
def dead_redrive(
    job: o.JobUrl,
    reason: Reasons = None,
    video: Video = "",
    limit: AtMost = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be tried.")] = False,
    broker: Annotated[str | None, typer.Option("--broker", help="Send to this fleet; on this machine if left out.")] = None,
    engine: Annotated[EngineName | None, typer.Option(help="What captions the frames on this machine.", envvar="FRAMEFLEET_ENGINE")] = None,
    workers: o.Workers = None,
    openai_url: o.OpenAiUrl = None,
    openai_model: o.OpenAiModel = None,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Try dead letters again. A redrive that succeeds supersedes its letter."""
    place = opened(job, endpoint_url, profile)
    tasks = redrives(place, Choice(tuple(reason or ()), video, limit))
    for task in tasks if dry_run else ():
        out.print(f"would try {task.videos[0].uri} as {task.shard_id}", soft_wrap=True)
    if dry_run or not tasks:
        err.print(f"{len(tasks)} videos to try.")
        return
    for task in tasks:
        place.ask_redrive(task)
    if broker:
        feed(tasks, job=place, queue=ShardQueue(make_app(broker)), stopped=lambda: False)
        err.print(f"{len(tasks)} videos sent.")
    else:
        chosen = engine or o.engine_for(place.spec().recipe)
        env = o.engine_env(chosen, openai_url=openai_url, openai_model=openai_model)
        run(place, tasks, workers=o.workers_for(chosen, workers), env=env)


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


def opened(job: str, endpoint_url: str | None, profile: str | None) -> Job:
    """Open a job that must be there."""
    o.use_storage(endpoint_url, profile)
    place = open_job(o.absolute(job))
    place.spec()
    return place


def print_models(models: Iterable[Model]) -> None:
    """Print models as one JSON array."""
    sys.stdout.write(json.dumps([model.model_dump(mode="json") for model in models], indent=2) + "\n")


def print_model(model: Model) -> None:
    """Print a model as JSON, for scripts."""
    sys.stdout.write(model.model_dump_json(indent=2) + "\n")


def main() -> None:
    """Run the command line; what goes wrong is said in a sentence or two."""
    try:
        app()
    except (FleetError, StoreError) as error:
        err.print(f"framefleet: {error}", soft_wrap=True)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
