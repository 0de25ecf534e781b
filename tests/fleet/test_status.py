from collections.abc import Iterator

import pytest
from builders import HandmadeJob, below, letter, line, lines, spec_of
from celery import Celery

from broker.app import make_app
from broker.breaker import Breaker
from broker.embedded import embedded_redis
from broker.progress import Progress, Tally, report_fault
from broker.queues import ShardQueue
from fleet.status import BrokerStatus, status_of
from schemas.control import ControlState
from schemas.errors import OperatorError
from schemas.job import SUFFIXES, PlanComplete
from storage.control import set_control
from storage.job import open_job


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


@pytest.fixture
def app() -> Iterator[Celery]:
    with embedded_redis() as url:
        app = make_app(url)
        yield app
        app.close()


def test_a_prefix_without_job_has_no_status() -> None:
    with pytest.raises(OperatorError, match="There is no job"):
        status_of(open_job("memory://nobody/run"), None)


def test_a_job_that_just_began_has_nothing_done(handmade: HandmadeJob) -> None:
    status = status_of(handmade.job, None)
    assert (status.job, status.source, status.recipe) == (handmade.job.url, "memory://clips", "test")
    assert (status.plan_complete, status.shards, status.videos, status.committed_videos) == (False, 0, 0, 0)
    assert status.broker is None


@pytest.mark.parametrize("compression", SUFFIXES)
def test_videos_of_committed_shards_are_done(compression: str) -> None:
    handmade = HandmadeJob(spec_of(compression=compression))
    one = handmade.shard("a.mp4", "b.mp4", "c.mp4")
    handmade.shard("d.mp4")
    handmade.commit(one, *lines(one, 2))
    handmade.bury(letter(one, place=1))
    status = status_of(handmade.job, None)
    assert (status.shards, status.videos, status.committed_shards, status.committed_videos) == (2, 4, 1, 3)
    assert status.dead_by_reason == {"corrupt": 1}


def test_descendants_are_not_counted_besides_their_roots(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    child = below(task, "1", 1)
    handmade.commit(task, line(task))
    handmade.bury(letter(task, place=1))
    handmade.commit(child, line(child))
    status = status_of(handmade.job, None)
    assert (status.committed_shards, status.committed_videos, status.dead_by_reason) == (1, 2, {})


def test_what_was_left_out_is_told_once_the_plan_is_complete(handmade: HandmadeJob) -> None:
    handmade.shard("a.mp4")
    handmade.job.complete_plan(PlanComplete(parts=(), shards=1, videos=1, skipped={"excluded": 3}))
    status = status_of(handmade.job, None)
    assert (status.plan_complete, status.skipped) == (True, {"excluded": 3})


def test_the_operators_last_word_is_part_of_the_status(handmade: HandmadeJob) -> None:
    assert status_of(handmade.job, None).control.state is ControlState.RUNNING
    control = set_control(handmade.job, ControlState.PAUSED, by="ann", why="the disk is full")
    assert status_of(handmade.job, None).control == control


def test_a_broker_tells_what_waits_what_is_worked_on_and_why_workers_left(handmade: HandmadeJob, app: Celery) -> None:
    queue = ShardQueue(app)
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        queue.send(handmade.shard(name))
    Progress(app, handmade.job.url).add(Tally(frames=7))
    report_fault(app, "the engine is ill")
    with app.connection_for_read() as connection, connection.channel() as channel:
        channel.basic_get("framefleet").ack()
        channel.basic_get("framefleet")
        status = status_of(handmade.job, app)
    assert status.broker == BrokerStatus(
        waiting=1, in_work=1, frames=7, videos=0, bytes_read=0, requests=0, object_bytes=0, faults=("the engine is ill",)
    )


def test_a_breaker_that_is_open_is_told_with_its_reason(handmade: HandmadeJob, app: Celery) -> None:
    assert status_of(handmade.job, app).broker.breaker is None
    for worker in ("a:1", "b:2"):
        Breaker(app).judge(worker, ["engine_failed"] * 5, shard=worker)
    told = status_of(handmade.job, app).broker.breaker
    assert (told.failure, told.failing, told.units, told.workers) == ("engine_failed", 10, 10, 2)
