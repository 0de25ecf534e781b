"""One shard, a scripted decoder and a scripted engine: what a worker's pipeline is tried with."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from builders import ANNOTATION, ATTEMPT, RECIPE, USAGE, HandmadeJob, WatchedStore, new_store, spec_of

from broker.progress import Tally
from fleet.audit import audit
from schemas.errors import PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.recipe import ImageSize, KeyframePolicy, Recipe
from schemas.record import DeadLetter, FrameRecord
from schemas.task import Changes, ShardTask
from storage import Store
from storage.job import Job
from workers.keyframe import DeadFrame, Keyframe, Picture
from workers.ladder import Caption
from workers.media import ByteSource
from workers.media.costs import ReadCosts
from workers.pipeline import ShardRun

CAPTION = Caption(ANNOTATION, USAGE, 0.1)
BROKEN = PermanentError(Reason.CORRUPT, Stage.DECODE, "broken")
REFUSED = PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, "refused")
BUSY = TransientError("busy")
Scene = Keyframe | DeadFrame | Exception


def frame(index: int, of: int, says: str = "", *, level: int | None = None) -> Keyframe:
    """A keyframe whose picture spells what the engine is to be told apart by, and whose thumbnail, if it has one, is of one level."""
    rgb = says.encode().ljust(3)[:3]
    thumbnail = None if level is None else bytes([level]) * 3
    return Keyframe(index, of, 0, index * 1000, float(index), None, 640, 360, Picture(rgb, 1, 1), 0.01, thumbnail)


def levels(*levels: int, says: str = "") -> list[Scene]:
    """The keyframes of a video whose near duplicates are to be skipped."""
    return [frame(index, len(levels), says, level=level) for index, level in enumerate(levels)]


def frames(of: int, *, but: tuple[int, ...] = ()) -> list[Scene]:
    return [frame(index, of) for index in range(of) if index not in but]


@dataclass
class ScriptedDecoder:
    """Reads a video's bytes, which name its script, and plays that: frames are yielded, errors raised."""

    scripts: dict[str, list[Scene]]
    policy: KeyframePolicy
    asked: list[tuple[str, frozenset[int] | None]] = field(default_factory=list)

    def keyframes(self, source: ByteSource, recipe: Recipe, *, only_frames: frozenset[int] | None) -> Iterator[Keyframe | DeadFrame]:
        assert (recipe.keyframes, recipe.image) == (self.policy, ImageSize())
        name = source.read(start=0, end=source.size_bytes).decode()
        self.asked.append((name, only_frames))
        for scene in self.scripts.get(name, frames(2)):
            if isinstance(scene, Exception):
                raise scene
            if only_frames is None or scene.frame_index in only_frames:
                yield scene


@dataclass
class FakeRoom:
    """A room whose engine answers at once, or as it is told by what a picture spells."""

    decoder: ScriptedDecoder
    answers: dict[str, Exception | None] = field(default_factory=dict)
    """An error to fail with; None never answers."""
    futures: list["Future[Caption]"] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=lambda: {"framefleet": "9"})
    read_costs: ReadCosts = field(default_factory=ReadCosts)
    changes: list[Changes] = field(default_factory=list)

    def keyframes(
        self, source: ByteSource, recipe: Recipe, *, only_frames: frozenset[int] | None, changes: Changes
    ) -> Iterator[Keyframe | DeadFrame]:
        self.changes.append(changes)
        return self.decoder.keyframes(source, recipe, only_frames=only_frames)

    def turn(self) -> int:
        return 0

    def caption(self, picture: Picture, _recipe: Recipe, *, turn: int, changes: Changes) -> "Future[Caption]":
        self.changes.append(changes)
        assert turn == self.turn()
        future: Future[Caption] = Future()
        self.futures.append(future)
        answer = self.answers.get(picture.body.decode().strip(), CAPTION)
        if isinstance(answer, Exception):
            future.set_exception(answer)
        elif answer is not None:
            future.set_result(answer)
        return future


@dataclass
class Trial:
    """One shard, its job, and what a worker makes of it."""

    scripts: dict[str, list[Scene]] = field(default_factory=dict)
    answers: dict[str, Exception | None] = field(default_factory=dict)
    source: Store = field(default_factory=new_store)
    policy: KeyframePolicy = field(default_factory=KeyframePolicy)
    events: list[str] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)

    def __post_init__(self) -> None:
        spec = spec_of(RECIPE.model_copy(update={"keyframes": self.policy}))
        self.handmade = HandmadeJob(spec, self.source, Job(WatchedStore(new_store("run"), self.events)))
        self.shard = self.handmade.shard("a", "b", "c")
        self.handmade.complete()
        self.events.clear()
        self.room = FakeRoom(ScriptedDecoder(self.scripts, self.policy), self.answers)

    @property
    def job(self) -> Job:
        return self.handmade.job

    def run(self, task: ShardTask | None = None) -> list[ShardTask]:
        return ShardRun(task or self.shard, self.job, self.handmade.spec, self.room, ATTEMPT, self.tallies.append).run()

    def records(self) -> list[FrameRecord]:
        return self.job.records(self.shard.shard_id)

    def letters(self) -> list[DeadLetter]:
        return [found for _, found in self.job.letters(self.shard.shard_id)]

    def captioned(self) -> list[tuple[str, int]]:
        return sorted((record.video.uri.rpartition("/")[2], record.frame_index) for record in self.records())

    def dead(self) -> list[tuple[str, int | None, str]]:
        return sorted(((one.video.uri.rpartition("/")[2], one.frame_index, one.reason.value) for one in self.letters()), key=str)

    def proven(self) -> bool:
        report = audit(self.job)
        return report.complete and report.clean
