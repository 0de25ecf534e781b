"""From what was counted and looked into to an estimate: what is measured is told apart from what is assumed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fleet.bill import SECONDS_PER_HOUR, bill, requests_for, shards_for
from fleet.learnt import Learnt, frames_per_byte
from fleet.probe import Probe
from fleet.strata import Stratum, at_mean_size, count_of, total_of
from producer.census import Census
from producer.sources import INVENTORY, is_manifest
from schemas.errors import OperatorError
from schemas.estimate import Estimate, Interval, Prices, Sample
from schemas.job import SHARD_SECONDS, Compression, PlanPartHeader, Selection
from schemas.reasons import Reason
from schemas.recipe import Recipe
from schemas.task import ShardTask, shard_id
from schemas.video import VideoRef
from schemas.work import Work
from storage.slices import pack

LINE_BYTES: dict[Compression, float] = {"none": 2200, "zst": 600, "gz": 620}
"""What a line takes in storage where no job is there to be like: 1000 bytes of facts and an annotation of some 200 words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked."""

    sources: tuple[str, ...]
    recipe: Recipe
    prices: Prices
    selection: Selection = field(default_factory=Selection)
    sample: int = 200
    look: int = 0
    """Objects of the sources that are looked at, at most; zero is no limit."""
    videos_per_shard: int = 0
    shard_seconds: float = SHARD_SECONDS
    compression: Compression = "none"
    seconds_per_frame: float | None = None
    """Of one accelerator; None where nobody says."""
    like: Learnt | None = None
    like_accelerators: int | None = None
    """How many accelerators that job had."""


@dataclass(frozen=True, slots=True)
class Look:
    """A class of videos, and what its sampled ones are."""

    videos: int
    size_bytes: int
    probes: Sequence[Probe]

    def of(self, figure: Callable[[Probe], float]) -> Stratum:
        """One figure of each; videos that storage did not let look into have none."""
        return Stratum(self.videos, np.asarray([figure(one) for one in self.probes if not one.unread], np.float64))

    def bytes_read(self) -> Stratum:
        """What is read of each."""
        read, sizes = self.of(lambda one: one.fetched.bytes_read), self.of(lambda one: one.video.size_bytes)
        return Stratum(self.videos, at_mean_size(read.figures, sizes.figures, mean_bytes=self.size_bytes / self.videos))


class Answer:
    """An estimate in the making."""

    def __init__(self, question: Question, census: Census, looks: Sequence[Look], seconds: float) -> None:
        self._asked, self._census, self._looks, self._seconds = question, census, looks, seconds
        self._probes = [probe for look in looks for probe in look.probes if not probe.unread]
        self._unread = [probe for look in looks for probe in look.probes if probe.unread]
        self._refuse_to_guess()

    def _refuse_to_guess(self) -> None:
        if self._unread and not self._probes:
            raise OperatorError(
                f"None of the {len(self._unread)} videos tried can be read now ({self._unread[0].unread}); try again later."
            )
        if self._probes and all(one.dead is Reason.ACCESS_DENIED for one in self._probes):
            raise OperatorError(
                f"Storage denies {self._probes[0].video.uri} and every other video that was tried: these credentials need s3:GetObject."
            )

    def estimate(self) -> Estimate:
        """Put it together."""
        asked, frames, dead = self._asked, self._total(lambda one: one.frames), self._dead()
        hours = frames.times(self._seconds_per_frame() / SECONDS_PER_HOUR)
        read = total_of([look.bytes_read() for look in self._looks])
        shards = self._shards(frames)
        listed = self._census.objects if any(is_listed(one) for one in asked.sources) else 0
        gets = self._total(lambda one: one.fetched.requests).expected
        requests = requests_for(gets=gets, shards=shards, letters=dead.expected, listed=listed)
        lines = frames.expected * self._line_bytes()
        return Estimate(
            sources=asked.sources,
            recipe=asked.recipe.name,
            recipe_id=asked.recipe.recipe_id,
            looked_at_all=self._census.whole,
            objects=self._census.objects,
            videos=self._census.videos,
            size_bytes=self._census.size_bytes,
            skipped=dict(self._census.skipped.most_common()),
            sample=self._sample(),
            frames=frames,
            dead_videos=dead,
            dead_by_reason=self._dead_by_reason(),
            bytes_read=read,
            accelerator_hours=hours,
            caption_bytes=lines,
            shards=shards,
            plan_bytes=self._plan_bytes(shards),
            messages=shards,
            requests=requests,
            prices=asked.prices,
            dollars=bill(
                frames=frames, accelerator_hours=hours, bytes_read=read, caption_bytes=lines, requests=requests, prices=asked.prices
            ),
            measured=tuple(self._measured()),
            assumed=tuple(self._assumed()),
            work=self._work(),
        )

    def _total(self, figure: Callable[[Probe], float]) -> Interval:
        return total_of([look.of(figure) for look in self._looks])

    def _dead(self) -> Interval:
        return count_of([look.of(lambda one: float(one.dead is not None)) for look in self._looks])

    def _dead_by_reason(self) -> dict[str, float]:
        reasons = {one.dead for one in self._probes if one.dead}
        found = {reason.value: self._total(lambda one, reason=reason: float(one.dead is reason)).expected for reason in reasons}  # type: ignore[misc]
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def _sample(self) -> Sample:
        return Sample(
            probed=len(self._probes),
            not_read=len(self._unread),
            frames=sum(one.frames for one in self._probes),
            seconds=self._seconds,
            whole=len(self._probes) == self._census.videos,
        )

    def _shards(self, frames: Interval) -> int:
        asked, videos, work = self._asked, self._census.videos, self._work()
        reading = work.seconds_per_video * videos + work.seconds_per_gigabyte * self._census.size_bytes / 1e9
        per_video = (reading + work.seconds_per_frame * frames.expected) / max(videos, 1)
        return shards_for(videos, videos_per_shard=asked.videos_per_shard, seconds_per_video=per_video, most_seconds=asked.shard_seconds)

    def _plan_bytes(self, shards: int) -> float:
        """As the plan has the first videos, in shards of the size that most will have."""
        first, videos = self._census.first, self._census.videos
        if not first:
            return 0.0
        size = max(1, round(videos / max(shards, 1)))
        tasks = [_task(first[start : start + size]) for start in range(0, len(first), size)]
        header = PlanPartHeader(part=0, recipe_id="", cursor="", shards=len(tasks), videos=len(first), size_bytes=0)
        return len(pack(header, tasks)) / len(first) * videos

    def _work(self) -> Work:
        weights = [(look, look.videos / read) for look in self._looks if (read := sum(not one.unread for one in look.probes))]
        seen = [(one.video, one.frames, weight) for look, weight in weights for one in look.probes if one.frames]
        rates = frames_per_byte(seen, most=self._asked.recipe.keyframes.max_per_video)
        return Work(frames_per_byte=rates, seconds_per_frame=self._seconds_per_frame())

    # What is not counted

    def _seconds_per_frame(self) -> float:
        return self._asked.seconds_per_frame or self._likes_speed() or Work().seconds_per_frame

    def _likes_speed(self) -> float | None:
        like, accelerators = self._asked.like, self._asked.like_accelerators
        return like.seconds_per_frame(accelerators) if like and accelerators else None

    def _line_bytes(self) -> float:
        like = self._asked.like
        return like.line_bytes(self._asked.compression) if like else LINE_BYTES[self._asked.compression]

    def _measured(self) -> Sequence[str]:
        which = "all videos" if len(self._probes) == self._census.videos else f"{len(self._probes)} videos of all sizes, drawn at random,"
        told = [f"keyframes and bytes read: {which} opened as a worker opens them"]
        told += [f"plan: the first {len(self._census.first)} videos as the plan writes them down"] if self._census.first else []
        if (like := self._asked.like) is not None:
            tokens = ", ".join(f"{count:.0f} {kind} tokens" for kind, count in like.tokens_per_frame().items())
            told.append(f"a line's bytes: {len(like.records)} records of the like job" + (f", with {tokens} a frame" if tokens else ""))
            if self._like_is_timed():
                told.append(f"seconds per frame: {self._likes_speed():.4f}, from its first commit to its last, pauses included")
        return told

    def _like_is_timed(self) -> bool:
        return self._likes_speed() is not None and self._asked.seconds_per_frame is None

    def _assumed(self) -> Sequence[str]:
        asked, policy, told = self._asked, self._asked.recipe.keyframes, list[str]()
        if asked.seconds_per_frame is not None:
            told.append(f"{asked.seconds_per_frame:.4f} s of a GPU per frame: as --frames-per-second says")
        elif not self._like_is_timed():
            told.append(
                f"{Work().seconds_per_frame} s of a GPU per frame, never waiting: nobody measured it; "
                "give --frames-per-second, or --like JOB with its --accelerators"
            )
        if asked.like is None:
            told.append(f"{self._line_bytes():.0f} bytes a line: give --like JOB to learn them")
        told.append("nothing is worked twice, and no keyframe behind a video's first sound one is damaged")
        if policy.duplicate_distance:
            told.append("no near duplicates: each frame is captioned, so GPUs may cost less")
        return told


def is_listed(source: str) -> bool:
    """Whether a source is listed key by key."""
    return not is_manifest(source) and not source.startswith(INVENTORY)


def _task(videos: Sequence[VideoRef]) -> ShardTask:
    return ShardTask(job="", shard_id=shard_id("", videos), recipe_id="", videos=tuple(videos))
