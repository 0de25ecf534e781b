import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from builders import ATTEMPT, HandmadeJob, film
from clips import Clip, make

from schemas.annotation import FIELDS
from schemas.errors import EngineDiedError, FatalError
from schemas.reasons import Reason
from schemas.task import Changes, ShardTask
from workers.engines import Answer, Ask
from workers.engines.scripted import scripted_answer
from workers.fetch import open_video
from workers.keyframe import Form, Picture
from workers.pipeline import ShardRun
from workers.room import Room
from workers.settings import WorkerSettings

pytestmark = pytest.mark.timeout(60)  # a thread that waits for what never comes
CLIP = Clip(frames=40, gop=1, seconds_between_frames=2, width=64, height=48)  # type: ignore[arg-type]


class Mortal:
    """An engine that answers so many questions, then waits for one more and dies of it; or never answers at all."""

    def __init__(self, *, answers: int, concurrency: int = 4, dies: bool = True) -> None:
        self.concurrency = concurrency
        self.takes = Form.JPEG
        self.versions = {"engine": "mortal"}
        self.answers = answers
        self.dies = dies
        self.answered = 0
        self.asks: list[Ask] = []

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        self.asks.append(ask)
        self.answered += 1
        if self.answered <= self.answers:
            return Answer(scripted_answer(picture, FIELDS), "stop")
        if self.dies and self.answered == self.answers + self.concurrency:
            raise EngineDiedError("killed")
        await asyncio.Event().wait()
        raise AssertionError

    async def probe(self) -> None:
        if self.answers < 0:
            raise FatalError("never lived")

    def waiting(self) -> int | None:
        return None

    async def close(self) -> None:
        if self.answered > self.answers:
            raise EngineDiedError("killed")


@contextmanager
def room_with(engine: Mortal) -> Iterator[Room]:
    room = Room(WorkerSettings(), opened=lambda _: engine)
    try:
        yield room
    finally:
        room.close()


def run_of(room: Room, handmade: HandmadeJob, task: ShardTask) -> Callable[[], list[ShardTask]]:
    return ShardRun(task, handmade.job, handmade.spec, room, ATTEMPT, lambda _: None).run


def shard_of_clips(handmade: HandmadeJob, *names: str) -> ShardTask:
    task = handmade.task(*(film(handmade.source, name, make(CLIP)) for name in names))
    handmade.plan(task)
    return task


def test_keyframes_of_a_clip_are_captioned() -> None:
    handmade = HandmadeJob()
    task = shard_of_clips(handmade, "a.mp4")
    with room_with(Mortal(answers=1000)) as room:
        assert run_of(room, handmade, task)() == []
        records = handmade.job.records(task.shard_id)
        assert len(records) == 40
        assert json.loads(records[0].model_dump_json())["versions"]["engine"] == "mortal"
        assert room.rungs["constrained", "accepted"] == 40
        assert (room.window_size, room.in_flight, room.waiting_pictures) == (4, 0, 0)


def test_shards_whose_engine_dies_end_at_once_with_nothing_committed() -> None:
    handmade = HandmadeJob()
    tasks = [shard_of_clips(handmade, f"{name}1.mp4", f"{name}2.mp4") for name in "abc"]
    with room_with(Mortal(answers=10)) as room, ThreadPoolExecutor() as pool:
        working = [pool.submit(run_of(room, handmade, task)) for task in tasks]
        assert [str(one.exception(20)) for one in working] == ["killed"] * 3
        assert list(handmade.job.committed()) == list(handmade.job.letters()) == []
        assert (room.in_flight, room.waiting_pictures) == (0, 0)


def test_pictures_that_wait_are_few_and_are_let_go_with_the_engine() -> None:
    handmade = HandmadeJob()
    task = shard_of_clips(handmade, "a.mp4")
    with room_with(Mortal(answers=0, concurrency=3, dies=False)) as room, ThreadPoolExecutor() as pool:
        working = pool.submit(run_of(room, handmade, task))
        ends_at = time.monotonic() + 60
        while (room.in_flight, room.waiting_pictures) != (3, 16) and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert (room.in_flight, room.waiting_pictures) == (3, 16)
        room._feed._loop.call_soon_threadsafe(room._feed._lose, EngineDiedError("enough"))
        assert str(working.exception(60)) == "enough"


def test_a_room_whose_engine_is_not_ready_leaves_nothing_behind() -> None:
    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(FatalError, match="never lived"):
        Room(WorkerSettings(), opened=lambda _: Mortal(answers=-1))
    assert {thread.name for thread in threading.enumerate()} == before


def redriven(task: ShardTask, **changes: float) -> ShardTask:
    return task.model_copy(update={"changes": Changes.model_validate(changes)})


def reasons(handmade: HandmadeJob) -> set[Reason]:
    return {letter.reason for _, letter in handmade.job.letters()}


def test_a_redrives_cap_on_tokens_reaches_the_engine_and_its_lines_keep_the_recipes_name() -> None:
    handmade = HandmadeJob()
    task = redriven(shard_of_clips(handmade, "a.mp4"), max_tokens=77)
    engine = Mortal(answers=1000)
    with room_with(engine) as room:
        run_of(room, handmade, task)()
    assert {ask.max_tokens for ask in engine.asks} == {77}
    assert {record.recipe_id for record in handmade.job.records(task.shard_id)} == {handmade.spec.recipe_id}


def test_a_redrives_own_deadline_holds_for_decoding() -> None:
    handmade = HandmadeJob()
    task = redriven(shard_of_clips(handmade, "a.mp4"), decode_deadline_seconds=0.0001)
    with room_with(Mortal(answers=1000)) as room:
        run_of(room, handmade, task)()
        assert reasons(handmade) == {Reason.DECODER_TIMEOUT}
        assert len(list(room.keyframes(open_video(task.videos[0]), handmade.spec.recipe, only_frames=None))) == 40


def test_a_redrives_own_deadline_holds_for_a_frame() -> None:
    handmade = HandmadeJob()
    task = redriven(shard_of_clips(handmade, "a.mp4"), frame_deadline_seconds=0.2)
    with room_with(Mortal(answers=39, concurrency=2, dies=False)) as room:
        run_of(room, handmade, task)()
    assert len(handmade.job.records(task.shard_id)) == 39
    assert reasons(handmade) == {Reason.ENGINE_TIMEOUT}
