"""The first five minutes: make some clips (or take yours), caption them, prove it, and show one record."""

from itertools import count
from pathlib import Path

from rich.console import Console
from rich.json import JSON

from schemas.record import FrameRecord
from storage.job import Job


def clips_in(folder: Path) -> Path:
    """The demo's own clips, made if they are not there yet."""
    from workers.media.samples import write_samples  # noqa: PLC0415 - only this command needs an encoder

    write_samples(folder)
    return folder


def free_folder(folder: Path) -> Path:
    """A folder that is not there yet, so that every demo starts from nothing."""
    return next(place for number in count(1) if not (place := folder / f"captions-{number}").exists())


def show(console: Console, job: Job) -> None:
    """Print the record that says most, and where the rest lies."""
    shards = [shard for shard, _ in job.committed()]
    records = [record for shard in shards for record in job.records(shard)]
    if records:
        console.print("\nOne of the records:")
        console.print(JSON(best_of(records).model_dump_json()), soft_wrap=True)
    folder = job.url.removeprefix("file://")
    console.print(f"\nThe rest: {folder}/captions/*/*.jsonl, one line per keyframe; dead letters in {folder}/dead/.", soft_wrap=True)


def best_of(records: list[FrameRecord]) -> FrameRecord:
    """The record with the most to say."""
    return max(records, key=lambda record: len(str(record.annotation)))
