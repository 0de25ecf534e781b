import asyncio
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from builders import RECIPE

from workers.ceiling import Ceilings
from workers.engines.scripted import ScriptedEngine
from workers.machine import machine_words
from workers.metered import Meter
from workers.pulse import Pulse, Recently, Sample, WorkClock
from workers.saturation import measure


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeRoom:
    versions: dict[str, str] = field(default_factory=lambda: {"framefleet": "9", "engine": "scripted"})
    rungs: Counter[tuple[str, str]] = field(default_factory=Counter)
    window_size: int = 12
    in_flight: int = 11
    waiting_pictures: int = 7


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def room() -> FakeRoom:
    return FakeRoom()


@pytest.fixture
def pulse(room: FakeRoom, clock: Clock, tmp_path: Path) -> Pulse:
    return Pulse("host:1", room, Meter(), Ceilings(str(tmp_path)), dollars_per_hour=2.0, clock=clock)


def test_work_is_counted_once_however_many_shards_there_are(clock: Clock) -> None:
    work = WorkClock(clock)
    assert (work.seconds(), work.idle_seconds()) == (0.0, 0.0)
    work.begin()
    clock.now += 2
    work.begin()
    clock.now += 3
    assert (work.seconds(), work.idle_seconds()) == (5.0, 0.0)
    work.end()
    clock.now += 1
    work.end()
    clock.now += 10
    assert (work.seconds(), work.idle_seconds()) == (6.0, 10.0)
    work.begin()
    clock.now += 1
    assert (work.seconds(), work.idle_seconds()) == (7.0, 0.0)


def test_what_is_recent_is_the_last_minute_of_work() -> None:
    recently = Recently()
    assert recently.add(Sample(1.0, 10, 9)) == Sample(1.0, 10, 9)
    for second in range(2, 101):
        latest = recently.add(Sample(float(second), 10 * second, 9 * second))
    assert latest == Sample(60.0, 600, 540)
    assert len(recently.samples) == 61


def test_time_without_work_takes_nothing_away_from_what_is_recent() -> None:
    recently = Recently()
    recently.add(Sample(1.0, 10, 10))
    assert {recently.add(Sample(2.0, 30, 30)) for _ in range(1000)} == {Sample(2.0, 30, 30)}
    assert len(recently.samples) == 3


def test_a_worker_that_has_just_become_ready_shows_zeros(pulse: Pulse) -> None:
    vitals = pulse.vitals()
    assert (vitals.worker, vitals.engine, vitals.model) == ("host:1", "scripted", "")
    assert (vitals.seconds_at_work, vitals.frames, vitals.recent_seconds, vitals.rungs, vitals.tokens) == (0.0, 0, 0.0, {}, {})
    assert (vitals.ceiling_frames_per_second, vitals.dollars_per_hour) == (None, 2.0)


def test_frames_time_and_rungs_are_shown_as_they_are(pulse: Pulse, room: FakeRoom, clock: Clock) -> None:
    with pulse.at_work(RECIPE):
        clock.now += 4
        pulse.count(3)
        pulse.count(2)
        room.rungs.update({("constrained", "accepted"): 4, ("constrained", "cut"): 1, ("longer", "accepted"): 1})
        busy = pulse.vitals()
    clock.now += 9
    assert (busy.model, busy.seconds_at_work, busy.frames, busy.captioned, busy.idle_seconds) == ("tiny@1", 4.0, 5, 5, 0.0)
    assert (busy.recent_seconds, busy.recent_frames, busy.recent_captioned) == (4.0, 5, 5)
    assert busy.rungs == {"constrained": {"accepted": 4, "cut": 1}, "longer": {"accepted": 1}}
    assert (busy.window, busy.in_flight, busy.pictures_waiting) == (12, 11, 7)
    assert pulse.vitals().idle_seconds == 9.0


def test_work_that_fails_is_work_too(pulse: Pulse, clock: Clock) -> None:
    def fail() -> None:
        with pulse.at_work(RECIPE):
            clock.now += 4
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    clock.now += 1
    assert (pulse.vitals().seconds_at_work, pulse.vitals().idle_seconds) == (4.0, 1.0)


def test_frames_may_be_counted_from_many_threads(pulse: Pulse) -> None:
    threads = [threading.Thread(target=lambda: [pulse.count(1) for _ in range(2000)]) for _ in range(8)]
    with ExitStack() as ended:
        for thread in threads:
            thread.start()
            ended.callback(thread.join)
    assert pulse.vitals().frames == 16000


def test_a_ceiling_that_an_operator_tells_holds_where_none_was_measured(room: FakeRoom, tmp_path: Path) -> None:
    told = Ceilings(str(tmp_path), told=7.0)
    ceiling = asyncio.run(measure(ScriptedEngine(), RECIPE, answer_tokens=16, machine=machine_words(), frames=4))
    before = Pulse("host:1", room, Meter(), told)
    with before.at_work(RECIPE):
        assert before.vitals().ceiling_frames_per_second == 7.0
    told.keep(ceiling)
    after = Pulse("host:2", room, Meter(), told)
    with after.at_work(RECIPE):
        assert after.vitals().ceiling_frames_per_second == ceiling.frames_per_second


def test_a_worker_finds_the_ceiling_that_was_measured_here_with_its_engine(room: FakeRoom, pulse: Pulse, tmp_path: Path) -> None:
    ceiling = asyncio.run(measure(ScriptedEngine(), RECIPE, answer_tokens=16, machine=machine_words(), frames=4))
    Ceilings(str(tmp_path)).keep(ceiling)
    with pulse.at_work(RECIPE):
        assert pulse.vitals().ceiling_frames_per_second == ceiling.frames_per_second
    room.versions = {"engine": "openai", "endpoint": "host:8000"}
    other = Pulse("host:2", room, Meter(), Ceilings(str(tmp_path)))
    with other.at_work(RECIPE):
        assert other.vitals().ceiling_frames_per_second is None
