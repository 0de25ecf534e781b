"""What a worker counts for its own /metrics beyond its pulse: what became of shards, videos and frames, and how long stages take."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter

from schemas.errors import ClaimLostError, DoubtedError, DroppedError, FatalError, HandedBackError, TransientError, UnsuitableError
from schemas.reasons import Reason, Stage
from schemas.record import Scope
from storage import ObjectDenied, StoreUnavailable
from workers.families import counter, histogram
from workers.pipeline import Outcome

STAGES = (Stage.FETCH, Stage.DECODE, Stage.CAPTION, Stage.VALIDATE, Stage.COMMIT)
FRAME_OUTCOMES = CAPTIONED, COPIED, DEAD = ("captioned", "copied", "dead")
VIDEO_OUTCOMES = ("captioned", "partial", "dead")
SETTLED, UNEXPECTED, LEASE_LOST = "settled", "unexpected", "lease_lost"
ENDS: tuple[tuple[type[Exception], str], ...] = (
    (ClaimLostError, LEASE_LOST),
    (DroppedError, "dropped"),
    (HandedBackError, "handed_back"),
    (UnsuitableError, "passed_on"),
    (FatalError, "worker_unfit"),
    (ObjectDenied, "worker_unfit"),
    (DoubtedError, "doubted"),
    (TransientError, "put_back"),
    (StoreUnavailable, "put_back"),
)
"""How an attempt ended, by the first kind of error that fits."""
COUNTED = frozenset(
    {
        *(f"framefleet_{name}_total" for name in ("frames", "videos", "video_bytes", "read_bytes", "read_requests", "dead_letters")),
        *(f"framefleet_{name}_total" for name in ("attempts", "redeliveries")),
        *(f"framefleet_{name}_seconds" for name in ("stage", "queue_wait")),
    }
)
"""The rows that are counted here; all others are shown out of other meters."""
ATTEMPT_OUTCOMES = tuple(dict.fromkeys((SETTLED, *(end for _, end in ENDS), UNEXPECTED)))


@dataclass(frozen=True, slots=True)
class VideoCount:
    """What one committed video adds."""

    outcome: str
    captioned: int
    copied: int
    dead_frames: int

    @classmethod
    def of(cls, outcome: Outcome) -> "VideoCount":
        """Count its lines and its dead."""
        copied = sum(record.copied_from is not None for record in outcome.records)
        dead = sum(death.frame_index is not None for death in outcome.deaths)
        return cls(outcome_of(outcome), len(outcome.records) - copied, copied, dead)


def outcome_of(outcome: Outcome) -> str:
    """What became of a video in one word."""
    if not outcome.deaths:
        return CAPTIONED
    return "partial" if outcome.records else DEAD


def end_of(error: BaseException) -> str:
    """Name how an error ends an attempt."""
    return next((end for kind, end in ENDS if isinstance(error, kind)), UNEXPECTED)


class Figures:
    """A worker's own counters. Those of closed lists begin at zero, so that the first event is a rise. Safe from many threads."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Begin at zero; `clock` tells the time of day."""
        self.registry = CollectorRegistry()
        self.leases_held = 0
        self._lock, self._clock = threading.Lock(), clock
        self._frames, self._videos, self._letters = (self._counter(name) for name in ("frames", "videos", "dead_letters"))
        self._sizes, self._bytes, self._requests = (self._counter(name) for name in ("video_bytes", "read_bytes", "read_requests"))
        self._attempts, self._redeliveries = self._counter("attempts"), self._counter("redeliveries")
        self._stages = histogram("framefleet_stage_seconds", self.registry)
        self._waits = histogram("framefleet_queue_wait_seconds", self.registry)
        self._took = {stage: self._stages.labels(stage.value) for stage in STAGES}
        self._begin_at_zero()

    def _counter(self, name: str) -> Counter:
        return counter(f"framefleet_{name}_total", self.registry)

    def _begin_at_zero(self) -> None:
        for outcome in FRAME_OUTCOMES:
            self._frames.labels(outcome)
        for outcome in VIDEO_OUTCOMES:
            for videos in (self._videos, self._sizes, self._bytes, self._requests):
                videos.labels(outcome)
        for reason in Reason:
            for scope in Scope:
                self._letters.labels(reason.value, scope.value)
        for outcome in ATTEMPT_OUTCOMES:
            self._attempts.labels(outcome)

    def took(self, stage: Stage, seconds: float) -> None:
        """Count how long something of a stage took."""
        self._took[stage].observe(seconds)

    def claimed(self, sent_at: object) -> None:
        """Count how long a shard waited; a message of another version may not say."""
        if isinstance(sent_at, int | float):
            self._waits.observe(max(0.0, self._clock() - sent_at))

    def begun(self, attempt: int) -> None:
        """Count a shard that somebody had before."""
        if attempt > 1:
            self._redeliveries.inc()

    def lease_lost(self) -> None:
        """Count a claim that was gone before work on it began."""
        self._attempts.labels(LEASE_LOST).inc()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count an attempt by how the block ends."""
        self._hold(1)
        end = SETTLED
        try:
            yield
        except BaseException as error:
            end = end_of(error)
            raise
        finally:
            self._hold(-1)
            self._attempts.labels(end).inc()

    def _hold(self, more: int) -> None:
        with self._lock:
            self.leases_held += more

    def ended(self, outcomes: Iterable[Outcome]) -> None:
        """Count what a shard's commit made of its videos."""
        for outcome in outcomes:
            self._count(outcome)
            for death in outcome.deaths:
                scope = Scope.VIDEO if death.frame_index is None else Scope.FRAME
                self._letters.labels(death.error.reason.value, scope.value).inc()

    def _count(self, outcome: Outcome) -> None:
        found = VideoCount.of(outcome)
        for word, count in zip(FRAME_OUTCOMES, (found.captioned, found.copied, found.dead_frames), strict=True):
            self._frames.labels(word).inc(count)
        self._videos.labels(found.outcome).inc()
        self._sizes.labels(found.outcome).inc(size_of(outcome))
        self._bytes.labels(found.outcome).inc(outcome.fetched.bytes_read)
        self._requests.labels(found.outcome).inc(outcome.fetched.requests)


def size_of(outcome: Outcome) -> int:
    """How large the video is; one without lines and deaths has nothing that says so."""
    named = [*(record.video for record in outcome.records[:1]), *(death.video for death in outcome.deaths[:1])]
    return named[0].size_bytes if named else 0
