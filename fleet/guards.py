"""What follows from a job's cost and pace: warnings, and a pause where the operator asked for that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fleet.deadline import Outlook, Pace
from fleet.spent import Spent
from schemas.control import ControlState
from schemas.estimate import Prices
from storage.control import read_control, set_control
from storage.job import Job

WARN_AT = 0.8
AGAIN_SECONDS = 600.0
"""A warning that still holds is given again after so long."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Budget:
    """Warns when most of a budget is spent, and pauses the job when all is."""

    job: Job
    dollars: float
    prices: Prices
    say: Say
    _warned: bool = False

    def heed(self, spent: Spent, workers: int) -> None:
        """Compare; who resumes a job whose budget is spent finds it paused again."""
        paid = spent.dollars(self.prices)
        if paid >= self.dollars:
            self._stop(f"{paid:,.2f} of {self.dollars:,.2f} dollars are spent")
        elif paid >= WARN_AT * self.dollars and not self._warned:
            self._warned = True
            self.say(
                f"{paid:,.2f} dollars are spent, {paid / self.dollars:.0%} of the budget of {self.dollars:,.2f}, by {workers} workers now; "
                f"at the budget {self.job.url} is paused."
            )

    def _stop(self, why: str) -> None:
        remedy = f"To go on, end this command, then: framefleet resume {self.job.url}, and run it again with a larger --budget"
        pause(self.job, by="budget", why=why, remedy=remedy, say=self.say)


@dataclass(frozen=True, slots=True)
class Planned:
    """How much is planned so far."""

    videos: int
    complete: bool


@dataclass(slots=True)
class Deadline:
    """Warns when the job will not be done in time; pauses it then only if asked to."""

    job: Job
    moment: datetime
    planned: Callable[[], Planned]
    say: Say
    stops: bool = False
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _pace: Pace = field(default_factory=Pace)
    _warned_at: datetime | None = None

    def heed(self, spent: Spent, workers: int) -> None:
        """Look ahead, once the pace is known."""
        now, planned = self.now(), self.planned()
        self._pace.note(now.timestamp(), spent.videos)
        left = max(0.0, planned.videos - spent.videos)
        if now >= self.moment and (left or not planned.complete):
            self._over(left)
        elif (speed := self._pace.videos_per_second) is not None:
            self._look_ahead(Outlook((self.moment - now).total_seconds(), left, speed, workers, planned.complete), now)

    def _look_ahead(self, outlook: Outlook, now: datetime) -> None:
        if not outlook.late:
            if self._warned_at is not None:
                self.say(f"The deadline {self._named} will be met again: {outlook}.")
            self._warned_at = None
        elif self._may_warn(now):
            self.say(f"The deadline {self._named} will be missed: {outlook}.{'' if self.stops else ' Nothing is stopped for that.'}")

    def _over(self, left: float) -> None:
        if self.stops:
            remedy = f"To go on, end this command, then: framefleet resume {self.job.url}, and run it again without --stop-at-deadline"
            pause(self.job, by="deadline", why=f"{self._named} has come, {left:,.0f} videos are left", remedy=remedy, say=self.say)
        elif self._may_warn(self.now()):
            self.say(f"The deadline {self._named} has passed, and {left:,.0f} videos are left. Nothing is stopped for that.")

    def _may_warn(self, now: datetime) -> bool:
        due = self._warned_at is None or now - self._warned_at >= timedelta(seconds=AGAIN_SECONDS)
        self._warned_at = now if due else self._warned_at
        return due

    @property
    def _named(self) -> str:
        return f"{self.moment:%Y-%m-%d %H:%M %Z}"


def pause(job: Job, *, by: str, why: str, remedy: str, say: Say) -> None:
    """Pause a job that is running, and say so; one that is paused or cancelled already is left as it is."""
    if read_control(job).state is not ControlState.RUNNING:
        return
    set_control(job, ControlState.PAUSED, by=by, why=why)
    say(f"{job.url} is paused: {why}. Workers obey within seconds, and nothing is lost. {remedy}")
