"""What was asked for: the job's spec, its plan's headers and its last page."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from schemas.model import SCHEMA_VERSION, Model
from schemas.recipe import Recipe

Compression = Literal["none", "zst", "gz"]
SUFFIXES: dict[Compression, str] = {"none": "", "zst": ".zst", "gz": ".gz"}


IDENTITY = ("source", "selection", "videos_per_shard", "compression", "recipe_id")
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
    limit: Annotated[int, Field(ge=0)] = 0
    """Stop after this many videos; zero means no limit."""


class JobSpec(Model):
    """A job, as it stands in `job.json` under its output prefix."""

    schema_version: Literal[1] = SCHEMA_VERSION
    source: str
    selection: Selection = Selection()
    videos_per_shard: Annotated[int, Field(ge=0)] = 0
    """Zero lets shards grow with the job, from 1 to 64 videos."""
    compression: Compression = "none"
    recipe: Recipe
    recipe_id: str
    created_at: datetime
    created_by: str
    framefleet: str
    """Version of the code that made the job."""

    def same_work_as(self, other: "JobSpec") -> bool:
        """Whether both ask for the same output, whoever asked and when."""
        return all(getattr(self, name) == getattr(other, name) for name in IDENTITY)


class PlanPartHeader(Model):
    """First line of a part of the plan; the part's shards follow, a line each."""

    part: Annotated[int, Field(ge=0)]
    cursor: str
    """Where in its source the producer stands after this part."""
    shards: int
    videos: int
    size_bytes: int
    """Bytes of all the videos planned in this part."""
    skipped: dict[str, int] = Field(default_factory=dict)
    """Objects of the source left out so far, counted by cause."""


class PlanPartSeal(Model):
    """What `complete.json` remembers of a part."""

    key: str
    sha256: str
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
