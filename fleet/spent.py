"""What a job has cost so far, out of what its workers and its counters say: arithmetic, and the meter that reads them.

A worker costs while it is there, at work or idle. What it costs is the job's as far as its frames are: of the frames that all workers
delivered of late the job's part, or all where nobody delivered any. While nobody watches, frames are counted on in the broker; once
somebody watches again, each of them is taken to have cost what the others did.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self

from broker.app import App
from broker.progress import Progress, Tally
from broker.vitals import Vitals, all_vitals
from fleet.bill import SECONDS_PER_HOUR, request_dollars
from schemas.estimate import GIGABYTE, Prices, Requests

FORGOTTEN_SECONDS = 60.0
"""After so long a frame counts half in telling how much of the workers is the job's."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a job has used; the counts `seen_*` are the broker's as they were when they were last read, and begin anew when it does."""

    worker_seconds: float = 0.0
    frames: float = 0.0
    videos: float = 0.0
    gets: float = 0.0
    puts: float = 0.0
    bytes_read: float = 0.0
    seen_frames: float = 0.0
    seen_videos: float = 0.0
    seen_gets: float = 0.0
    seen_puts: float = 0.0
    seen_bytes_read: float = 0.0

    @classmethod
    def of(cls, noted: Mapping[str, float]) -> Self:
        """What was noted before, perhaps by a version that knew of other things."""
        known = cls()
        return replace(known, **{name: value for name, value in noted.items() if name in asdict(known)})

    def noted(self) -> dict[str, float]:
        """What to note until somebody goes on with it."""
        return asdict(self)

    def counted(self, tally: Tally) -> Self:
        """Add what the broker has counted since."""
        now = {
            "frames": tally.frames,
            "videos": tally.videos,
            "gets": tally.requests,
            "puts": tally.shards + tally.dead,
            "bytes_read": tally.bytes_read,
        }
        grown = {name: getattr(self, name) + since(getattr(self, f"seen_{name}"), count) for name, count in now.items()}
        return replace(self, **grown, **{f"seen_{name}": float(count) for name, count in now.items()})

    def dollars(self, prices: Prices) -> float:
        """What that costs."""
        requests = request_dollars(Requests(get=self.gets, head=0, put=self.puts, list=0), prices)
        hours = self.worker_seconds / SECONDS_PER_HOUR
        return hours * prices.accelerator_hour + requests + self.bytes_read / GIGABYTE * prices.gigabyte_read


def since(before: float, now: float) -> float:
    """How much a count has grown; one that is smaller than before has begun anew."""
    return now - before if now >= before else now


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the workers is a job's: its part of the frames delivered of late."""

    of_job: float = 0.0
    of_all: float = 0.0

    @property
    def part(self) -> float:
        """Between nothing and all."""
        return min(1.0, self.of_job / self.of_all) if self.of_all else 1.0

    def after(self, seconds: float, *, of_job: float, of_all: float) -> "Share":
        """Add frames, and let older ones count less."""
        kept = 0.5 ** (seconds / FORGOTTEN_SECONDS)
        return Share(self.of_job * kept + of_job, self.of_all * kept + of_all)


class Meter:
    """Reads what a job uses, look by look."""

    def __init__(
        self,
        noted: Mapping[str, float],
        *,
        tally: Callable[[], Tally],
        vitals: Callable[[], Sequence[Vitals]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on with what was noted."""
        self.spent = Spent.of(noted)
        self.workers = 0
        """That were there at the last look."""
        self._tally, self._vitals, self._clock = tally, vitals, clock
        self._share, self._frames = Share(), dict[str, int]()
        self._looked_at: float | None = None

    @classmethod
    def at(cls, app: App, job: str, noted: Mapping[str, float]) -> Self:
        """Read a broker."""
        progress = Progress(app, job)
        return cls(noted, tally=progress.tally, vitals=lambda: all_vitals(app))

    def look(self) -> Spent:
        """Count what was used since the last look.

        Raises:
            BrokerAwayError: the broker does not answer; the next look counts for this one too.
        """
        before, now = self.spent, self._clock()
        workers, spent = self._vitals(), self.spent.counted(self._tally())
        if self._looked_at is None:
            seconds = (spent.frames - before.frames) * seconds_per_frame(before, workers)
        else:
            passed = now - self._looked_at
            self._share = self._share.after(passed, of_job=spent.frames - before.frames, of_all=self._delivered(workers))
            seconds = len(workers) * passed * self._share.part
        self._frames = {one.worker: one.frames for one in workers}
        self.workers, self._looked_at = len(workers), now
        self.spent = replace(spent, worker_seconds=spent.worker_seconds + seconds)
        return self.spent

    def _delivered(self, workers: Sequence[Vitals]) -> float:
        return sum(since(self._frames.get(one.worker, 0), one.frames) for one in workers)


def seconds_per_frame(spent: Spent, workers: Sequence[Vitals]) -> float:
    """What a frame cost so far: of the job's own, or else of what the workers did before."""
    if spent.frames and spent.worker_seconds:
        return spent.worker_seconds / spent.frames
    frames = sum(one.frames for one in workers)
    return sum(one.seconds_at_work for one in workers) / frames if frames else 0.0
