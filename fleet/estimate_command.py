"""The command that says what a job is likely to be and to cost, before it is begun."""

import json
import sys
from typing import Annotated

import typer

from fleet import options as o
from fleet.estimate import Progress, estimate
from fleet.estimate_answer import Question
from fleet.estimate_report import Told, print_estimate
from fleet.learnt import Learnt, lessons_of
from fleet.running import err, out
from producer.sources import open_sources
from schemas.errors import OperatorError
from schemas.estimate import Estimate, Prices
from schemas.job import SHARD_SECONDS, Selection
from storage.job import open_job
from workers.media.costs import ReadCosts
from workers.settings import WorkerSettings, read_settings

READ_PRICES = {"cross-region": 0.02, "internet": 0.09}
"""Dollars a gigabyte out of S3 in us-east-1, by the costs of reading that workers are told; within a region it is free."""

GpuPrice = Annotated[float, typer.Option("--price", help="Dollars for an hour of one GPU with its machine.", min=0)]
SampleSize = Annotated[int, typer.Option("--sample", help="Videos that are looked into; at least two of each class of sizes.", min=1)]
Look = Annotated[int, typer.Option("--look", help="Count at most so many objects; all figures are lower bounds then. 0 counts all.", min=0)]
Speed = Annotated[float | None, typer.Option("--frames-per-second", help="What one GPU captions. [20, or as --like shows]", min=1e-6)]
Like = Annotated[str | None, typer.Option("--like", metavar="JOB", help="Learn a line's bytes and tokens from this job's records.")]
Accelerators = Annotated[int | None, typer.Option(help="GPUs that the job of --like had, to learn its speed too.", min=1)]
ReadFrom = Annotated[
    str,
    typer.Option(
        "--read-costs", help="Where workers read from: in-region, cross-region, internet, or a number.", envvar="FRAMEFLEET_READ_COSTS"
    ),
]
ReadPrice = Annotated[float | None, typer.Option(help="Dollars a GB read; if left out by --read-costs: 0, 0.02 or 0.09.", min=0)]
GetPrice = Annotated[float, typer.Option(help="Dollars for a thousand GET or HEAD.", min=0)]
PutPrice = Annotated[float, typer.Option(help="Dollars for a thousand PUT or LIST.", min=0)]
StoragePrice = Annotated[float, typer.Option(help="Dollars a GB and month of captions.", min=0)]
PRICES = Prices(accelerator_hour=0)


def plan(  # noqa: PLR0913, PLR0917 - a command's options are its interface
    sources: o.SourceNames,
    price: GpuPrice,
    engine: o.Engine = "opencv",
    recipe: o.RecipeName = None,
    every: o.Every = None,
    max_frames: o.MaxFrames = None,
    scenes: o.Scenes = None,
    skip_duplicates: o.SkipDuplicates = None,
    include: o.Include = None,
    exclude: o.Exclude = None,
    all_files: o.AllFiles = False,  # noqa: FBT002
    min_size: o.MinSize = 0,
    max_size: o.MaxSize = 0,
    modified_after: o.After = None,
    modified_before: o.Before = None,
    limit: o.Limit = 0,
    videos_per_shard: o.PerShard = 0,
    shard_seconds: o.ShardSeconds = SHARD_SECONDS,
    compression: o.Compress = "none",
    sample: SampleSize = 200,
    look: Look = 0,
    frames_per_second: Speed = None,
    like: Like = None,
    accelerators: Accelerators = None,
    read_costs: ReadFrom = "in-region",
    read_price: ReadPrice = None,
    get_price: GetPrice = PRICES.thousand_gets,
    put_price: PutPrice = PRICES.thousand_puts,
    storage_price: StoragePrice = PRICES.gigabyte_month,
    as_json: o.AsJson = False,  # noqa: FBT002
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Say what a job is likely to be and to cost, before it is begun: some videos are really looked into, and nothing is written.

    With --json, `work` in the answer is what `launch --work` takes.
    """
    o.use_storage(endpoint_url, profile)
    prices = Prices(
        accelerator_hour=price,
        thousand_gets=get_price,
        thousand_puts=put_price,
        gigabyte_read=READ_PRICES.get(read_costs, 0.0) if read_price is None else read_price,
        gigabyte_month=storage_price,
    )
    selection = Selection(
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        all_files=all_files,
        min_size_bytes=min_size,
        max_size_bytes=max_size,
        modified_after=o.in_utc(modified_after),
        modified_before=o.in_utc(modified_before),
        limit=limit,
    )
    if accelerators is not None and like is None:
        raise OperatorError("--accelerators says how many GPUs the job of --like had: give that too.")
    question = Question(
        sources=tuple(map(o.absolute, sources)),
        recipe=o.recipe_of(recipe, engine, every=every, max_frames=max_frames, scenes=scenes, skip_duplicates=skip_duplicates),
        prices=prices,
        selection=selection,
        sample=sample,
        look=look,
        videos_per_shard=videos_per_shard,
        shard_seconds=shard_seconds,
        compression=compression,
        seconds_per_frame=1 / frames_per_second if frames_per_second else None,
        like=learnt_like(like) if like else None,
        like_accelerators=accelerators,
    )
    show(answer(question, settings_for(read_costs)), as_json=as_json)


def answer(question: Question, settings: WorkerSettings) -> Estimate:
    """Make the estimate, and say how far it is."""
    source = open_sources(question.sources, question.selection)
    source.check()
    with Told(err, sample=question.sample) as told:
        return estimate(question, source, settings, Progress(told.counted, told.probed))


def show(found: Estimate, *, as_json: bool) -> None:
    """Print it, for scripts or for people."""
    if as_json:
        sys.stdout.write(json.dumps(found.model_dump(mode="json"), indent=2) + "\n")
    else:
        print_estimate(out, found)


def learnt_like(url: str) -> Learnt:
    """Learn from another job.

    Raises:
        OperatorError: there is no job, or it has no records.
    """
    job = open_job(o.absolute(url))
    job.spec()
    learnt = lessons_of(job)
    if not learnt.records:
        raise OperatorError(f"{job.url} has no records yet, so there is nothing to learn from it: leave --like out.")
    return learnt


def settings_for(read_costs: str) -> WorkerSettings:
    """A worker's settings, with these costs of reading.

    Raises:
        OperatorError: they make no sense.
    """
    try:
        return read_settings().model_copy(update={"read_costs": ReadCosts.of(read_costs)})
    except ValueError as error:
        raise OperatorError(f"--read-costs: {error}") from error
