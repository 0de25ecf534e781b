"""A tenure while it is held: what is written down of its holder, and how that one hears that another has taken over."""

import threading
import uuid
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tenures import Time, held, never, new_job

from schemas.errors import OperatorError
from schemas.tenure import Published, Tenure
from storage import StoreUnavailable
from storage.job import Job
from storage.memory import MemoryStore
from storage.tenure import Hold, Pace, holding, key, latest


def test_a_holder_writes_down_how_far_it_is_and_counts_its_beat() -> None:
    job, time = new_job(), Time()
    with holding(job, say=time.said.append, stopped=never, pace=time.pace) as hold:
        hold.note(published=Published(part=1))
        hold.note(spent={"worker_seconds": 1.0})
        assert latest(job) == hold.tenure
        assert (hold.tenure.beat, hold.tenure.published.part, hold.tenure.released) == (2, 1, False)
    assert latest(job).released


def test_a_holder_that_fails_releases_its_tenure_too() -> None:
    job, time = new_job(), Time()
    with suppress(KeyError), holding(job, say=time.said.append, stopped=never, pace=time.pace):
        raise KeyError
    assert latest(job).released


def test_the_beat_goes_on_while_its_holder_is_busy_elsewhere() -> None:
    job, beaten = new_job(), threading.Event()
    pace = Pace(beat_seconds=0.01)
    with holding(job, say=print, stopped=never, pace=pace) as hold:
        while not beaten.wait(0.01):
            if latest(job).beat >= 3:
                beaten.set()
        hold.check()


def test_what_the_job_has_cost_is_asked_for_with_every_beat() -> None:
    job, time, spent = new_job(), Time(), {"worker_seconds": 0.0}
    with holding(job, say=time.said.append, stopped=never, pace=time.pace, spent=spent.copy) as hold:
        spent["worker_seconds"] = 3.5
        hold.note()
        assert latest(job).spent == {"worker_seconds": 3.5}
        spent["worker_seconds"] = 4.0
    assert latest(job).spent == {"worker_seconds": 4.0}


def test_progress_is_written_down_only_now_and_then() -> None:
    job, time = new_job(), Time()
    with holding(job, say=time.said.append, stopped=never, pace=replace(time.pace, save_seconds=5.0)) as hold:
        for part in range(1, 21):
            time.now += 1.0
            hold.note(published=Published(part=part))
            assert latest(job).published.part == part // 5 * 5
    assert latest(job).published.part == 20


def test_a_deposed_holder_hears_who_took_over_and_leaves_everything_to_it() -> None:
    job, time = new_job(), Time()
    with holding(job, say=time.said.append, stopped=never, pace=time.pace) as hold:
        held(job, number=2, who="bob")
        hold.check()  # nobody has told it yet
        for told in (lambda: hold.note(published=Published(part=5)), hold.check):
            with pytest.raises(OperatorError, match=r"fed by another producer now \(bob@far.*Nothing is lost"):
                told()
    assert latest(job).who == "bob"
    assert not Tenure.model_validate_json(job.store.get(key(1))).released


class Fragile(MemoryStore):
    """A store that is away while a test says so."""

    away = False

    def replace(self, key: str, body: bytes) -> None:
        if self.away:
            raise StoreUnavailable("away")
        super().replace(key, body)


def test_a_store_that_is_away_for_a_while_costs_a_note_and_no_more() -> None:
    store, time = Fragile(uuid.uuid4().hex), Time()
    job = Job(store)
    with holding(job, say=time.said.append, stopped=never, pace=time.pace) as hold:
        store.away = True
        hold.note(published=Published(part=1))
        assert latest(job).published.part == 0
        store.away = False
        hold.note()
        assert latest(job).published.part == 1


class Succession(RuleBasedStateMachine):
    """Producers that come, beat, fall silent and end in any order: one number, one holder, and no note is lost."""

    @initialize()
    def begin(self) -> None:
        self.job, self.time = new_job(), Time()
        self.holds: dict[int, Hold] = {}
        self.parts = 0

    @property
    def last(self) -> Hold | None:
        return self.holds.get(max(self.holds, default=0))

    @rule(alive=st.booleans())
    def come(self, alive: bool) -> None:  # noqa: FBT001
        before = latest(self.job)
        holder = self.last
        self.time.meanwhile = (lambda: holder.note() if holder and not holder.tenure.released else None) if alive else (lambda: None)
        lives = alive and before is not None and not before.released
        try:
            tenure = self.time.take(self.job)
        except OperatorError:
            assert lives
            return
        assert not lives
        assert tenure.published.part == self.parts
        self.holds[tenure.number] = Hold(self.job, tenure, self.time.pace)

    @precondition(lambda self: self.holds)
    @rule(which=st.integers(0, 9))
    def note(self, which: int) -> None:
        number = sorted(self.holds)[which % len(self.holds)]
        hold = self.holds[number]
        if number < max(self.holds):
            with pytest.raises(OperatorError, match="fed by another producer"):
                hold.note(published=Published(part=99))
        elif not hold.tenure.released:
            self.parts += 1
            hold.note(published=Published(part=self.parts))

    @precondition(lambda self: self.holds)
    @rule(which=st.integers(0, 9))
    def end(self, which: int) -> None:
        self.holds[sorted(self.holds)[which % len(self.holds)]].end()

    @invariant()
    def the_highest_number_says_how_far_it_is(self) -> None:
        found = latest(self.job)
        assert (found.published.part if found else 0) == self.parts
        assert (found.number if found else 0) == len(self.holds)


TestSuccession = Succession.TestCase
TestSuccession.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
