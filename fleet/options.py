"""Options that several commands share, and what they turn into."""

import getpass
import inspect
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from importlib.metadata import version
from typing import Annotated, Any

import typer

from fleet.learnt import work_from
from fleet.reachable import reached
from producer.sources import INVENTORY, open_sources
from schemas.job import SHARD_SECONDS, Compression, JobSpec, Selection
from schemas.recipe import KeyframePolicy, Recipe, load_recipe
from schemas.work import Work
from storage import split_uri
from storage.job import Job, open_job
from workers.settings import EngineName

ENGINE_RECIPES: dict[EngineName, str] = {"vllm": "vidcap-12b", "opencv": "opencv", "openai": "vidcap-12b", "scripted": "vidcap-12b"}
"""The recipe that goes with an engine unless another is asked for."""

WorkerRecipe = Annotated[
    str | None,
    typer.Option("--recipe", help="The recipe whose model vllm hosts: a house recipe or a TOML file.", envvar="FRAMEFLEET_RECIPE"),
]
JobUrl = Annotated[str, typer.Argument(metavar="JOB", help="The job's output prefix.")]
Broker = Annotated[str, typer.Option("--broker", help="Broker URL: redis://, rediss:// or sentinel://.", envvar="FRAMEFLEET_BROKER_URL")]
Engine = Annotated[EngineName, typer.Option(help="What captions the frames.", envvar="FRAMEFLEET_ENGINE")]
OpenAiUrl = Annotated[
    str | None, typer.Option("--openai-url", help="Base URL of an OpenAI-compatible endpoint.", envvar="FRAMEFLEET_OPENAI_BASE_URL")
]
OpenAiModel = Annotated[
    str | None, typer.Option("--openai-model", help="The endpoint's name of the model.", envvar="FRAMEFLEET_OPENAI_MODEL")
]
Workers = Annotated[int | None, typer.Option(help="Worker processes on this machine. [2; one for vllm]", min=1)]
Endpoint = Annotated[str | None, typer.Option("--endpoint-url", help="S3 endpoint of a store other than AWS.", envvar="AWS_ENDPOINT_URL")]
Profile = Annotated[str | None, typer.Option("--profile", help="AWS profile with credentials and region.", envvar="AWS_PROFILE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SourceNames = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Folders, s3:// prefixes, single videos, manifests (.txt, .jsonl, .parquet, - for stdin), or inventory+s3://bucket.",
    ),
]
Out = Annotated[str, typer.Option("--out", help="Output prefix: a folder or s3://bucket/prefix. It names the job.")]
RecipeName = Annotated[str | None, typer.Option("--recipe", help="A house recipe or a TOML file; the engine's own if left out.")]
Every = Annotated[float | None, typer.Option(help="Keyframes at least this many seconds apart; 0 takes all. [recipe: 2]", min=0)]
MaxFrames = Annotated[int | None, typer.Option(help="At most so many keyframes per video; 0 takes all. [recipe: 64]", min=0)]
Scenes = Annotated[
    float | None,
    typer.Option(help="Only keyframes at which the scene changes by this much (27 is usual); 0 takes all. [recipe: 0]", min=0, max=255),
]
SkipDuplicates = Annotated[
    float | None,
    typer.Option(
        help="Copy the caption to keyframes within this distance of the one captioned last (try 8); 0 copies none. [recipe: 0]",
        min=0,
        max=255,
    ),
]
Include = Annotated[list[str] | None, typer.Option(help="Take only paths that match this glob; may be repeated.")]
Exclude = Annotated[list[str] | None, typer.Option(help="Leave out paths that match this glob; may be repeated.")]
AllFiles = Annotated[bool, typer.Option("--all-files", help="Take every file, not only those with a video suffix.")]
MinSize = Annotated[int, typer.Option(help="Leave out smaller objects, in bytes.", min=0)]
MaxSize = Annotated[int, typer.Option(help="Leave out larger objects, in bytes; 0 is no limit.", min=0)]
After = Annotated[datetime | None, typer.Option("--modified-after", help="Leave out objects that are older, by UTC date or time.")]
Before = Annotated[datetime | None, typer.Option("--modified-before", help="Leave out objects that are newer.")]
Limit = Annotated[int, typer.Option(help="Stop after so many videos; 0 is no limit.", min=0)]
PerShard = Annotated[int, typer.Option(help="Videos per output object; 0 groups them by predicted work, from 1 to 256.", min=0)]
ShardSeconds = Annotated[float, typer.Option(help="Predicted work of an output object at most, in seconds of one accelerator.", min=1)]
WorkFile = Annotated[
    str | None, typer.Option("--work", help="What framefleet plan --json wrote: shards are cut by the work that its sample showed.")
]
Compress = Annotated[Compression, typer.Option(help="Compress the output lines.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `caption` and `launch` both ask of a job; each field is an option."""

    sources: SourceNames
    dest: Out
    engine: Engine = "opencv"
    recipe: RecipeName = None
    every: Every = None
    max_frames: MaxFrames = None
    scenes: Scenes = None
    skip_duplicates: SkipDuplicates = None
    include: Include = None
    exclude: Exclude = None
    all_files: AllFiles = False
    min_size: MinSize = 0
    max_size: MaxSize = 0
    modified_after: After = None
    modified_before: Before = None
    limit: Limit = 0
    videos_per_shard: PerShard = 0
    shard_seconds: ShardSeconds = SHARD_SECONDS
    compression: Compress = "none"
    work: WorkFile = None
    endpoint_url: Endpoint = None
    profile: Profile = None

    def job(self) -> tuple[Job, JobSpec]:
        """Open the job and record what is asked of it.

        Raises:
            OperatorError: the recipe is not valid, or the output belongs to other work.
        """
        use_storage(self.endpoint_url, self.profile)
        job, spec = open_job(absolute(self.dest)), self._spec()
        with reached(job.url):
            begun = job.exists()
        if not begun:  # a mistyped source must not claim the output prefix
            open_sources(spec.sources, spec.selection).check()
        with reached(job.url):
            return job, job.create_spec(spec)

    def stale(self) -> tuple[Job, JobSpec]:
        """Open a job that stands, and ask it for another recipe.

        Raises:
            OperatorError: there is no such job, or it is of other work.
        """
        use_storage(self.endpoint_url, self.profile)
        job, spec = open_job(absolute(self.dest)), self._spec()
        with reached(job.url):
            standing = job.latest_spec()
        asked = spec.model_copy(update={"recipe": standing.recipe, "recipe_id": standing.recipe_id})
        job.refuse_other_work(standing, asked)
        return job, spec

    def _spec(self) -> JobSpec:
        recipe = self._recipe()
        return JobSpec(
            sources=tuple(map(absolute, self.sources)),
            selection=self._selection(),
            videos_per_shard=self.videos_per_shard,
            shard_seconds=self.shard_seconds,
            compression=self.compression,
            work=work_from(self.work) if self.work else Work(),
            recipe=recipe,
            recipe_id=recipe.recipe_id,
            created_at=datetime.now(UTC),
            created_by=getpass.getuser(),
            framefleet=version("framefleet"),
        )

    def _recipe(self) -> Recipe:
        policy = {"every": self.every, "max_frames": self.max_frames, "scenes": self.scenes, "skip_duplicates": self.skip_duplicates}
        return recipe_of(self.recipe, self.engine, **policy)

    def _selection(self) -> Selection:
        return Selection(
            include=tuple(self.include or ()),
            exclude=tuple(self.exclude or ()),
            all_files=self.all_files,
            min_size_bytes=self.min_size,
            max_size_bytes=self.max_size,
            modified_after=in_utc(self.modified_after),
            modified_before=in_utc(self.modified_before),
            limit=self.limit,
        )


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all the options of `Asked`, which it takes as its first argument, before its own."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    shared = list(inspect.signature(Asked, eval_str=True).parameters.values())
    names = {parameter.name for parameter in shared}

    @wraps(command)
    def with_asked(**given: Any) -> None:
        asked = Asked(**{name: value for name, value in given.items() if name in names})
        command(asked, **{name: value for name, value in given.items() if name not in names})

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*shared, *own)]
    with_asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_asked.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_asked


