"""The keeper of a worker: signals go through, and a death is told."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fleet_runs import Running, framefleet, objects, redis_server, running, slow, wait_until, write_clips

from broker.app import App, make_app
from broker.progress import faults
from broker.queues import redis_of
from broker.scripts import INDEX
from broker.trials import Trials
from fleet.supervisor import box_folder, broker_in, ending, exit_status, new_box
from workers.blackbox import steps_in

KEPT = [sys.executable, "-m", "fleet.entry", "worker"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path) as url:
        yield url


def launched(tmp_path: Path, broker: str) -> Path:
    """A job of two shards, whose frames take a second each."""
    clips = write_clips(tmp_path / "clips", 2)
    assert framefleet("launch", clips, "--out", tmp_path / "job", "--engine", "scripted", "--broker", broker).status == 0
    return tmp_path / "job"


def env(broker: str, *, at_once: int = 1, seconds: float = 1.0) -> dict[str, str]:
    return slow(seconds=seconds) | {"FRAMEFLEET_BROKER_URL": broker, "FRAMEFLEET_SHARDS_AT_ONCE": str(at_once)}


def taken(app: App, job: Path) -> dict[str, int]:
    return Trials(app, f"file://{job}").attempts()


def claims(app: App) -> int:
    with redis_of(app) as redis:
        return int(redis.zcard(INDEX))


def at_work(run: Running) -> int:
    """How many shards the worker has begun with, and would be asked about if it died now."""
    boxes = {box for process in run.family() for box in box_folder().glob(f"framefleet-box-{process.pid}-*")}
    return sum(step.stage is not None for box in boxes for step in steps_in(box))


def worker_of(run: Running) -> psutil.Process:
    [worker] = run.workers()
    return worker


def begin(app: App, job: Path) -> "list[tuple[str, dict[str, object]]]":
    """Take the job's shards up again, to see what is known of them."""
    trials = Trials(app, f"file://{job}")
    return [(shard, trials.begin(shard, tag="mine", worker="me").model_dump(exclude_defaults=True)) for shard in taken(app, job)]


def test_a_worker_that_is_killed_gives_its_shard_back_at_once_and_is_charged(broker: str, tmp_path: Path) -> None:
    job, app = launched(tmp_path, broker), make_app(broker)
    with running(KEPT, tmp_path / "said", env(broker)) as kept:
        wait_until(lambda: at_work(kept) == claims(app) == 1)
        worker_of(kept).kill()
        assert kept.status(within_seconds=60) == 128 + signal.SIGKILL
        assert claims(app) == 0
    assert any("ended with SIGKILL" in fault for fault in faults(app))
    [(_, known)] = begin(app, job)
    assert (known["attempts"], known["crashes"], known["suspect"], known["how"]) == (2, 1, True, "SIGKILL")


def test_of_several_shards_none_is_charged_and_all_are_suspects(broker: str, tmp_path: Path) -> None:
    job, app = launched(tmp_path, broker), make_app(broker)
    with running(KEPT, tmp_path / "said", env(broker, at_once=2)) as kept:
        wait_until(lambda: at_work(kept) == 2)
        worker_of(kept).send_signal(signal.SIGSEGV)
        assert kept.status(within_seconds=60) == 128 + signal.SIGSEGV
    found = [known for _, known in begin(app, job)]
    assert [known["suspect"] for known in found] == [True, True]
    assert all("crashes" not in known for known in found)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_goes_through_and_the_worker_ends_in_order(number: signal.Signals, broker: str, tmp_path: Path) -> None:
    job, app = launched(tmp_path, broker), make_app(broker)
    with running(KEPT, tmp_path / "said", env(broker) | {"FRAMEFLEET_GRACE_SECONDS": "5"}) as kept:
        wait_until(lambda: kept.family() and taken(app, job))
        kept.signal(number)
        assert kept.ended().status == 0
        assert kept.left_behind() == []
    assert objects(job) == {}
    assert taken(app, job) == {}
    assert claims(app) == 0


def test_a_second_signal_does_not_wait_and_costs_nobody_an_attempt(broker: str, tmp_path: Path) -> None:
    job, app = launched(tmp_path, broker), make_app(broker)
    with running(KEPT, tmp_path / "said", env(broker, seconds=100)) as kept:
        wait_until(lambda: kept.family() and taken(app, job))
        kept.signal(signal.SIGTERM)
        wait_until(lambda: "told to end" in (tmp_path / "said" / "stderr").read_text())
        kept.signal(signal.SIGINT)
        assert kept.ended(within_seconds=60).status == 0
        assert kept.left_behind() == []
    assert taken(app, job) == {}
    assert claims(app) == 0


def test_a_keeper_that_is_killed_takes_its_worker_with_it(broker: str, tmp_path: Path) -> None:
    app = make_app(broker)
    job = launched(tmp_path, broker)
    with running(KEPT, tmp_path / "said", env(broker)) as kept:
        wait_until(lambda: kept.family() and taken(app, job))
        kept.kill()
        assert kept.left_behind() == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--broker", "redis://a"], "redis://a"),
        (["worker", "--broker=redis://b"], "redis://b"),
        (["--broker"], "redis://c"),
        ([], "redis://c"),
    ],
)
def test_the_broker_is_the_one_the_worker_was_given(words: list[str], found: str) -> None:
    assert broker_in(words, {"FRAMEFLEET_BROKER_URL": "redis://c"}) == found


def test_ends_are_numbered_as_shells_do() -> None:
    assert (exit_status(-9), exit_status(5)) == (137, 5)
    assert (ending(-11), ending(5)) == ("SIGSEGV", "exit status 5")


def test_a_black_box_is_for_its_owner_only_and_goes_with_its_keeper() -> None:
    with new_box() as box:
        path = Path(box.name)
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_boxes_of_keepers_that_were_killed_are_cleared_away_and_those_of_the_living_are_not() -> None:
    script = "import os, signal; from fleet.supervisor import new_box; box = new_box(); os.kill(os.getpid(), signal.SIGKILL)"
    with new_box() as mine:
        keeper = subprocess.Popen([sys.executable, "-c", script])
        keeper.wait()
        [left] = box_folder().glob(f"framefleet-box-{keeper.pid}-*")
        with new_box() as other:
            assert not left.exists()
            assert (Path(mine.name).exists(), Path(other.name).exists()) == (True, True)
