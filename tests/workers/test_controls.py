"""What a worker knows of the jobs that it meets."""

import threading
from dataclasses import dataclass

import pytest
from builders import HandmadeJob

from schemas.control import ControlState
from storage.control import set_control
from storage.job import Job
from storage.memory import MemoryStore
from workers.controls import JOBS_KEPT, Controls

RUNNING, PAUSED, CANCELLED = ControlState.RUNNING, ControlState.PAUSED, ControlState.CANCELLED


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class CountedStore(MemoryStore):
    """A memory store that counts its reads."""

    reads = 0

    def get(self, key: str) -> bytes:
        self.reads += 1
        return super().get(key)


@pytest.fixture
def job() -> Job:
    return HandmadeJob().job


def say(job: Job, state: ControlState) -> None:
    set_control(job, state, by="ann")


@pytest.mark.parametrize("state", [PAUSED, CANCELLED])
def test_a_word_is_obeyed_within_five_seconds_and_a_resumption_at_once(job: Job, state: ControlState) -> None:
    clock = Clock()
    controls = Controls(clock=clock)
    assert controls.state_of(job) is RUNNING
    say(job, state)
    clock.now = 5.0
    assert controls.state_of(job) is state
    say(job, RUNNING)
    assert controls.state_of(job) is RUNNING


def test_jobs_are_told_apart_whoever_opened_them(job: Job) -> None:
    other = HandmadeJob().job
    say(other, PAUSED)
    controls = Controls()
    assert [controls.state_of(each) for each in (job, other, Job(other.store))] == [RUNNING, PAUSED, PAUSED]


def test_a_running_job_costs_one_read_per_five_seconds_however_many_threads_ask() -> None:
    store, clock = CountedStore("counted"), Clock()
    controls, job = Controls(clock=clock), Job(store)

    def ask() -> None:
        for _ in range(200):
            controls.state_of(job)

    for period in range(3):
        clock.now = period * 5.0
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert store.reads == 3


def test_jobs_that_were_not_met_for_long_are_forgotten(job: Job) -> None:
    controls = Controls()
    controls.state_of(job)
    for number in range(3 * JOBS_KEPT):
        controls.state_of(Job(MemoryStore(f"met-{number}")))
    assert len(controls._jobs) == JOBS_KEPT
    say(job, PAUSED)
    assert controls.state_of(job) is PAUSED
