"""What a job is likely to be and to cost, before it is begun."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.model import SCHEMA_VERSION, Model
from schemas.work import Work

GIGABYTE = 1 << 30
"""As S3 bills it."""

Price = Annotated[float, Field(ge=0)]


class Prices(Model):
    """What is paid for what, in dollars: those of S3 Standard in us-east-1, as listed on aws.amazon.com/s3/pricing in 2026."""

    accelerator_hour: Price
    """Of one accelerator with the machine around it; nobody's default."""
    thousand_gets: Price = 0.0004
    """GET and HEAD."""
    thousand_puts: Price = 0.005
    """PUT and LIST."""
    gigabyte_read: Price = 0.0
    """Of the videos' bytes on their way to the workers: free within a region."""
    gigabyte_month: Price = 0.023
    """Of the captions, kept."""


class Interval(Model):
    """An expected figure, and between what it lies with 95 % confidence."""

    expected: float
    low: float
    high: float

    def times(self, factor: float) -> "Interval":
        """The same in another unit."""
        return Interval(expected=self.expected * factor, low=self.low * factor, high=self.high * factor)


class Sample(Model):
    """How many videos were looked into."""

    probed: int
    """Read as a worker begins to read them, dead ones among them."""
    not_read: int = 0
    """That storage did not answer for; the estimate does without them."""
    frames: int
    """Keyframes that the recipe chooses of those probed."""
    seconds: float
    """Wall time the probes took."""
    whole: bool
    """Whether every video was probed, so that nothing is guessed."""


class Requests(Model):
    """Requests to storage, by kind."""

    get: float
    head: float
    put: float
    list: float


class Dollars(Model):
    """What a job is likely to cost, by part."""

    accelerators: float
    requests: float
    bytes: float
    storage_month: float
    """Of keeping the captions for a month."""
    total: float
    """All of it, with the first month's storage."""
    low: float
    """Of the total, with 95 % confidence as far as the number of frames goes; prices and speed are taken as said."""
    high: float
    per_million_frames: float | None


class Estimate(Model):
    """What a job is likely to be and to cost, how sure that is, and what it rests on."""

    schema_version: Literal[1] = SCHEMA_VERSION
    sources: tuple[str, ...]
    recipe: str
    recipe_id: str
    looked_at_all: bool
    """Whether the sources were walked to their end; if not, every figure is of the objects looked at, and a lower bound."""
    objects: int
    """That the sources hold, as far as they were looked at."""
    videos: int
    size_bytes: int
    skipped: dict[str, int]
    """Objects that are no part of the job, by cause."""
    sample: Sample
    frames: Interval
    dead_videos: Interval
    dead_by_reason: dict[str, float]
    """Videos likely to end as dead letters."""
    bytes_read: Interval
    """Of the videos, by ranges."""
    accelerator_hours: Interval
    caption_bytes: float
    shards: int
    plan_bytes: float
    messages: int
    """That go through Redis, one per shard."""
    requests: Requests
    prices: Prices
    dollars: Dollars
    measured: tuple[str, ...]
    """What the figures rest on that was looked at."""
    assumed: tuple[str, ...]
    """What they rest on that nobody looked at."""
    work: Work
    """What was learnt of these videos, for `launch --work`."""
