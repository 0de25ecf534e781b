from dataclasses import dataclass, field

import pytest

from fleet.pace import paced


@dataclass
class Clock:
    """A clock that goes on only while somebody sleeps or works."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def handed_out(clock: Clock, *, per_second: float, work_seconds: float = 0.0) -> list[float]:
    """When each of four items is handed out, counted from the first."""
    times = []
    for _ in paced(range(4), per_second=per_second, clock=clock, sleep=clock.sleep):
        times.append(clock.now - 100.0)
        clock.now += work_seconds
    return times


def test_items_come_one_after_the_other_at_their_pace() -> None:
    assert handed_out(Clock(), per_second=2) == [0.0, 0.5, 1.0, 1.5]


def test_without_a_pace_nobody_waits() -> None:
    clock = Clock()
    assert handed_out(clock, per_second=0) == [0.0] * 4
    assert clock.slept == []


def test_who_works_longer_than_the_pace_does_not_wait_and_makes_nothing_up() -> None:
    clock = Clock()
    assert handed_out(clock, per_second=2, work_seconds=0.75) == [0.0, 0.75, 1.5, 2.25]
    assert clock.slept == []


def test_who_works_shorter_than_the_pace_waits_for_the_rest() -> None:
    clock = Clock()
    assert handed_out(clock, per_second=2, work_seconds=0.125) == [0.0, 0.5, 1.0, 1.5]
    assert clock.slept == pytest.approx([0.375] * 3)


def test_nothing_is_taken_before_its_turn() -> None:
    taken = []
    clock = Clock()
    items = paced((taken.append(number) for number in range(3)), per_second=1, clock=clock, sleep=clock.sleep)
    next(items)
    assert taken == [0]
