"""Handing out work at an even pace."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def paced(
    items: Iterable[T], *, per_second: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Iterator[T]:
    """Yield items, each as long after the one before as the pace has it; 0 is no pace. Time lost between two is not made up for."""
    due = clock()
    for item in items:
        if (wait := due - clock()) > 0:
            sleep(wait)
        due = clock() + (1 / per_second if per_second else 0)
        yield item
