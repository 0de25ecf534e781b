"""What the committed records of a job teach about the next: frames per byte, bytes per line, and how fast it was."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from schemas.errors import OperatorError
from schemas.job import SUFFIXES, Compression
from schemas.record import FrameRecord
from schemas.task import captions_key
from schemas.video import VideoRef
from schemas.work import Work, suffix_of
from storage import ObjectMeta
from storage.job import Job
from storage.lines import from_lines, to_lines
from storage.slices import PREFIXES

MOST = 2000
"""Records that are read, a few hundred kilobytes."""
OBJECTS_OF_A_PREFIX = 8
"""Objects read of one prefix, so that many prefixes are seen."""
SPREAD = tuple(PREFIXES[int(f"{number:08b}"[::-1], 2)] for number in range(len(PREFIXES)))
"""All prefixes, in an order whose beginnings are spread evenly: 00, 80, 40, c0."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A committed object, and when that was, in ISO 8601; empty where the store does not say."""

    shard: str
    meta: ObjectMeta
    at: str


@dataclass(slots=True)
class Learnt:
    """What records said."""

    records: list[FrameRecord] = field(default_factory=list)
    objects: int = 0
    """Of which the records are."""
    commits: int = 0
    """Objects that the prefixes looked at hold."""
    prefixes: int = 0
    times: list[str] = field(default_factory=list)
    size_bytes: dict[Compression, int] = field(default_factory=lambda: dict.fromkeys(SUFFIXES, 0))
    """Of the lines as objects hold them, by how they could be compressed."""

    def add(self, records: Sequence[FrameRecord]) -> None:
        """Note the lines of one object."""
        self.records += records
        self.objects += 1
        for compression, suffix in SUFFIXES.items():
            self.size_bytes[compression] += len(to_lines(records, key=suffix)) if records else 0

    def line_bytes(self, compression: Compression) -> float:
        """What a line takes in storage."""
        return self.size_bytes[compression] / len(self.records)

    def seconds_per_frame(self, accelerators: int) -> float | None:
        """How long one of so many accelerators was at a frame, pauses included; None where commits have no times that tell."""
        moments = [datetime.fromisoformat(time) for time in (min(self.times), max(self.times)) if time] if self.times else []
        span = (moments[-1] - moments[0]).total_seconds() if moments else 0.0
        frames = len(self.records) / self.objects * self.commits * len(PREFIXES) / self.prefixes
        return accelerators * span / frames if span > 0 else None

    def tokens_per_frame(self) -> dict[str, float]:
        """What the engine spent on a frame, as far as it says so."""
        spent = {"prompt": [one.usage.prompt_tokens for one in self.records], "output": [one.usage.output_tokens for one in self.records]}
        return {
            kind: sum(known) / len(known) for kind, counts in spent.items() if (known := [count for count in counts if count is not None])
        }

    def work(self, *, most_per_video: int) -> Work:
        """What is known of videos by their suffix."""
        videos = {record.video.uri: (record.video, record.frames_chosen) for record in self.records}
        return Work(frames_per_byte=frames_per_byte([(*one, 1.0) for one in videos.values()], most=most_per_video))


def learnt_from(job: Job, most: int = MOST) -> Work:
    """What the committed records of a job teach about the work that its videos make, from so many of them spread over all prefixes.

    A job without records teaches nothing: the work of its spec stands.
    """
    learnt, spec = lessons_of(job, most), job.spec()
    work = learnt.work(most_per_video=spec.recipe.keyframes.max_per_video)
    return spec.work.model_copy(update={"frames_per_byte": spec.work.frames_per_byte | work.frames_per_byte})


def lessons_of(job: Job, most: int = MOST) -> Learnt:
    """Read records of a job, spread over its prefixes.

    Raises:
        OperatorError: a line was spoiled.
    """
    learnt = Learnt()
    for prefix in SPREAD:
        commits = list(_commits(job, prefix))
        learnt.prefixes, learnt.commits = learnt.prefixes + 1, learnt.commits + len(commits)
        learnt.times += [commit.at for commit in commits]
        for commit in commits[:OBJECTS_OF_A_PREFIX]:
            learnt.add(_records(job, commit))
        if len(learnt.records) >= most:
            break
    return learnt


def work_from(path: str) -> Work:
    """Read what an estimate has learnt: its JSON, or the `work` in it alone.

    Raises:
        OperatorError: there is no such file, or it is neither.
    """
    try:
        text = Path(path).read_bytes()
        return Work.model_validate(json.loads(text).get("work", json.loads(text)))
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}): give what framefleet plan --json wrote.") from error
    except (ValueError, AttributeError) as error:
        raise OperatorError(f"{path} says nothing of work ({error}): give what framefleet plan --json wrote.") from error


def frames_per_byte(videos: Sequence[tuple[VideoRef, int, float]], *, most: int) -> dict[str, float]:
    """Keyframes per byte by suffix, out of videos, their frames and how many others each stands for.

    A video that has as many as a recipe takes at most tells only that it has no fewer, so those are asked where there are no others.
    """
    below, capped = defaultdict[str, list[float]](lambda: [0.0, 0.0]), defaultdict[str, list[float]](lambda: [0.0, 0.0])
    for video, frames, weight in videos:
        sums = (below if not most or frames < most else capped)[suffix_of(video.uri)]
        sums[0], sums[1] = sums[0] + weight * frames, sums[1] + weight * video.size_bytes
    sums_of = capped | below
    return {suffix: frames / size for suffix, (frames, size) in sorted(sums_of.items()) if frames and size}


def _commits(job: Job, prefix: str) -> Iterator[Commit]:
    for page in job.store.pages(f"captions/{prefix}/"):
        for key, size_bytes, etag, at in zip(page.keys, page.sizes, page.etags, page.modified, strict=True):
            shard, found, suffix = key.rpartition("/")[2].partition(".jsonl")
            if found and key == captions_key(shard, suffix):
                yield Commit(shard, ObjectMeta(key=key, size_bytes=size_bytes, etag=etag), at)


def _records(job: Job, commit: Commit) -> list[FrameRecord]:
    try:
        return from_lines(FrameRecord, job.store.get(commit.meta.key), key=commit.meta.key)
    except ValueError as error:
        raise OperatorError(f"{job.url}/{commit.meta.key} is damaged ({error}); see: framefleet audit {job.url}") from error
