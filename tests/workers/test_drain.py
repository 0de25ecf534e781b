"""Leaving in time."""

import threading
import time

from workers.drain import LAST_SECONDS, Drain


class Exits:
    """Notes instead of leaving."""

    def __init__(self) -> None:
        self.happened: list[object] = []
        self.left = threading.Event()

    def hand_back(self) -> None:
        self.happened.append("handed back")

    def leave(self, status: int) -> None:
        self.happened.append(status)
        self.left.set()


def draining(exits: Exits, *, grace_seconds: float) -> Drain:
    return Drain(grace_seconds, last_resort=exits.hand_back, leave=exits.leave)


def test_nothing_is_due_before_the_signal() -> None:
    drain = draining(Exits(), grace_seconds=1)
    assert (drain.begun, drain.due) == (False, False)


def test_work_goes_on_for_most_of_the_grace() -> None:
    drain = draining(Exits(), grace_seconds=60)
    drain.begin()
    assert (drain.begun, drain.due) == (True, False)


def test_what_is_held_at_the_end_of_the_grace_is_handed_back_before_the_process_goes() -> None:
    exits, begin = Exits(), time.monotonic()
    drain = draining(exits, grace_seconds=LAST_SECONDS + 0.6)
    drain.begin()
    assert exits.left.wait(30)
    assert time.monotonic() - begin >= 0.6
    assert drain.due
    assert exits.happened == ["handed back", 0]


def test_a_last_resort_that_fails_keeps_nobody_here() -> None:
    exits = Exits()

    def fail() -> None:
        raise OSError

    seen: list[object] = []
    hook, threading.excepthook = threading.excepthook, seen.append
    try:
        Drain(1, last_resort=fail, leave=exits.leave).begin()
        assert exits.left.wait(30)
        time.sleep(0.05)
    finally:
        threading.excepthook = hook
    assert exits.happened == [0]
    assert len(seen) == 1


def test_a_last_resort_that_never_ends_keeps_nobody_here() -> None:
    exits, thawed = Exits(), threading.Event()
    Drain(LAST_SECONDS, last_resort=thawed.wait, leave=exits.leave).begin()  # as at a broker that is frozen
    left = exits.left.wait(30)
    thawed.set()
    assert left
    assert exits.happened == [0]


def test_a_second_signal_does_not_lengthen_the_grace() -> None:
    drain = draining(Exits(), grace_seconds=60)
    drain.begin()
    due = drain._due_at
    drain.begin()
    assert drain._due_at == due


def test_whoever_sleeps_is_woken_to_leave() -> None:
    drain, begin = draining(Exits(), grace_seconds=60), time.monotonic()
    threading.Timer(0.1, drain.begin).start()
    drain.sleep(30)
    assert time.monotonic() - begin < 25
