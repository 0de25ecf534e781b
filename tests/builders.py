"""Small jobs built by hand over a memory store, for tests of what reads and writes them."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.annotation import FrameAnnotation
from schemas.job import JobSpec, PlanComplete, PlanPartHeader
from schemas.reasons import Reason, Stage
from schemas.recipe import ModelRef, Prompt, Recipe
from schemas.record import Attempt, DeadLetter, FrameRecord, Scope, SecondsSpent, Usage
from schemas.task import ShardTask, shard_id
from schemas.video import VideoRef, frame_id
from storage import ObjectMeta, Page, Store
from storage.job import Job
from storage.memory import MemoryStore

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RECIPE = Recipe(name="test", model=ModelRef(name="tiny", revision="1"), prompt=Prompt(short_text="Be brief.", long_text="Describe."))
ANNOTATION = FrameAnnotation(
    description="A red square on white.",
    objects=("square",),
    actions=(),
    environment="A plain background.",
    content_type="graphics",
    specific_style="flat",
    production_quality="clean",
    summary="A red square.",
    logos=(),
)
USAGE = Usage(prompt_tokens=10, image_tokens=256, output_tokens=20, finish_reason="stop", rung="constrained")
ATTEMPT = Attempt(number=1, worker="host:1", at=AT)


def spec_of(recipe: Recipe = RECIPE, **fields) -> JobSpec:
    sources = {"sources": (fields.pop("source"),)} if "source" in fields else {}
    given = {"sources": ("memory://clips",), "created_at": AT, "created_by": "ann", "framefleet": "0.1.0"} | sources | fields
    return JobSpec(recipe=recipe, recipe_id=recipe.recipe_id, **given)


def new_store(prefix: str = "") -> MemoryStore:
    """A memory store that no other test has."""
    return MemoryStore(uuid.uuid4().hex, prefix=prefix)


def film(store: Store, name: str, body: bytes = b"") -> VideoRef:
    """Put a video into a store; its body is its name unless one is given."""
    store.create(name, body or name.encode())
    meta = store.head(name)
    return VideoRef(uri=f"{store.url}/{name}", etag=meta.etag, size_bytes=meta.size_bytes)


def overwrite(store: Store, key: str, body: bytes) -> None:
    """Change a video behind the fleet's back, as its owner may at any time."""
    store.replace(key, body)


class WatchedStore:
    """A store that remembers what was written, in order, in a list that a test may share with other fakes."""

    def __init__(self, store: Store, events: list[str]) -> None:
        self.url = store.url
        self.events = events
        self._store = store

    def head(self, key: str) -> ObjectMeta:
        return self._store.head(key)

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        return self._store.get_range(key, start=start, end=end, etag=etag)

    def pages(self, prefix: str = "", *, start_after: str = "", most: int = 1000) -> Iterator[Page]:
        return self._store.pages(prefix, start_after=start_after, most=most)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        return self._store.list(prefix, start_after=start_after)

    def create(self, key: str, body: bytes) -> bool:
        self.events.append(key)
        return self._store.create(key, body)

    def replace(self, key: str, body: bytes) -> None:
        self.events.append(key)
        self._store.replace(key, body)


@dataclass
class HandmadeJob:
    """A job whose plan, commits and letters a test writes itself."""

    spec: JobSpec = field(default_factory=spec_of)
    source: Store = field(default_factory=new_store)
    job: Job = field(default_factory=lambda: Job(new_store("run")))

    def __post_init__(self) -> None:
        self.job.create_spec(self.spec)

    def film(self, name: str) -> VideoRef:
        return film(self.source, name)

    def shard(self, *names: str) -> ShardTask:
        """A shard of new videos, planned."""
        task = self.task(*(self.film(name) for name in names))
        self.plan(task)
        return task

    def task(self, *videos: VideoRef) -> ShardTask:
        recipe_id = self.spec.recipe_id
        return ShardTask(job=self.job.url, shard_id=shard_id(recipe_id, videos), recipe_id=recipe_id, videos=videos)

    def plan(self, *tasks: ShardTask) -> None:
        """Plan shards, as one more part."""
        videos = [video for task in tasks for video in task.videos]
        before = self.job.ledger().totals()
        header = PlanPartHeader(
            part=len(self.job.ledger().heads()),
            recipe_id=self.spec.recipe_id,
            cursor=videos[-1].uri,
            shards=len(tasks),
            videos=len(videos),
            size_bytes=sum(video.size_bytes for video in videos),
            shards_before=before.shards,
            videos_before=before.videos,
        )
        assert self.job.ledger().create_part(header, tasks)

    def complete(self) -> None:
        seals = self.job.ledger().seals()
        shards, videos = sum(seal.shards for seal in seals), sum(seal.videos for seal in seals)
        self.job.complete_plan(PlanComplete(parts=seals, shards=shards, videos=videos, skipped={}))

    def commit(self, task: ShardTask, *records: FrameRecord) -> bool:
        return self.job.commit(task, records, self.spec)

    def bury(self, *letters: DeadLetter) -> None:
        for letter in letters:
            self.job.write_letter(letter)


def below(task: ShardTask, name: str, place: int = 0, *, only: tuple[int, ...] | None = None) -> ShardTask:
    """A descendant of a shard, for the video in one place."""
    return task.model_copy(update={"shard_id": f"{task.shard_id}.{name}", "videos": (task.videos[place],), "only_frames": only})


def line(task: ShardTask, index: int = 0, of: int = 1, *, place: int = 0, **fields) -> FrameRecord:
    """The line of one frame; frames are a second apart."""
    video = fields.get("video", task.videos[place])
    given = {
        "job": task.job,
        "shard_id": task.shard_id,
        "frame_id": frame_id(video, stream_index=0, pts=index * 1000),
        "video": video,
        "stream_index": 0,
        "pts": index * 1000,
        "pts_seconds": float(index),
        "duration_seconds": None,
        "width": 640,
        "height": 360,
        "frame_index": index,
        "frames_chosen": of,
        "annotation": ANNOTATION,
        "recipe_id": task.recipe_id,
        "usage": USAGE,
        "attempts": 1,
        "seconds": SecondsSpent(decode=0.01, caption=0.2),
        "versions": {"framefleet": "0.1.0"},
    }
    return FrameRecord.model_validate(given | fields)


def lines(task: ShardTask, of: int, *, place: int = 0, but: tuple[int, ...] = ()) -> list[FrameRecord]:
    """The lines of a video's frames, but for some."""
    return [line(task, index, of, place=place) for index in range(of) if index not in but]


def letter(task: ShardTask, index: int | None = None, of: int | None = None, *, place: int = 0, **fields) -> DeadLetter:
    """The dead letter of a video, or of one frame of it."""
    given = {
        "job": task.job,
        "shard_id": task.shard_id,
        "place": place,
        "scope": Scope.VIDEO if index is None else Scope.FRAME,
        "video": task.videos[place],
        "frame_index": index,
        "frames_chosen": of,
        "reason": Reason.CORRUPT,
        "stage": Stage.DECODE,
        "message": "It is broken.",
        "attempts": (ATTEMPT,),
        "recipe_id": task.recipe_id,
        "model": "tiny@1",
        "versions": {"framefleet": "0.1.0"},
        "replay": "framefleet dead redrive",
    }
    return DeadLetter.model_validate(given | fields)
