"""The story of a shard: fetch, decode, caption, validate, commit. Everything else in this room is a footnote to it."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

from broker.progress import Tally
from schemas.errors import PermanentError
from schemas.job import JobSpec
from schemas.reasons import Stage
from schemas.record import Attempt, DeadLetter, Fetched, FrameRecord
from schemas.task import ShardTask
from schemas.video import VideoRef
from storage.job import Job
from workers.descendants import refuse_split, remainder
from workers.feeding import forget_way
from workers.fetch import open_video, verdict
from workers.keyframe import Keyframe
from workers.ladder import Caption
from workers.media import ByteSource
from workers.media.ranges import StoreSource
from workers.records import Death, Draft, letter_of
from workers.room import Room
from workers.similarity import distance
from workers.watch import Watch


@dataclass(frozen=True, slots=True)
class Original:
    """The last frame of a video that was handed to the engine."""

    draft: Draft
    thumbnail: bytes
    caption: "Future[Caption]"


@dataclass(slots=True)
class VideoWork:
    """A video whose keyframes are on their way through the engine."""

    place: int
    video: VideoRef
    turn: int
    """Its shard's turn at the engine."""
    captions: list[tuple[Draft, "Future[Caption]"]] = field(default_factory=list)
    """Near duplicates wait for the caption of the frame that they copy."""
    original: Original | None = None
    deaths: list[Death] = field(default_factory=list)
    frames_chosen: int = 0
    fetched: Fetched = field(default_factory=Fetched)

    def done(self) -> bool:
        """Whether waiting for it would take no time."""
        return all(future.done() for _, future in self.captions)

    def cancel(self) -> None:
        """Take back what the engine has not answered yet."""
        for _, future in self.captions:
            future.cancel()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a video: its lines, why the rest is dead, and what reading it took."""

    records: tuple[FrameRecord, ...]
    deaths: tuple[Death, ...]
    fetched: Fetched


@dataclass(frozen=True, slots=True)
class ShardRun:
    """One attempt at a shard."""

    task: ShardTask
    job: Job
    spec: JobSpec
    room: Room
    attempt: Attempt
    count: Callable[[Tally], None]
    watch: Watch = field(default_factory=Watch)

    def run(self) -> list[ShardTask]:
        """Work the shard to its end, whoever began it; returns the shards that stand for what it leaves open.

        Raises:
            TransientError: storage or the engine is busy; nothing was committed.
            FatalError: this worker is unfit to go on.
            FleetError: whoever watches says stop; nothing was committed.
        """
        if self.job.is_committed(self.task.shard_id, self.spec):
            return remainder(self.job, self.task)
        outcomes = list(self._outcomes())
        self.watch.judge(outcomes)
        return self.end(outcomes)

    def end(self, outcomes: Sequence[Outcome]) -> list[ShardTask]:
        """Commit what became of the videos, and then write the letters of the dead; returns what is left open."""
        self.watch.at(Stage.COMMIT)
        records = [record for outcome in outcomes for record in outcome.records]
        if not records and len(self.task.videos) > 1:
            refuse_split(self.job, self.task)
        began = perf_counter()
        if not self.job.commit(self.task, records, self.spec):
            return remainder(self.job, self.task)
        self.watch.took(Stage.COMMIT, perf_counter() - began)
        self.watch.committed()
        self.watch.ended(outcomes)
        self.count(Tally(videos=len(outcomes), dead=sum(len(outcome.deaths) for outcome in outcomes)))
        for outcome in outcomes:
            for death in outcome.deaths:
                self.job.write_letter(self._letter(death, outcome.fetched))
        return []

    def _letter(self, death: Death, fetched: Fetched) -> DeadLetter:
        return letter_of(death, task=self.task, spec=self.spec, versions=self.room.versions, attempt=self.attempt, fetched=fetched)

    def _outcomes(self) -> Iterator[Outcome]:
        """Decode one video after the other while the engine captions those before."""
        works: deque[VideoWork] = deque()
        turn = self.room.turn()
        try:
            for place, video in enumerate(self.task.videos):
                self.watch.check()
                works.append(VideoWork(place, video, turn))
                self._start(works[-1])
                while works and works[0].done():
                    yield self._finish(works[0])
                    works.popleft()
            while works:
                yield self._finish(works[0])
                works.popleft()
        finally:
            for work in works:
                work.cancel()

    def _start(self, work: VideoWork) -> None:
        """Decode a video's keyframes and hand each to the engine at once; what cannot be read is dead, and harms nobody else."""
        only = None if self.task.only_frames is None else frozenset(self.task.only_frames)
        self.watch.at(Stage.FETCH, work.place)
        try:
            with closing(self._opened(work.video)) as source:
                try:
                    self._decode(work, source, only)
                finally:
                    work.fetched = source.fetched
        except PermanentError as error:
            forget_way(error)
            work.deaths.extend(unreached(work, verdict(error, work.video, task=self.task, job=self.job), only))

    def _opened(self, video: VideoRef) -> StoreSource:
        return open_video(video, costs=self.room.read_costs, timed=partial(self.watch.took, Stage.FETCH))

    def _decode(self, work: VideoWork, source: ByteSource, only: frozenset[int] | None) -> None:
        self.watch.at(Stage.DECODE, work.place)
        for frame in self.room.keyframes(source, self.spec.recipe, only_frames=only, changes=self.task.changes):
            self.watch.check()
            work.frames_chosen = frame.frames_chosen
            if isinstance(frame, Keyframe):
                self._take(work, frame)
            else:
                work.deaths.append(Death(work.place, work.video, frame.error, frame.frame_index, frame.frames_chosen, frame.pts_seconds))
            self.watch.at(Stage.DECODE, work.place)

    def _take(self, work: VideoWork, frame: Keyframe) -> None:
        """Have a keyframe captioned, and wait for that only where a crash must tell who is guilty."""
        self.watch.took(Stage.DECODE, frame.decode_seconds)
        if self.watch.serial:
            self.watch.at(Stage.CAPTION, work.place)
        work.captions.append(self._caption(work, frame))
        future = work.captions[-1][1]
        future.add_done_callback(self._count_frame)
        if self.watch.serial:
            with suppress(PermanentError):  # told when the video is finished
                self.watch.result(future)

    def _caption(self, work: VideoWork, frame: Keyframe) -> tuple[Draft, "Future[Caption]"]:
        """Hand a keyframe to the engine, unless it nearly equals the last one handed over.

        Only what the engine sees is compared with: were it the frame just before, a slow change could hide behind many small ones.
        """
        recipe, original = self.spec.recipe, work.original
        draft = Draft.of(frame, video=work.video, task=self.task, attempt=self.attempt, versions=self.room.versions)
        if frame.thumbnail is None:
            return draft, self._ask(work, frame)
        if original and distance(frame.thumbnail, original.thumbnail) <= recipe.keyframes.duplicate_distance:
            return draft.copying(original.draft), original.caption
        work.original = Original(draft, frame.thumbnail, self._ask(work, frame))
        return draft, work.original.caption

    def _ask(self, work: VideoWork, frame: Keyframe) -> "Future[Caption]":
        future = self.room.caption(frame.picture, self.spec.recipe, turn=work.turn, changes=self.task.changes)
        future.add_done_callback(self._time_caption)
        return future

    def _time_caption(self, future: "Future[Caption]") -> None:
        if not future.cancelled() and future.exception() is None:
            self.watch.took(Stage.CAPTION, future.result().seconds)
            self.watch.took(Stage.VALIDATE, future.result().validate_seconds)

    def _finish(self, work: VideoWork) -> Outcome:
        """Wait for a video's captions."""
        records, deaths = [], list(work.deaths)
        for draft, future in work.captions:
            self.watch.at(Stage.CAPTION, work.place)
            try:
                records.append(draft.complete(self.watch.result(future), fetched=work.fetched))
            except PermanentError as error:
                deaths.append(Death(work.place, work.video, draft.fault(error), draft.frame_index, draft.frames_chosen, draft.pts_seconds))
        read = work.fetched
        size = work.video.size_bytes
        self.count(Tally(bytes_read=read.bytes_read, requests=read.requests, object_bytes=size))
        return Outcome(tuple(records), tuple(deaths), read)

    def _count_frame(self, future: "Future[Caption]") -> None:
        if not future.cancelled() and future.exception() is None:
            self.count(Tally(frames=1))


def unreached(work: VideoWork, error: PermanentError, only: frozenset[int] | None) -> list[Death]:
    """What an error in mid-video leaves dead: the frames not reached yet, or the whole video if none was."""
    if not work.frames_chosen:
        return [Death(work.place, work.video, error)]
    reached = {draft.frame_index for draft, _ in work.captions} | {death.frame_index for death in work.deaths}
    wanted = range(work.frames_chosen) if only is None else sorted(only)
    return [Death(work.place, work.video, error, index, work.frames_chosen) for index in wanted if index not in reached]