def use_storage(endpoint_url: str | None, profile: str | None) -> None:
    """Hand the storage options to this process and its children, where boto3 looks for them."""
    for name, value in {"AWS_ENDPOINT_URL": endpoint_url, "AWS_PROFILE": profile}.items():
        if value:
            os.environ[name] = value


def opened(job: str, endpoint_url: str | None, profile: str | None) -> Job:
    """Open a job that must be there.

    Raises:
        OperatorError: there is none, or none that this version understands.
    """
    use_storage(endpoint_url, profile)
    place = open_job(absolute(job))
    with reached(place.url):
        place.spec()
    return place


def engine_env(engine: EngineName, *, openai_url: str | None, openai_model: str | None, recipe: str | None = None) -> dict[str, str]:
    """What a worker's environment says of its engine."""
    asked = {
        "FRAMEFLEET_ENGINE": engine,
        "FRAMEFLEET_OPENAI_BASE_URL": openai_url,
        "FRAMEFLEET_OPENAI_MODEL": openai_model,
        "FRAMEFLEET_RECIPE": recipe,
    }
    return {name: value for name, value in asked.items() if value}


def workers_for(engine: EngineName, asked: int | None) -> int:
    """How many workers: a model fills an accelerator, and anything else is served well by two."""
    return asked or (1 if engine == "vllm" else 2)


POLICY = {"every": "min_gap_seconds", "max_frames": "max_per_video", "scenes": "scene_threshold", "skip_duplicates": "duplicate_distance"}
"""What the options on keyframes are called in a recipe."""


def recipe_of(name: str | None, engine: EngineName, **asked: float | None) -> Recipe:
    """Load the recipe and lay the command's options on keyframes over it; None was not asked."""
    recipe = load_recipe(name or ENGINE_RECIPES[engine])
    policy = {POLICY[option]: value for option, value in asked.items() if value is not None}
    return recipe.model_copy(update={"keyframes": KeyframePolicy.model_validate(recipe.keyframes.model_dump() | policy)})


def in_utc(moment: datetime | None) -> datetime | None:
    """A moment as an operator typed it."""
    return moment.replace(tzinfo=UTC) if moment else None


def absolute(place: str) -> str:
    """A source or output as it will still be understood from another folder.

    Raises:
        OperatorError: it is an address that was mistyped.
    """
    kind, found, path = place.rpartition(INVENTORY)
    if path == "-" or "://" in path:
        return place
    split_uri(path)
    return f"{kind}{found}{os.path.abspath(path)}"  # noqa: PTH100 - a URI's folder, not a Path


def use_worker(env: dict[str, str], broker: str | None) -> None:
    """Put what was asked of a worker where its settings are read."""
    os.environ.update(env | ({"FRAMEFLEET_BROKER_URL": broker} if broker else {}))


def without_password(broker: str) -> str:
    """A broker's URL as it may stand in a log."""
    credentials, found, place = broker.rpartition("@")
    return f"{credentials.partition('://')[0]}://***@{place}" if found else broker


def engine_for(recipe: Recipe) -> EngineName:
    """The engine that a recipe was made for."""
    return "opencv" if recipe.model.name == load_recipe("opencv").model.name else "openai"


def worker_name() -> str:
    """A name that no other worker has, on this host or another."""
    return f"{socket.gethostname()}-{os.getpid()}"
