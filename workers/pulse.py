"""What a worker measures of its own work, counted in memory and put together when it is asked for: every export of figures starts here."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from broker.vitals import Vitals
from schemas.recipe import Recipe
from workers.ceiling import Ceiling, Ceilings, engine_words
from workers.machine import machine_words
from workers.metered import Meter

RECENT_SECONDS = 60.0


class Gauges(Protocol):
    """What a room shows of itself."""

    versions: dict[str, str]

    @property
    def rungs(self) -> Counter[tuple[str, str]]:
        """How often each rung of the repair ladder was climbed, by what came of it."""

    @property
    def window_size(self) -> int:
        """Frames that may be with the engine at once."""

    @property
    def in_flight(self) -> int:
        """Frames that are with the engine."""

    @property
    def waiting_pictures(self) -> int:
        """Decoded pictures that wait."""


class Sample(NamedTuple):
    """How much was done after so much work."""

    seconds: float
    frames: int
    captioned: int


@dataclass(slots=True)
class WorkClock:
    """Time during which at least one shard was being worked, however many at once."""

    clock: Callable[[], float] = time.monotonic
    _shards: int = 0
    _seconds: float = 0.0
    _changed_at: float | None = None
    """When work last began or ended; None if it never did."""

    def begin(self) -> None:
        """A shard is taken up."""
        self._shards += 1
        if self._shards == 1:
            self._changed_at = self.clock()

    def end(self) -> None:
        """A shard is done or given up."""
        self._shards -= 1
        if self._shards == 0:
            now = self.clock()
            self._seconds += self._since(now)
            self._changed_at = now

    def seconds(self) -> float:
        """Time at work so far."""
        return self._seconds + (self._since(self.clock()) if self._shards else 0.0)

    def idle_seconds(self) -> float:
        """Time since the last shard; zero while there is one, and before the first."""
        return 0.0 if self._shards else self._since(self.clock())

    def _since(self, now: float) -> float:
        return 0.0 if self._changed_at is None else now - self._changed_at


@dataclass(slots=True)
class Recently:
    """Samples of the last minute of work."""

    samples: deque[Sample] = field(default_factory=lambda: deque([Sample(0.0, 0, 0)]))

    def add(self, sample: Sample) -> Sample:
        """Add a sample; returns what was done between the first that is recent and this one."""
        while len(self.samples) > 1 and sample.seconds - self.samples[1].seconds >= RECENT_SECONDS:
            self.samples.popleft()
        if sample != self.samples[-1]:
            self.samples.append(sample)
        first = self.samples[0]
        return Sample(sample.seconds - first.seconds, sample.frames - first.frames, sample.captioned - first.captioned)


class Pulse:
    """A worker's counts. Counting is an addition; safe from many threads."""

    def __init__(
        self,
        worker: str,
        room: Gauges,
        meter: Meter,
        ceilings: Ceilings,
        *,
        dollars_per_hour: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.worker = worker
        self._room, self._meter, self._ceilings = room, meter, ceilings
        self._dollars_per_hour = dollars_per_hour
        self._engine, self._machine = engine_words(room.versions), machine_words()
        self._lock = threading.Lock()
        self._work = WorkClock(clock)
        self._recently = Recently()
        self._frames = 0
        self._model = ""
        self._ceiling: Ceiling | None = None
        self._found: dict[str, Ceiling | None] = {}
        """Ceilings by recipe, each looked for once."""

    @contextmanager
    def at_work(self, recipe: Recipe) -> Iterator[None]:
        """Count the time of the block as work with this recipe."""
        with self._lock:
            self._work.begin()
            self._model, self._ceiling = f"{recipe.model.name}@{recipe.model.revision}", self._ceiling_of(recipe)
        try:
            yield
        finally:
            with self._lock:
                self._work.end()

    def count(self, frames: int) -> None:
        """Count frames that were delivered."""
        with self._lock:
            self._frames += frames

    def _ceiling_of(self, recipe: Recipe) -> Ceiling | None:
        if recipe.recipe_id not in self._found:
            self._found[recipe.recipe_id] = self._ceilings.find(recipe, engine=self._engine, machine=self._machine)
        return self._found[recipe.recipe_id]

    def vitals(self) -> Vitals:
        """Put together how this worker is."""
        with self._lock:
            rungs = by_name(dict(self._room.rungs))
            captioned = sum(ends.get("accepted", 0) for ends in rungs.values())
            sample = Sample(self._work.seconds(), self._frames, captioned)
            recent, ceiling = self._recently.add(sample), self._ceiling
            return Vitals(
                worker=self.worker,
                engine=self._engine,
                model=self._model,
                seconds_at_work=sample.seconds,
                idle_seconds=self._work.idle_seconds(),
                frames=sample.frames,
                captioned=captioned,
                recent_seconds=recent.seconds,
                recent_frames=recent.frames,
                recent_captioned=recent.captioned,
                ceiling_frames_per_second=ceiling.frames_per_second if ceiling else self._ceilings.told,
                dollars_per_hour=self._dollars_per_hour,
                window=self._room.window_size,
                in_flight=self._room.in_flight,
                pictures_waiting=self._room.waiting_pictures,
                rungs=rungs,
                questions=self._meter.questions,
                tokens=dict(self._meter.tokens),
            )


def by_name(rungs: dict[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Sort the ladder's counts by rung, and below it by what came of it."""
    sorted_out: dict[str, dict[str, int]] = {}
    for (rung, cause), count in rungs.items():
        sorted_out.setdefault(rung, {})[cause] = count
    return sorted_out
