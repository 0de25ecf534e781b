"""A worker's task in this process, at a Redis of its own, in a room where a test says what happens."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builders import RECIPE, HandmadeJob
from celery import Celery
from celery.exceptions import Reject
from celery.worker import state
from shard_trial import FakeRoom, ScriptedDecoder

from broker import QUEUE, TASK
from broker.app import App, make_app
from broker.embedded import embedded_redis
from broker.queues import ShardQueue, redis_of
from broker.trials import Trial, Trials
from schemas.errors import EngineDiedError
from schemas.recipe import Recipe
from schemas.task import Changes, ShardTask
from workers.keyframe import Picture
from workers.ladder import Caption
from workers.settings import WorkerSettings
from workers.tasks import CaptionShard

BACK, GONE = "back in the queue", "acknowledged"
A_DAY_SECONDS = 86400.0
"""A grace that no test sees the end of, so that a drain does no more than begin."""


@dataclass
class Ward(FakeRoom):
    """A room whose engine may die."""

    dead: bool = False

    def caption(self, picture: Picture, recipe: Recipe, *, turn: int, changes: Changes) -> "Future[Caption]":
        if self.dead:
            raise EngineDiedError("The engine is gone.")
        return super().caption(picture, recipe, turn=turn, changes=changes)

    def die(self) -> None:
        """End the engine, and whatever waits for it."""
        self.dead = True
        for future in [future for future in self.futures if not future.done()]:
            future.set_exception(EngineDiedError("The engine is gone."))

    def close(self) -> None:
        """There is nothing to let go of."""


class SeatedTask(CaptionShard):
    """The task itself, in a room of the test's."""

    def __init__(self, room: Ward) -> None:
        self.room = room

    def open(self, settings: WorkerSettings, app: Celery) -> None:
        super().open(settings, app)
        self._room.close()
        self._room = self.room  # type: ignore[assignment]


@dataclass
class Seat:
    """One worker, and the job whose shards it is given."""

    app: App
    task: SeatedTask
    room: Ward
    channel: Any
    handmade: HandmadeJob = field(default_factory=HandmadeJob)

    def send(self, *names: str, changes: Changes = Changes()) -> ShardTask:  # noqa: B008 - a frozen value
        """Plan and queue a shard of new videos."""
        shard = self.handmade.shard(*names).model_copy(update={"changes": changes})
        ShardQueue(self.app).send(shard)
        return shard

    def send_nonsense(self) -> None:
        """Queue what no version of this code can have sent."""
        self.app.send_task(TASK, args=[{"shard": "of another kind"}], queue=QUEUE)

    def take(self) -> Any:
        """Claim the next message; None if there is none to be had."""
        return self.channel.basic_get(QUEUE)

    def work(self, message: Any) -> str:
        """Run the task and do with its message what Celery does; anything but a Reject is the test's error."""
        args, _, _ = message.payload
        self.task.push_request(id=message.headers["id"], properties={"delivery_tag": message.delivery_tag})
        try:
            self.task.run(*args)
        except Reject as reject:
            if not reject.requeue:
                raise
            message.requeue()
            return BACK
        finally:
            self.task.pop_request()
        message.ack()
        return GONE

    @property
    def trials(self) -> Trials:
        return Trials(self.app, self.handmade.job.url)

    def suspect(self, shard: ShardTask) -> None:
        """Have a shard that was there when another worker died."""
        self.trials.begin(shard.shard_id, tag="of a dead worker", worker="dead:1")
        self.trials.crashed(shard.shard_id, tag="of a dead worker", how="SIGKILL", alone=False)

    def trial(self, shard: ShardTask) -> Trial:
        """What the next worker is told of a shard."""
        return self.trials.begin(shard.shard_id, tag="of the next", worker="next:1")

    def attempts(self, shard: ShardTask) -> int:
        """How many attempts at a shard count."""
        return self.trials.attempts().get(shard.shard_id, 0)

    def depth(self) -> int:
        return ShardQueue(self.app).depth()


@pytest.fixture(scope="module")
def seats_redis() -> Iterator[str]:
    with embedded_redis() as url:
        yield url


@contextmanager
def seated(app: App, room: Ward, folder: Path) -> Iterator[Seat]:
    """A worker that is ready to work."""
    task = SeatedTask(room)
    app.register_task(task)
    settings = WorkerSettings(engine="scripted", decoder_unlocked=True, grace_seconds=A_DAY_SECONDS, ceiling_dir=str(folder))
    task.open(settings, app)
    try:
        with app.connection_for_read() as connection, connection.channel() as channel:
            yield Seat(app, task, room, channel)
    finally:
        task.close()


@pytest.fixture
def seat(seats_redis: str, tmp_path: Path) -> Iterator[Seat]:
    """A worker that finds an empty Redis, and whose engine answers what the test has it answer."""
    app = make_app(seats_redis)
    with redis_of(app) as redis:
        redis.flushall()
    stopping = state.should_stop
    try:
        with seated(app, Ward(ScriptedDecoder({}, RECIPE.keyframes)), tmp_path / "ceilings") as seat:
            yield seat
    finally:
        state.should_stop = stopping
        app.close()
