"""A job that was planned and captioned, of any number of videos, laid into a folder as fast as bytes can be put together.

Plan parts are the ledger's own. Lines are written from one model's line whose names are replaced; in each part the first shard's lines are
held against the models, so that what a reader meets is what a worker would have written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from producer_films import etags, names, sizes
from pydantic import TypeAdapter
from s3_stand_in import BUCKET

from schemas.annotation import FrameAnnotation
from schemas.job import JobSpec, PlanComplete, PlanPartHeader
from schemas.recipe import load_recipe
from schemas.record import FrameRecord, SecondsSpent, Usage
from schemas.task import ShardTask, captions_key, shard_id
from schemas.video import VideoRef, frame_id
from storage.job import Job, open_job
from storage.lines import zstd

VIDEOS_PER_SHARD = 64
SHARDS_PER_PART = 1024
SPEC = JobSpec(
    sources=(f"s3://{BUCKET}",),
    compression="zst",
    recipe=(RECIPE := load_recipe("vidcap-12b")),
    recipe_id=RECIPE.recipe_id,
    created_at=datetime(2026, 11, 21, tzinfo=UTC),
    created_by="benchmark",
    framefleet="0.1.0",
)
ANNOTATION = FrameAnnotation(
    description="A woman in a red coat walks along a harbour wall towards a lighthouse. Gulls fly above. The sea behind her is rough.",
    objects=("woman", "red coat", "lighthouse", "harbour wall", "gull", "sea"),
    actions=("woman walking along the wall", "gulls flying"),
    environment="A stone harbour wall under a grey sky, with waves breaking behind it.",
    content_type="real-world footage",
    specific_style="travel vlog",
    production_quality="amateur",
    summary="A woman in a red coat walks along a harbour wall towards a lighthouse.",
    logos=(),
)
FRAME, SHARD, SIZE = "0" * 31 + "f", "0" * 31 + "5", 987_654_321
"""Stand in the model's line for what is replaced."""
VIDEOS = TypeAdapter(tuple[VideoRef, ...])


def spec_of(sources: tuple[str, ...], **fields: object) -> JobSpec:
    """What a benchmark asks a producer for."""
    return SPEC.model_copy(update={"sources": sources, **fields})


def build(folder: Path, *, videos: int, frames: int) -> Job:
    """Lay such a job into a folder, with so many frames of each video, and the plan complete."""
    job = open_job(str(folder))
    job.create_spec(SPEC)
    line = _line(job)
    for prefix in range(256):
        (folder / "captions" / f"{prefix:02x}").mkdir(parents=True)
    for header, shards in parts(job, videos):
        job.ledger().create_part(header, shards)
        _check(line, shards[0], frames)
        for shard in shards:
            body = b"".join(_lines(line, shard, frames))
            (folder / captions_key(shard.shard_id, ".zst")).write_bytes(zstd.compress(body, level=1))
    complete(job)
    return job


def complete(job: Job) -> None:
    """Say that the plan is at its end."""
    seals = job.ledger().seals()
    shards, videos = sum(seal.shards for seal in seals), sum(seal.videos for seal in seals)
    job.complete_plan(PlanComplete(parts=seals, shards=shards, videos=videos, skipped={}))


def parts(
    job: Job, videos: int, *, per_shard: int = VIDEOS_PER_SHARD, shards_per_part: int = SHARDS_PER_PART
) -> Iterator[tuple[PlanPartHeader, list[ShardTask]]]:
    """The plan of so many videos, of which all are wanted."""
    shards_before = 0
    for part, first in enumerate(range(0, videos, per_shard * shards_per_part)):
        numbers = np.arange(first, min(videos, first + per_shard * shards_per_part))
        shards = list(_shards(job, numbers, count=videos, per_shard=per_shard))
        header = PlanPartHeader(
            part=part,
            recipe_id=SPEC.recipe_id,
            cursor=shards[-1].videos[-1].uri.removeprefix(f"s3://{BUCKET}/"),
            shards=len(shards),
            videos=len(numbers),
            size_bytes=int(sizes(numbers).sum()),
            shards_before=shards_before,
            videos_before=first,
        )
        yield header, shards
        shards_before += len(shards)


def _shards(job: Job, numbers: NDArray[np.int64], *, count: int, per_shard: int) -> Iterator[ShardTask]:
    columns = zip(names(numbers, count=count), etags(numbers), sizes(numbers).tolist(), strict=True)
    rows = [{"uri": f"s3://{BUCKET}/{_text(name)}", "etag": f'"{_text(etag)}"', "size_bytes": size} for name, etag, size in columns]
    videos = VIDEOS.validate_python(rows)
    for first in range(0, len(videos), per_shard):
        group = videos[first : first + per_shard]
        yield ShardTask(job=job.url, shard_id=shard_id(SPEC.recipe_id, group), recipe_id=SPEC.recipe_id, videos=group)


def _text(row: NDArray[np.uint8]) -> str:
    return row.tobytes().decode()


@dataclass(frozen=True, slots=True)
class Line:
    """A model's line, cut where names are put in."""

    pieces: tuple[str, ...]

    def filled(self, shard: str, video: VideoRef, index: int, of: int) -> bytes:
        """The line of another frame."""
        frame = frame_id(video, stream_index=0, pts=index)
        values = (shard, frame, video.uri, video.etag.replace('"', r"\""), video.size_bytes, index, index, of, "")
        return "".join(f"{piece}{value}" for piece, value in zip(self.pieces, values, strict=True)).encode()


def _line(job: Job) -> Line:
    """Cut the line of a made-up frame into pieces."""
    video = VideoRef(uri="s3://URI", etag="ETAG", size_bytes=SIZE)
    text = _record(job.url, SHARD, video, index=771, of=773).model_copy(update={"frame_id": FRAME}).model_dump_json() + "\n"
    rest, pieces = text, list[str]()
    for mark in (SHARD, FRAME, "s3://URI", "ETAG", str(SIZE), "771", "771", "773"):
        piece, found, rest = rest.partition(mark)
        assert found, mark
        pieces.append(piece)
    return Line((*pieces, rest))


def _record(job: str, shard: str, video: VideoRef, *, index: int, of: int) -> FrameRecord:
    return FrameRecord(
        job=job,
        shard_id=shard,
        frame_id=frame_id(video, stream_index=0, pts=index),
        video=video,
        stream_index=0,
        pts=index,
        pts_seconds=4.0,
        duration_seconds=0.04,
        width=1920,
        height=1080,
        frame_index=index,
        frames_chosen=of,
        annotation=ANNOTATION,
        recipe_id=SPEC.recipe_id,
        usage=Usage(prompt_tokens=812, image_tokens=256, output_tokens=251, finish_reason="stop", rung="constrained"),
        attempts=1,
        seconds=SecondsSpent(decode=0.031, caption=1.42),
        versions={"framefleet": "0.1.0", "av": "18.1.0", "engine": "vllm 0.26.0"},
    )


def _lines(line: Line, shard: ShardTask, frames: int) -> Iterator[bytes]:
    return (line.filled(shard.shard_id, video, index, frames) for video in shard.videos for index in range(frames))


def _check(line: Line, shard: ShardTask, frames: int) -> None:
    """Hold a shard's lines against what the models make of the same frames."""
    for number, written in enumerate(_lines(line, shard, frames)):
        video, index = shard.videos[number // frames], number % frames
        assert FrameRecord.model_validate_json(written) == _record(shard.job, shard.shard_id, video, index=index, of=frames), written
