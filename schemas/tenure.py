"""Who feeds a job, and how far it is: what a producer writes of itself under the job's prefix."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from schemas.model import SCHEMA_VERSION, Model

Count = Annotated[int, Field(ge=0)]


class Published(Model):
    """Up to where the plan was sent to one memory of the broker: all parts before this one, and so many shards of it, the biggest first.

    While what stood in the plan before is gone over by prefix, `walked` names the shard up to which that is done.
    """

    round: Count = 0
    part: Count = 0
    shards: Count = 0
    walked: str | None = None


class Tenure(Model):
    """A producer's hold on a job, as it stands in `producer/<number>.json`; the highest number has it."""

    schema_version: Literal[1] = SCHEMA_VERSION
    number: Annotated[int, Field(ge=1)]
    who: str
    host: str
    pid: int
    process: str
    """What tells this process from any other, before or after it; empty where the system does not say."""
    token: str
    begun_at: datetime
    beat: Count = 0
    """Counts on while its holder is alive."""
    published: Published = Published()
    broker_epoch: str = ""
    """Which memory of the broker that is true of; another one has forgotten what was sent."""
    control_at: datetime | None = None
    """When the operator had his last word before that: who pauses has workers drop what was sent."""
    spent: dict[str, float] = Field(default_factory=dict)
    """What the job has cost so far, by unit."""
    released: bool = False
    """Whether its holder ended in order."""

    def __str__(self) -> str:
        """Put it into words: `ann@host, process 12, since 2026-01-02 03:04 UTC`."""
        return f"{self.who}@{self.host}, process {self.pid}, since {self.begun_at:%Y-%m-%d %H:%M %Z}"
