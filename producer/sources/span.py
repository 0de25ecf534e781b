"""One stretch of the keys that are listed."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from producer.sources.leaps import leap
from storage import Page
from storage.pages import cut

STRIDE = 8
"""How many pages a span is meant to have."""
REACH = 4
"""How many strides the last span is cut ahead, since there each cut has to wait for the one before."""


@dataclass(eq=False, slots=True, kw_only=True)
class Span:
    """The keys behind `last`, up to `end` if there is one, and the pages before them that were not shown yet."""

    listing: Iterator[Page]
    last: str
    end: str | None = None
    held: deque[Page] = field(default_factory=deque)
    guess: str = ""
    """Where it may be cut; empty if that is not worth it."""
    listed: bool = False
    """Whether a thread is fetching its next page."""
    cut: bool = False
    """Whether a thread looks what lies behind the guess."""
    done: bool = False
    pages: int = 0
    error: Exception | None = None

    def add(self, page: Page, *, trail: Sequence[str], wide: bool) -> bool:
        """Hold as much of the next page as lies in this span; False if nothing does."""
        rows = len(page.keys) if self.end is None else bisect_right(page.keys, self.end)
        self.done = rows < len(page.keys) or page.keys[-1] == self.end
        if rows:
            self.pages += 1
            self.held.append(cut(page, rows))
            self.last = page.keys[rows - 1]
            self.look_ahead(page, trail=trail, wide=wide)
        return rows > 0

    def look_ahead(self, page: Page, *, trail: Sequence[str], wide: bool) -> None:
        """Guess where to cut: a stride ahead if two seem to be left, but far ahead where there is no end, which is cut again meanwhile."""
        if self.end is None:
            self.guess = leap(page.keys, REACH * STRIDE, trail=trail, wide=wide)
            return
        near, far = (leap(page.keys, pages, trail=trail, wide=wide) for pages in (STRIDE, 2 * STRIDE))
        self.guess = near if near <= far < self.end else ""
