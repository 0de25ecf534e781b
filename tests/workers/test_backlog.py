import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from workers.backlog import Backlog, lead

pytestmark = pytest.mark.timeout(60)  # a wait that never ends


def within_patience(true: Callable[[], object]) -> bool:
    ends_at = time.monotonic() + 30
    while not true() and time.monotonic() < ends_at:
        time.sleep(0.001)
    return bool(true())


class Entrants:
    """Threads that hold out a picture each; `served` says who was let in, in order."""

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self.served: list[str] = []
        self.threads: list[threading.Thread] = []

    def come(self, name: str, *, turn: int, size_bytes: int = 1) -> None:
        """Returns when the picture waits in the backlog."""
        before = len(self.backlog._waiting) + len(self.served)
        thread = threading.Thread(target=self._enter, args=(name, turn, size_bytes), daemon=True)
        self.threads.append(thread)
        thread.start()
        assert within_patience(lambda: len(self.backlog._waiting) + len(self.served) > before)

    def _enter(self, name: str, turn: int, size_bytes: int) -> None:
        self.backlog.enter(size_bytes, turn=turn)
        self.served.append(name)

    def see(self, *names: str) -> bool:
        return within_patience(lambda: self.served == list(names)) and len(self.backlog._waiting) == len(self.threads) - len(names)


def test_pictures_enter_while_there_is_room() -> None:
    backlog = Backlog(pictures=2, size_bytes=100)
    backlog.enter(1, turn=0)
    backlog.enter(1, turn=0)
    entrants = Entrants(backlog)
    entrants.come("third", turn=0)
    assert entrants.see()
    backlog.leave(1)
    assert entrants.see("third")
    assert backlog.held == 2


def test_the_oldest_shard_is_served_first_and_within_it_who_came_first() -> None:
    backlog = Backlog(pictures=1, size_bytes=100)
    backlog.enter(1, turn=9)
    entrants = Entrants(backlog)
    for name, turn in (("new", 5), ("old", 1), ("old too", 1), ("middle", 3)):
        entrants.come(name, turn=turn)
    order = ["old", "old too", "middle", "new"]
    for served in range(4):
        backlog.leave(1)
        assert entrants.see(*order[: served + 1])


def test_bytes_bound_as_pictures_do() -> None:
    backlog = Backlog(pictures=100, size_bytes=10)
    backlog.enter(6, turn=0)
    backlog.enter(4, turn=0)
    entrants = Entrants(backlog)
    entrants.come("large", turn=0, size_bytes=5)
    entrants.come("small", turn=1)
    backlog.leave(4)
    assert entrants.see()  # the small one does not overtake
    backlog.leave(6)
    assert within_patience(lambda: set(entrants.served) == {"large", "small"})


def test_a_picture_larger_than_all_room_waits_for_all_of_it_and_gets_it() -> None:
    backlog = Backlog(pictures=4, size_bytes=10)
    backlog.enter(1, turn=0)
    backlog.enter(1, turn=0)
    entrants = Entrants(backlog)
    entrants.come("giant", turn=1, size_bytes=50)
    backlog.leave(1)
    assert entrants.see()
    backlog.leave(1)
    assert entrants.see("giant")
    entrants.come("next", turn=2)
    assert entrants.see("giant")
    backlog.leave(50)
    assert entrants.see("giant", "next")


def test_more_room_lets_in_who_waits_and_less_room_throws_nobody_out() -> None:
    backlog = Backlog(pictures=1, size_bytes=100)
    backlog.enter(1, turn=0)
    entrants = Entrants(backlog)
    entrants.come("second", turn=0)
    backlog.resize(pictures=2)
    assert entrants.see("second")
    backlog.resize(pictures=1)
    entrants.come("third", turn=0)
    backlog.leave(1)
    assert entrants.see("second")
    backlog.leave(1)
    assert entrants.see("second", "third")


class StopWaitingError(Exception):
    pass


class Interrupted(threading.Event):
    """A wait that ends as a signal or a killed thread ends it, before or after being served."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self.meanwhile()
        raise StopWaitingError


@contextmanager
def interrupting(backlog: Backlog, meanwhile: Callable[[], None]) -> Iterator[None]:
    serve = backlog._serve

    def once() -> None:
        for waiting in backlog._waiting:
            waiting.served = Interrupted(meanwhile)
        backlog._serve = serve  # type: ignore[method-assign]
        serve()

    backlog._serve = once  # type: ignore[method-assign]
    with pytest.raises(StopWaitingError):
        yield


@pytest.mark.parametrize("served_meanwhile", [False, True])
def test_a_wait_that_is_interrupted_leaks_nothing(*, served_meanwhile: bool) -> None:
    backlog = Backlog(pictures=1, size_bytes=10)
    backlog.enter(3, turn=0)
    with interrupting(backlog, lambda: backlog.leave(3) if served_meanwhile else None):
        backlog.enter(4, turn=1)
    if not served_meanwhile:
        backlog.leave(3)
    assert (backlog._held_pictures, backlog._held_bytes, backlog._waiting) == (0, 0, [])


def test_many_threads_never_hold_more_than_fits_and_leave_nothing_behind() -> None:
    backlog, lock, held, most = Backlog(pictures=5, size_bytes=40), threading.Lock(), [0, 0], [0, 0]

    def work(seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - sizes
        for _ in range(200):
            size = rng.randint(1, 20)
            backlog.enter(size, turn=seed)
            with lock:
                held[0], held[1] = held[0] + 1, held[1] + size
                most[:] = [max(most[0], held[0]), max(most[1], held[1])]
            with lock:
                held[0], held[1] = held[0] - 1, held[1] - size
            backlog.leave(size)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 5
    assert most[1] <= 40
    assert (backlog._held_pictures, backlog._held_bytes, backlog._waiting) == (0, 0, [])


def test_few_pictures_wait_beside_those_in_flight() -> None:
    assert [lead(window) for window in (1, 8, 32, 64, 256)] == [16, 16, 16, 32, 128]
