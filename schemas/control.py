"""What the operator wants of a job: that it goes on, waits, or is given up."""

from datetime import datetime
from enum import StrEnum

from schemas.errors import FleetError
from schemas.model import Model


class ControlState(StrEnum):
    """What producers and workers do with a job."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"


class Control(Model):
    """The operator's last word on a job, as it stands in `control.json` under its output prefix."""

    state: ControlState = ControlState.RUNNING
    at: datetime | None = None
    """None where nobody ever said anything."""
    by: str = ""
    why: str = ""

    def __str__(self) -> str:
        """Put it into words: `paused by ann at 2026-01-02 03:04 UTC (the disk is full)`."""
        what = "running, resumed" if self.state is ControlState.RUNNING and self.by else self.state.value
        when = f"at {self.at:%Y-%m-%d %H:%M %Z}" if self.at else ""
        told = [what, f"by {self.by}" if self.by else "", when, f"({self.why})" if self.why else ""]
        return " ".join(word for word in told if word)


class HaltedError(FleetError):
    """The job is paused or cancelled, so the command ends; nothing is lost, and the message says how to go on."""
