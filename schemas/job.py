"""What was asked for: the job's spec, its plan's headers and its last page."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.model import SCHEMA_VERSION, Model
from schemas.recipe import Recipe
from schemas.work import Work

Compression = Literal["none", "zst", "gz"]
SUFFIXES: dict[Compression, str] = {"none": "", "zst": ".zst", "gz": ".gz"}
SHARD_SECONDS = 120.0

IDENTITY = ("sources", "selection", "videos_per_shard", "shard_seconds", "compression", "recipe_id")
"""What of a spec decides its output; who asked and when does not."""


class Selection(Model):
    """Which objects of a source are videos to caption."""

    include: tuple[str, ...] = ()
    """Globs on the path below the source; none means everything."""
    exclude: tuple[str, ...] = ()
    all_files: bool = False
    """Take every file of a folder or prefix, not only those with a video suffix."""
    min_size_bytes: Annotated[int, Field(ge=0)] = 0
    max_size_bytes: Annotated[int, Field(ge=0)] = 0
    """Zero means no limit."""
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    limit: Annotated[int, Field(ge=0)] = 0
    """Stop after this many videos; zero means no limit."""


class JobSpec(Model):
    """A job, as it stands in `job.json` under its output prefix."""

    schema_version: Literal[1] = SCHEMA_VERSION
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    selection: Selection = Selection()
    videos_per_shard: Annotated[int, Field(ge=0)] = 0
    """Zero groups videos by predicted work."""
    shard_seconds: Annotated[float, Field(gt=0)] = SHARD_SECONDS
    """How much predicted work a shard holds, once the job has grown."""
    work: Work = Work()
    """What is known of the work that a video makes."""
    compression: Compression = "none"
    recipe: Recipe
    recipe_id: str
    created_at: datetime
    created_by: str
    framefleet: str
    """Version of the code that made the job."""

    @property
    def source(self) -> str:
        """The sources, in words."""
        return ", ".join(self.sources)

    def same_work_as(self, other: "JobSpec") -> bool:
        """Whether both ask for the same output, whoever asked and when."""
        return all(getattr(self, name) == getattr(other, name) for name in IDENTITY)


class Why(StrEnum):
    """Why a job's source is looked at again."""

    ADDED = "added"
    """For videos that are new or have changed."""
    STALE = "stale"
    """For videos whose latest record has another recipe."""


class Round(Model):
    """A later look at a job's sources, as it stands in `round.json` beside its part of the plan."""

    schema_version: Literal[1] = SCHEMA_VERSION
    number: Annotated[int, Field(ge=1)]
    why: Why
    recipe: Recipe
    recipe_id: str
    work: Work = Work()
    created_at: datetime
    created_by: str
    framefleet: str


class PlanPartHeader(Model):
    """What a part of the plan says of itself."""

    round: Annotated[int, Field(ge=0)] = 0
    part: Annotated[int, Field(ge=0)]
    recipe_id: str
    cursor: str
    """Where in its source the producer stands after this part."""
    shards: int
    videos: int
    size_bytes: int
    """Bytes of all the videos planned in this part."""
    seconds: float = 0.0
    """Predicted work of them."""
    shards_before: int = 0
    """Shards in the parts of this round before this one."""
    videos_before: int = 0
    skipped: dict[str, int] = Field(default_factory=dict)
    """Objects of the source left out so far, counted by cause."""


class PlanPartSeal(Model):
    """What `complete.json` remembers of a part."""

    key: str
    sha256: str
    """Of the part's index, which holds the sums of all its slices."""
    shards: int
    videos: int


class PlanComplete(Model):
    """The source is exhausted: this many shards and videos, in these parts."""

    schema_version: Literal[1] = SCHEMA_VERSION
    parts: tuple[PlanPartSeal, ...]
    shards: int
    videos: int
    skipped: dict[str, int]
    """Objects of the source that were not planned, counted by cause."""
