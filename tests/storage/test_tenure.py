"""One producer at a time, by a lease in storage: who gets it, who waits, who is told of whom."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tenures import WATCH_SECONDS, Time, held, never, new_job

from schemas.errors import OperatorError
from schemas.tenure import Published, Tenure
from storage.processes import is_dead, process_name
from storage.tenure import Pace, holding, key, latest


def test_the_first_producer_takes_number_one_at_once() -> None:
    job, time = new_job(), Time()
    tenure = time.take(job)
    assert tenure == latest(job)
    assert tenure.number == 1
    assert (tenure.pid, time.said, time.now) == (os.getpid(), [], 0.0)


def test_a_released_tenure_is_followed_at_once_and_its_notes_live_on() -> None:
    job, time = new_job(), Time()
    published = Published(part=3, shards=4)
    held(job, released=True, published=published, broker_epoch="e", spent={"worker_seconds": 2.5}, beat=9)
    tenure = time.take(job)
    assert (tenure.number, tenure.published, tenure.broker_epoch, tenure.spent) == (2, published, "e", {"worker_seconds": 2.5})
    assert (tenure.released, tenure.beat, time.said) == (False, 0, [])


def test_a_silent_tenure_is_taken_over_after_a_while_and_that_is_said_at_once() -> None:
    job, time = new_job(), Time()
    held(job)
    said_first: list[str] = []
    time.meanwhile = lambda: said_first.extend(time.said[len(said_first) :])
    assert time.take(job).number == 2
    assert time.now == WATCH_SECONDS
    [words] = said_first
    assert words == f"Another producer may be at {job.url} (ann@far, process 7, since 2026-01-02 03:04 UTC): waiting 30 s to see."


def test_a_living_producer_is_named_as_soon_as_its_beat_is_seen() -> None:
    job, time = new_job(), Time()
    held(job)
    time.meanwhile = lambda: held(job, beat=1) if time.now >= 8 else None
    with pytest.raises(OperatorError, match=r"ann@far, process 7, since 2026-01-02 03:04 UTC.*run this again") as error:
        time.take(job)
    assert job.url in str(error.value)
    assert time.now < 10


def test_a_producer_that_ends_while_another_waits_leaves_it_its_place_and_its_notes() -> None:
    job, time = new_job(), Time()
    held(job)
    time.meanwhile = lambda: held(job, beat=1, released=True, published=Published(part=8))
    tenure = time.take(job)
    assert (tenure.number, tenure.published.part, time.now) == (2, 8, 1.0)


def test_who_came_before_while_one_waited_is_named() -> None:
    job, time = new_job(), Time()
    held(job)
    time.meanwhile = lambda: held(job, number=2, who="bob", token="u")
    with pytest.raises(OperatorError, match="bob@far"):
        time.take(job)


def test_whoever_is_stopped_while_it_waits_takes_nothing() -> None:
    job, time = new_job(), Time()
    held(job)
    assert time.take(job, stopped=lambda: time.now > 3) is None
    assert latest(job).number == 1


def test_a_tenure_that_makes_no_sense_says_what_to_do() -> None:
    job = new_job()
    job.store.create(key(4), b"{}")
    with pytest.raises(OperatorError, match=r"producer/000004\.json cannot be understood.*delete that object"):
        Time().take(job)


@contextmanager
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_killed_process_of_this_machine_is_known_to_be_dead_reaped_or_not() -> None:
    with sleeper() as process:
        name = process_name(process.pid)
        assert not is_dead(name)
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(name)
    assert is_dead(name)


def test_a_process_that_got_a_dead_ones_number_is_not_it() -> None:
    words = process_name(os.getpid()).split()
    assert not is_dead(" ".join(words))
    assert is_dead(" ".join([*words[:3], "1"]))


@pytest.mark.parametrize("process", ["", "other-boot pid:[1] 7 1", "7"])
def test_nothing_is_known_of_a_process_elsewhere(process: str) -> None:
    assert not is_dead(process)


def test_a_tenure_of_a_dead_process_is_taken_over_at_once() -> None:
    job, time = new_job(), Time()
    with sleeper() as process:
        held(job, process=process_name(process.pid), published=Published(part=2))
    tenure = time.take(job)
    assert (tenure.number, tenure.published.part, time.now, time.said) == (2, 2, 0.0, [])


def test_a_process_that_dies_while_one_waits_is_followed_at_once() -> None:
    job, time = new_job(), Time()
    with sleeper() as process:
        held(job, process=process_name(process.pid))

        def die() -> None:
            process.kill()
            process.wait()

        time.meanwhile = die
        assert time.take(job).number == 2
    assert time.now == 1.0


def test_of_many_that_come_at_once_one_gets_it_and_the_others_name_it() -> None:
    job, gate, over = new_job(), threading.Barrier(8), threading.Event()
    got, refused = list[Tenure](), list[str]()
    pace = Pace(beat_seconds=0.02, watch_seconds=30, look_seconds=0.01)

    def contend() -> None:
        gate.wait()
        try:
            with holding(job, say=lambda _: None, stopped=never, pace=pace) as hold:
                got.append(hold.tenure)
                over.wait(20)
        except OperatorError as error:
            refused.append(str(error))
            if len(refused) == 7:
                over.set()

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)
    assert all(f"process {os.getpid()}" in words for words in refused)
