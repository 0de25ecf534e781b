"""What a monitor makes of a shard's life, by Celery's own reading of events, which is Flower's."""

import itertools
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from builders import HandmadeJob
from celery.events.state import State
from celery.exceptions import Reject
from celery.worker import state as worker_state

from broker import TASK
from broker.messages import label
from broker.progress import Tally
from schemas.errors import HandedBackError
from schemas.reasons import Stage
from schemas.task import ShardTask
from workers.blackbox import Step
from workers.events import GOING, TELL_SECONDS, ShardRequest, Telling, Told, Words, put_back

SHARD = HandmadeJob().shard("a.mp4", "b.mp4", "c.mp4")


class Monitor:
    """Hears events of one task, from workers by name."""

    def __init__(self) -> None:
        self._state, self._clock = State(), itertools.count(1)

    def hear(self, kind: str, worker: str = "one", **fields: Any) -> None:
        now = float(next(self._clock))
        event = {"type": kind, "uuid": "a shard", "hostname": worker, "timestamp": now, "local_received": now, "clock": int(now), "pid": 1}
        self._state.event(event | fields)

    def shows(self) -> Any:
        return self._state.tasks["a shard"]


class Recorded:
    """A request of which only the events are known."""

    def __init__(self, monitor: Monitor) -> None:
        self.send_event = monitor.hear


@pytest.fixture
def monitor() -> Monitor:
    monitor = Monitor()
    monitor.hear("task-received", name=TASK, args=label(SHARD))
    monitor.hear("task-started")
    return monitor


@pytest.fixture
def told(monitor: Monitor) -> Iterator[Told]:
    worker_state.requests["a shard"] = Recorded(monitor)
    yield Told("a shard", SHARD, attempts=2)
    del worker_state.requests["a shard"]


def step(stage: Stage | None, place: int | None = None) -> Step:
    return Step(job=SHARD.job, shard_id=SHARD.shard_id, tag="a tag", stage=stage, place=place)


def test_progress_leaves_a_task_started_and_when_it_was(monitor: Monitor, told: Told) -> None:
    told.since = monitor.shows().started
    told.count(Tally(frames=40))
    told.going(step(Stage.DECODE, 1))
    shown = monitor.shows()
    assert (shown.state, shown.started, shown.retries) == ("STARTED", told.since, 1)
    assert shown.result == "40 frames so far (decode, video 2 of 3), attempt 2"
    told.count(Tally(frames=1))
    told.going(step(Stage.COMMIT))
    assert monitor.shows().result == "41 frames so far (commit), attempt 2"


def test_a_monitor_that_comes_late_knows_all_from_the_next_word(told: Told) -> None:
    late = Monitor()
    worker_state.requests["a shard"] = Recorded(late)
    told.going(step(None))
    shown = late.shows()
    assert (shown.name, shown.args, shown.state, shown.started) == (TASK, label(SHARD), "STARTED", told.since)


def test_the_same_is_not_told_twice(monitor: Monitor, told: Told) -> None:
    told.going(step(Stage.DECODE, 1))
    before = monitor.shows().timestamp
    told.going(step(Stage.DECODE, 1))
    assert monitor.shows().timestamp == before


@pytest.mark.parametrize("kind", [GOING, "task-started"])
def test_a_shard_that_goes_back_is_started_no_more_until_somebody_has_it(kind: str, monitor: Monitor) -> None:
    monitor.hear(kind, name=TASK, result="40 frames so far")
    monitor.hear("task-retried", **put_back(HandedBackError("This worker is told to end.")))
    shown = monitor.shows()
    assert (shown.state, shown.exception, shown.result) == (
        "RETRY",
        "This worker is told to end.",
        "put back: This worker is told to end.",
    )
    monitor.hear("task-received", worker="two", name=TASK, args=label(SHARD))
    monitor.hear("task-started", worker="two")
    assert monitor.shows().state == "STARTED"
    assert monitor.shows().worker.hostname == "two"
    monitor.hear("task-succeeded", worker="two", result="64 frames of 3 videos")
    monitor.hear(GOING, worker="one", result="41 frames so far")
    assert monitor.shows().state == "SUCCESS"


def test_what_celery_tells_of_a_rejection_would_leave_it_started(monitor: Monitor) -> None:
    """Why we tell of it in another way; once this fails, Celery's own will do."""
    monitor.hear("task-rejected", requeue=True)
    assert monitor.shows().state == "STARTED"


@pytest.mark.parametrize(
    ("tally", "children", "words"),
    [
        (Tally(frames=64, videos=3), 0, "64 frames of 3 videos"),
        (Tally(frames=1, videos=1, dead=2), 0, "1 frame of 1 video, 2 dead"),
        (Tally(videos=3, dead=3), 0, "0 frames of 3 videos, 3 dead"),
        (Tally(), 2, "2 shards to follow"),
        (Tally(frames=9), 0, "was done before"),
    ],
)
def test_a_result_says_what_came_of_a_shard(tally: Tally, children: int, words: str) -> None:
    told = Told("a shard", SHARD, attempts=1)
    told.count(tally)
    ended = told.ended([SHARD] * children)
    assert repr(ended) == words
    assert repr(Words()) == ""


def test_secrets_and_long_stories_are_not_told() -> None:
    told = put_back(Reject("GET https://host/v.mp4?X-Amz-Signature=0123456789abcdef failed " + "x" * 9999).reason)
    assert "0123456789abcdef" not in told["result"]
    assert len(told["result"]) < 300


def test_a_job_of_a_long_name_keeps_its_label_short() -> None:
    long = SHARD.model_copy(update={"job": f"s3://bucket/{'deep/' * 99}run-1"})
    assert len(label(long)) < 140
    assert label(long).startswith("s3://bucket/…")
    assert label(long).endswith("/run-1, 3 videos")
    assert label(only(SHARD)) == f"{SHARD.job}, 1 video"


def test_progress_is_told_seldom_enough_for_a_monitor_of_hundreds_of_workers() -> None:
    assert TELL_SECONDS >= 5
    looks, began = list[float](), time.monotonic()
    telling = Telling(lambda: looks.append(time.monotonic()) or [])
    for _ in range(100):
        telling.look()
    assert len(looks) <= (time.monotonic() - began) / TELL_SECONDS


class Eventer:
    """Where a request's events go."""

    enabled = True

    def __init__(self) -> None:
        self.sent: list[tuple[str, object]] = []

    def send(self, kind: str, **fields: object) -> None:
        self.sent.append((kind, fields.get("result")))


def test_an_end_without_words_is_no_success() -> None:
    eventer, headers = Eventer(), {"id": "a shard", "task": TASK}
    message = SimpleNamespace(
        headers=headers, payload=([], {}, {}), body=b"", content_type="", content_encoding="", delivery_info={}, properties={}
    )
    request = ShardRequest(message, eventer=eventer, task=SimpleNamespace(send_events=True, ignore_result=True))
    for words in (Words(), Words("64 frames of 3 videos")):
        request.send_event("task-succeeded", result=repr(words), runtime=1.0)
    assert eventer.sent == [("task-succeeded", "64 frames of 3 videos")]


def only(task: ShardTask) -> ShardTask:
    return task.model_copy(update={"videos": task.videos[:1]})
