"""An operator pauses, resumes and cancels jobs, and gets them through a broker that forgets; with real workers and a real Redis."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from fleet_runs import (
    Running,
    audited,
    command,
    frame_ids,
    framefleet,
    free_port,
    objects,
    records,
    redis_server,
    running,
    slow,
    wait_until,
    write_clips,
)
from typed_commands import typed

from broker import QUEUE
from broker.app import make_app
from broker.queues import ShardQueue
from storage.control import CONTROL_KEY

CLIPS = 6
OBEYED_SECONDS = 60.0
"""Five until the word is heard, and the rest for a machine that has other things to do."""
SLOW = slow(seconds=0.2)
"""A shard takes 1.6 s, so that something can happen in the middle of a job."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def client(broker: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), CLIPS)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return tmp_path / "job"


def launching(clips: Path, job: Path, broker: str, *more: object) -> list[str]:
    return command("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker, *more)


def launch(clips: Path, job: Path, broker: str) -> None:
    ended = framefleet(*launching(clips, job, broker)[3:])
    assert ended.status == 0, ended.said


def working(broker: str) -> list[str]:
    return command("worker", "--engine", "scripted", "--broker", broker)


def keeping(job: Path, broker: str) -> list[str]:
    return command("reconcile", job, "--broker", broker, "--every", 1)


def said(folder: Path) -> str:
    return (folder / "stderr").read_text()


def in_flight(broker: str) -> frozenset[str]:
    app = make_app(broker)
    try:
        return ShardQueue(app).in_flight()
    finally:
        app.close()


def half_done(worker: Running, job: Path) -> None:
    wait_until(lambda: worker.family() and len(objects(job)) >= 2)
    assert len(objects(job)) < CLIPS


def snapshot(client: redis.Redis) -> Callable[[], None]:
    """What Redis knows now; call it to have Redis know that again and nothing else, as a replica that was behind."""
    known = {key: client.dump(key) for key in client.scan_iter()}

    def roll_back() -> None:
        pipe = client.pipeline(transaction=True).flushall()
        for key, value in known.items():
            pipe.restore(key, 0, value)
        pipe.execute()

    return roll_back


def test_a_broker_that_forgot_everything_in_mid_run_is_told_again(
    broker: str, client: redis.Redis, clips: Path, job: Path, tmp_path: Path
) -> None:
    launch(clips, job, broker)
    with running(working(broker), tmp_path / "worker", SLOW) as worker:
        half_done(worker, job)
        client.flushall()
        with running(keeping(job, broker), tmp_path / "kept") as kept:
            ended = kept.ended()
    assert ended.status == 0, ended.said
    assert "open shards enqueued" in ended.err
    assert f"file://{job} is complete; prove it with: framefleet audit" in ended.err
    assert audited(job).frames == len(frame_ids(job)) == CLIPS * 8


def waiting(client: redis.Redis) -> bytes:
    """The list in which the one job's messages wait."""
    [found] = client.scan_iter(f"{QUEUE}:job:*")
    return found


def test_a_broker_that_remembers_what_was_true_before_costs_nothing(
    broker: str, client: redis.Redis, clips: Path, job: Path, tmp_path: Path
) -> None:
    launch(clips, job, broker)
    client.ltrim(waiting(client), 2, -1)  # two messages came after the replica had last heard of its master
    roll_back = snapshot(client)
    with running(working(broker), tmp_path / "worker", SLOW) as worker, running(keeping(job, broker), tmp_path / "kept") as kept:
        half_done(worker, job)
        roll_back()
        ended = kept.ended()
    assert ended.status == 0, ended.said
    assert audited(job).frames == len(frame_ids(job)) == CLIPS * 8


def test_a_broker_that_is_lost_and_comes_back_empty_is_waited_for(clips: Path, job: Path, tmp_path: Path) -> None:
    port = free_port()
    with redis_server(tmp_path, port) as broker:
        launch(clips, job, broker)
    with running(keeping(job, broker), tmp_path / "kept") as kept:
        wait_until(lambda: "Trying again every 1 s." in said(tmp_path / "kept"))
        with redis_server(tmp_path, port), running(working(broker), tmp_path / "worker"):
            ended = kept.ended()
    assert ended.status == 0, ended.said
    assert "broker does not answer" in ended.err
    assert audited(job).frames == CLIPS * 8


def test_one_look_at_a_broker_that_is_away_says_that_nothing_is_lost(clips: Path, job: Path, broker: str) -> None:
    launch(clips, job, broker)
    for verb in ("reconcile", "resume"):
        away = framefleet(verb, job, "--broker", "redis://127.0.0.1:1/0")
        assert away.status == 1
        assert "broker does not answer" in away.err
        assert (
            f"Nothing is lost: what is planned and what is done stand in storage. Once it is back: framefleet reconcile file://{job}"
            in away.err
        )


def test_one_look_says_how_many_of_how_many_and_sends_nothing_twice(broker: str, client: redis.Redis, clips: Path, job: Path) -> None:
    launch(clips, job, broker)
    again = framefleet("reconcile", job, "--broker", broker)
    assert (again.status, again.err) == (0, f"0 of {CLIPS} open shards enqueued, the others wait or are in work.\n")
    client.rpop(waiting(client))
    again = framefleet("reconcile", job, "--broker", broker)
    assert again.err.startswith(f"1 of {CLIPS} open shards enqueued")
    assert len(in_flight(broker)) == client.llen(QUEUE) == CLIPS


def test_keeping_at_it_ends_in_order_when_it_is_told_to(broker: str, client: redis.Redis, clips: Path, job: Path, tmp_path: Path) -> None:
    client.flushall()
    launch(clips, job, broker)
    with running(keeping(job, broker), tmp_path / "kept") as kept:
        wait_until(lambda: "the others wait" in said(tmp_path / "kept"))
        kept.signal(signal.SIGTERM)
        ended = kept.ended()
    assert ended.status == 130
    assert "Nothing is lost" in ended.err


def test_a_pause_makes_the_producer_wait_and_it_goes_on_by_itself(
    broker: str, client: redis.Redis, clips: Path, job: Path, tmp_path: Path
) -> None:
    with running(launching(clips, job, broker, "--window", 1), tmp_path / "producer") as producer:
        wait_until(lambda: client.llen(QUEUE) == 1)
        assert f"file://{job} is paused by " in framefleet("pause", job, "--why", "the disk is full").err
        wait_until(lambda: "(the disk is full): waiting" in said(tmp_path / "producer"), within_seconds=OBEYED_SECONDS)
        client.delete(QUEUE, waiting(client))
        time.sleep(1.0)  # in which a producer that does not obey would fill the window again
        assert client.llen(QUEUE) == 0
        with running(working(broker), tmp_path / "worker"):
            resumed = framefleet("resume", job, "--broker", broker)
            assert resumed.status == 0, resumed.said
            launched = producer.ended()
            wait_until(lambda: len(objects(job)) == CLIPS)
    assert launched.status == 0, launched.said
    assert said(tmp_path / "producer").count("is paused") == 1
    assert audited(job).frames == CLIPS * 8


@pytest.mark.usefixtures("client")
def test_a_pause_is_obeyed_in_mid_shard_charges_nobody_and_resuming_completes_the_job(
    broker: str, clips: Path, job: Path, tmp_path: Path
) -> None:
    launch(clips, job, broker)
    with running(working(broker), tmp_path / "worker", slow(seconds=1.5)) as worker:
        wait_until(lambda: worker.family() and len(objects(job)) == 1)
        typed("pause", job, "--why", "the disk is full")
        begun = len(objects(job)) + 1
        wait_until(lambda: not in_flight(broker), within_seconds=OBEYED_SECONDS)
        done = objects(job)
        assert len(done) <= begun  # a shard takes twelve seconds
        refused = framefleet("reconcile", job, "--broker", broker)
        assert (refused.status, "is paused by" in refused.err) == (1, True)
        control = framefleet("status", job, "--json").json["control"]
        assert (control["state"], control["why"]) == ("paused", "the disk is full")
        assert (objects(job), in_flight(broker)) == (done, frozenset())
        resumed = framefleet("resume", job, "--broker", broker)
        assert resumed.err.splitlines()[-1].startswith(f"{CLIPS - len(done)} of {CLIPS - len(done)} open shards enqueued")
        worker.kill()  # a slow one has shown that it obeys
    with running(working(broker), tmp_path / "fast") as worker:
        wait_until(lambda: worker.family() and len(objects(job)) == CLIPS)
    assert audited(job).frames == CLIPS * 8
    charged = [record.attempts for record in records(job)]
    assert sum(attempts > 1 for attempts in charged) <= 8, "but for the shard whose worker was killed, nobody is charged"


def test_a_cancelled_job_ends_its_producer_and_is_refused_until_it_is_resumed(
    broker: str, client: redis.Redis, clips: Path, job: Path, tmp_path: Path
) -> None:
    with running(launching(clips, job, broker, "--window", 1), tmp_path / "producer") as producer:
        wait_until(lambda: client.llen(QUEUE) == 1)
        assert framefleet("cancel", job).status == 0
        ended = producer.ended(within_seconds=OBEYED_SECONDS)
    assert ended.status == 1
    assert "is cancelled by" in ended.err
    assert "framefleet resume" in ended.err
    for words in (launching(clips, job, broker), keeping(job, broker), command("caption", clips, "--out", job, "--engine", "scripted")):
        refused = framefleet(*words[3:])
        assert refused.status == 1
        assert f"file://{job} is cancelled by" in refused.err
        assert f"framefleet resume file://{job}" in refused.err
    with running(working(broker), tmp_path / "worker"):
        wait_until(lambda: not in_flight(broker))
    assert objects(job) == {}
    resumed = framefleet("resume", job)
    assert f"framefleet reconcile file://{job} --broker" in resumed.err
    launch(clips, job, broker)
    assert len(in_flight(broker)) == CLIPS


def test_a_run_on_this_machine_that_is_paused_from_elsewhere_ends_soon_and_goes_on_later(clips: Path, job: Path, tmp_path: Path) -> None:
    words = command("caption", clips, "--out", job, "--engine", "scripted")
    with running(words, tmp_path / "said", slow(seconds=0.7)) as run:
        wait_until(lambda: run.family() and objects(job))
        typed("pause", job)
        paused_at = time.monotonic()
        ended = run.ended()
        assert run.left_behind() == []
    assert time.monotonic() - paused_at < OBEYED_SECONDS + 10
    assert ended.status == 1
    assert "is paused by" in ended.err
    assert "Nothing is lost" in ended.err
    assert "logs" not in ended.err
    assert len(objects(job)) < CLIPS
    assert framefleet("resume", job).status == 0
    assert framefleet(*words[3:]).status == 0
    assert audited(job).frames == CLIPS * 8


def test_a_control_that_makes_no_sense_is_written_anew(broker: str, clips: Path, job: Path) -> None:
    launch(clips, job, broker)
    (job / CONTROL_KEY).write_text("asleep")
    refused = framefleet("status", job)
    assert refused.status == 1
    assert "framefleet resume" in refused.err
    assert framefleet("resume", job).status == 0
    assert framefleet("status", job).status == 0


def test_a_job_that_is_not_there_cannot_be_steered(tmp_path: Path) -> None:
    for verb in ("pause", "resume", "cancel"):
        ended = framefleet(verb, tmp_path / "nowhere")
        assert ended.status == 1
        assert "There is no job" in ended.err
    assert not (tmp_path / "nowhere").exists()
