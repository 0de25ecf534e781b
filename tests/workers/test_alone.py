"""Side by side, or alone."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from workers.alone import Alone


class Enough(Exception):  # noqa: N818
    """Whoever waits is to stop."""


def nothing() -> None:
    """Let whoever waits go on waiting."""


def begin(pool: ThreadPoolExecutor, enter: Callable[..., object], seen: list[str], name: str, until: threading.Event) -> "Future[None]":
    def work() -> None:
        with enter(check=nothing):  # type: ignore[attr-defined]
            seen.append(name)
            until.wait(60)

    return pool.submit(work)


def wait_for(seen: list[str], *names: str) -> None:
    end = time.monotonic() + 30
    while sorted(seen) != sorted(names):
        assert time.monotonic() < end, seen
        time.sleep(0.005)


def test_shards_work_side_by_side() -> None:
    alone, seen, over = Alone(), list[str](), threading.Event()
    with ThreadPoolExecutor() as pool:
        for name in "ab":
            begin(pool, alone.side_by_side, seen, name, over)
        wait_for(seen, "a", "b")
        over.set()


def test_a_suspect_waits_for_the_others_and_whoever_comes_later_waits_for_it() -> None:
    alone, seen = Alone(), list[str]()
    first_over, suspect_over = threading.Event(), threading.Event()
    with ThreadPoolExecutor() as pool:
        begin(pool, alone.side_by_side, seen, "first", first_over)
        wait_for(seen, "first")
        begin(pool, alone.by_itself, seen, "suspect", suspect_over)
        end = time.monotonic() + 30
        while not alone._asking and time.monotonic() < end:
            time.sleep(0.005)
        begin(pool, alone.side_by_side, seen, "later", suspect_over)
        time.sleep(0.05)
        assert seen == ["first"]
        first_over.set()
        wait_for(seen, "first", "suspect")
        time.sleep(0.05)
        assert seen == ["first", "suspect"]
        suspect_over.set()
        wait_for(seen, "first", "suspect", "later")


@pytest.mark.parametrize("asks", ["side_by_side", "by_itself"])
def test_who_is_told_to_stop_while_it_waits_leaves_no_trace(asks: str) -> None:
    alone = Alone()

    def stop() -> None:
        raise Enough

    with alone.by_itself(check=nothing), pytest.raises(Enough), getattr(alone, asks)(check=stop):
        pytest.fail("it got in")
    with alone.by_itself(check=stop), pytest.raises(Enough), alone.side_by_side(check=stop):
        pytest.fail("it got in")
    with alone.side_by_side(check=stop), alone.side_by_side(check=stop):
        pass


def test_a_check_that_takes_its_time_holds_up_nobody_who_leaves_or_comes() -> None:
    alone, asked, over = Alone(), threading.Event(), threading.Event()

    def check() -> None:
        asked.set()
        assert over.wait(30), "whoever left had to wait for the check"

    def wait() -> None:
        with alone.side_by_side(check=check):
            pass

    with ThreadPoolExecutor() as pool:
        with alone.by_itself(check=nothing):
            waiter = pool.submit(wait)
            assert asked.wait(30)
        with alone.side_by_side(check=nothing):
            over.set()
        waiter.result(30)
