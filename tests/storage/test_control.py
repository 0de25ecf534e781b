"""The operator's last word: who has it, who hears it, and how often storage is asked."""

import threading
from dataclasses import dataclass, field

import pytest
from builders import AT, HandmadeJob, new_store
from pydantic import ValidationError

from schemas.control import Control, ControlState, HaltedError
from schemas.errors import OperatorError
from storage import StoreUnavailable
from storage.control import CONTROL_KEY, Heed, read_control, refuse_halted, set_control
from storage.job import Job
from storage.memory import MemoryStore

RUNNING, PAUSED, CANCELLED = ControlState.RUNNING, ControlState.PAUSED, ControlState.CANCELLED


class AskedStore(MemoryStore):
    """A memory store that counts how often control is asked for, and is away while a test says so."""

    asked = 0
    away = False

    def get(self, key: str) -> bytes:
        if key == CONTROL_KEY:
            self.asked += 1
            if self.away:
                raise StoreUnavailable("away")
        return super().get(key)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Heard:
    """A job whose control is heard with a clock of the test's."""

    store: AskedStore = field(default_factory=lambda: AskedStore(new_store().url.removeprefix("memory://")))
    clock: Clock = field(default_factory=Clock)

    @property
    def job(self) -> Job:
        return Job(self.store)

    def heed(self, *remembered: ControlState) -> Heed:
        return Heed(self.job, remembered=remembered or tuple(ControlState), clock=self.clock)

    def say(self, state: ControlState) -> None:
        set_control(self.job, state, by="ann")


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_a_job_of_which_nobody_said_anything_is_running() -> None:
    job = HandmadeJob().job
    assert read_control(job) == Control()
    refuse_halted(job)


def test_the_last_word_counts_with_who_had_it_and_why() -> None:
    job = HandmadeJob().job
    written = set_control(job, PAUSED, by="ann", why="the disk is full")
    assert read_control(job) == written
    assert (written.state, written.by, written.why) == (PAUSED, "ann", "the disk is full")
    set_control(job, CANCELLED, by="bob")
    control = read_control(job)
    assert (control.state, control.by, control.why) == (CANCELLED, "bob", "")


def test_a_control_is_told_in_words() -> None:
    control = Control(state=PAUSED, at=AT, by="ann", why="the disk is full")
    told = "paused by ann at 2026-01-02 03:04 UTC (the disk is full)"
    assert str(control) == told
    assert str(Control.model_validate_json(control.model_dump_json())) == told
    assert str(Control()) == "running"
    assert str(Control(at=AT, by="bob")) == "running, resumed by bob at 2026-01-02 03:04 UTC"
    with pytest.raises(ValidationError):
        Control.model_validate_json('{"state": "asleep"}')


@pytest.mark.parametrize("state", [PAUSED, CANCELLED])
def test_a_halted_job_is_refused_with_the_command_that_goes_on(state: ControlState) -> None:
    job = HandmadeJob().job
    set_control(job, state, by="ann")
    with pytest.raises(HaltedError, match=f"{job.url} is {state} by ann .* framefleet resume {job.url}"):
        refuse_halted(job)


@pytest.mark.parametrize("body", [b"", b"paused", b'{"state": "asleep"}', b'{"states": "paused"}', b"\xff"])
def test_a_control_that_makes_no_sense_says_so(body: bytes) -> None:
    job = HandmadeJob().job
    job.store.replace(CONTROL_KEY, body)
    with pytest.raises(OperatorError, match="framefleet resume"):
        read_control(job)


def test_storage_is_asked_at_most_every_five_seconds(heard: Heard) -> None:
    heed = heard.heed()
    for second in range(20):
        heard.clock.now = 100.0 + second
        assert heed.control().state is RUNNING
        assert heed.control().state is RUNNING
    assert heard.store.asked == 4


def test_a_word_is_heard_within_five_seconds(heard: Heard) -> None:
    heed = heard.heed()
    heed.control()
    heard.say(PAUSED)
    heard.clock.now += 4.9
    assert heed.control().state is RUNNING
    heard.clock.now += 0.1
    assert heed.control().state is PAUSED


def test_what_is_not_remembered_is_asked_anew(heard: Heard) -> None:
    heard.say(PAUSED)
    heed = heard.heed(RUNNING)
    assert [heed.control().state for _ in range(3)] == [PAUSED] * 3
    assert heard.store.asked == 3
    heard.say(RUNNING)
    assert [heed.control().state for _ in range(3)] == [RUNNING] * 3
    assert heard.store.asked == 4


@pytest.mark.parametrize("state", ControlState)
def test_while_storage_is_away_the_last_word_stands(heard: Heard, state: ControlState) -> None:
    heard.say(state)
    heed = heard.heed()
    heed.control()
    heard.store.away = True
    heard.say(RUNNING if state is PAUSED else PAUSED)
    heard.clock.now += 60
    assert [heed.control().state for _ in range(3)] == [state] * 3
    assert heard.store.asked == 2
    heard.store.away = False
    heard.clock.now += 5
    assert heed.control().state is not state


@pytest.mark.parametrize("state", [PAUSED, CANCELLED])
def test_while_storage_is_away_an_old_word_is_not_taken_for_one_that_is_not_remembered(heard: Heard, state: ControlState) -> None:
    heard.say(state)
    heed = heard.heed(RUNNING)
    assert heed.control().state is state
    heard.say(RUNNING)
    heard.store.away = True
    with pytest.raises(StoreUnavailable):
        heed.control()
    heard.store.away = False
    assert heed.control().state is RUNNING
    heard.store.away = True
    heard.clock.now += 60
    assert heed.control().state is RUNNING


def test_a_job_of_which_nothing_could_ever_be_heard_runs(heard: Heard) -> None:
    heard.store.away = True
    assert heard.heed().control() == Control()


def test_nonsense_does_not_end_who_heeds_it(heard: Heard) -> None:
    heard.say(PAUSED)
    heed = heard.heed()
    heed.control()
    heard.store.replace(CONTROL_KEY, b"nonsense")
    heard.clock.now += 60
    assert heed.control().state is PAUSED


def test_while_one_thread_asks_the_others_go_on_with_what_is_known(heard: Heard) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(AskedStore):
        def get(self, key: str) -> bytes:
            body = super().get(key) if key == CONTROL_KEY else b""
            if self.asked > 1:
                entered.set()
                leave.wait(10)
            return body

    heard.store = Slow("slow")
    heard.say(RUNNING)
    heed = heard.heed(RUNNING)
    heed.control()
    heard.clock.now += 5
    heard.say(PAUSED)
    asking = threading.Thread(target=heed.control)
    asking.start()
    assert entered.wait(10)
    heard.clock.now += 5
    assert heed.control().state is RUNNING
    leave.set()
    asking.join()
    assert heed.control().state is PAUSED
