"""When a job will be done, and what it takes to be done in time: pure arithmetic, and the operator's ways of naming a moment."""

import math
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas.errors import OperatorError

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"(\d+(?:\.\d+)?)([mhd])")
WINDOW_SECONDS = 600.0
"""Of the past that the pace is told from."""
LEAST_SECONDS = 30.0
"""Of it that tell anything."""


def moment_of(said: str, *, now: datetime) -> datetime:
    """Understand a moment as operators name it: `90m`, `36h`, `2d` from now on, or a date and time, local unless it has a zone.

    Raises:
        OperatorError: it makes no sense, or has passed.
    """
    if duration := DURATION.fullmatch(said):
        return now + timedelta(**{UNITS[duration[2]]: float(duration[1])})
    try:
        moment = datetime.fromisoformat(said).astimezone(UTC)
    except ValueError as error:
        raise OperatorError(f"{said!r} is no deadline: write 90m, 36h, 2d, or a time such as 2026-12-24T18:00 or …T18:00+01:00.") from error
    if moment <= now:
        raise OperatorError(f"The deadline {moment:%Y-%m-%d %H:%M %Z} has passed: name a later one, or a duration such as 36h.")
    return moment


@dataclass(slots=True)
class Pace:
    """How fast videos are finished, by the last ten minutes."""

    samples: deque[tuple[float, float]] = field(default_factory=deque)
    """Moments in seconds, and how many videos were finished by then."""

    def note(self, seconds: float, videos: float) -> None:
        """Take a sample."""
        self.samples.append((seconds, videos))
        while len(self.samples) > 2 and seconds - self.samples[1][0] >= WINDOW_SECONDS:  # noqa: PLR2004 - two make a pace
            self.samples.popleft()

    @property
    def videos_per_second(self) -> float | None:
        """None while too little is known."""
        (begun, before), (ended, after) = self.samples[0], self.samples[-1]
        return (after - before) / (ended - begun) if ended - begun >= LEAST_SECONDS else None


@dataclass(frozen=True, slots=True)
class Outlook:
    """How it stands with a deadline."""

    seconds_left: float
    """Until the deadline."""
    videos_left: float
    """That are planned and not finished."""
    videos_per_second: float
    workers: int
    plan_complete: bool

    @property
    def seconds_needed(self) -> float:
        """At this pace."""
        return self.videos_left / self.videos_per_second if self.videos_per_second > 0 else (math.inf if self.videos_left > 0 else 0.0)

    @property
    def late(self) -> bool:
        """Whether the deadline will be missed as it goes."""
        return self.videos_left > 0 and self.seconds_needed > self.seconds_left

    @property
    def more_workers(self) -> int | None:
        """How many more of the same kind it takes; None where nothing tells, or no number of them would do."""
        if self.seconds_left <= 0 or self.videos_per_second <= 0 or not self.workers:
            return None
        needed = self.workers * self.seconds_needed / self.seconds_left
        return max(0, math.ceil(needed - 1e-9) - self.workers)

    def __str__(self) -> str:
        """Put it into words."""
        if math.isinf(self.seconds_needed):
            return f"nothing was finished of late, {self.videos_left:,.0f} videos are left and {self.workers} workers are there"
        plan = "" if self.plan_complete else ", and the plan still grows, so it will be later"
        ends = f"at this pace {self.videos_left:,.0f} videos take another {span(self.seconds_needed)}{plan}"
        return f"{ends}; {self._remedy()}" if self.late else ends

    def _remedy(self) -> str:
        more = self.more_workers
        return f"{more} more workers (now {self.workers}) would make it" if more else "no number of workers that can be told makes it"


def span(seconds: float) -> str:
    """A duration as people say it."""
    minutes = math.ceil(seconds / 60)
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
