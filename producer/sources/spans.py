"""Lists a place by many threads at once, and shows its pages in the order of keys all the same.

S3 shows a listing page by page, each behind the one before. So the keys ahead are cut into spans that are listed side by side: a thread
that finds nothing to list guesses a key some pages ahead in the earliest span that seems to go on for longer, and begins a new span with
the first page behind it. Where that page lies past the span's end, or nothing is there, the new span is empty.

    shown │ span ──▶ ‧‧‧‧‧‧ │ span ───▶ ‧‧‧ │ span ▶ ‧‧‧‧‧‧‧‧‧‧‧‧
          │ head: its pages │ held until it │ the last one has
          │ are shown next  │ is the head   │ no end yet

Guesses follow the newest page of a span, and the earliest span is looked after first, so that what is held ahead is what is shown next,
in flat prefixes as in deep trees. They are rationed: with S requests for the pages one after the other, it takes 4/3 x (S + 2 x threads)
of them at most.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from producer.sources.span import STRIDE, Span
from schemas.errors import OperatorError
from storage import Page

THREADS = 16
AHEAD = 2 * STRIDE * THREADS
"""How many pages are held or being fetched at most; a page of S3 takes some 250 KB."""
ALONE = 4
"""How many pages are read before threads are started."""
TRAIL = 2 * STRIDE
"""How many of the pages that were shown last tell how far apart keys are."""
PAGES_PER_GUESS = 4
FREE_GUESSES = 2
"""For each thread."""


class Pages(Protocol):
    """What is listed: of a store, as much as it takes."""

    url: str

    def pages(self, prefix: str = "", *, start_after: str = "", most: int = 1000) -> Iterator[Page]:
        """Stream pages in the order of keys; none is empty."""


def in_order(store: Pages, *, after: str = "", threads: int = THREADS, ahead: int = AHEAD) -> Iterator[Page]:
    """Show the pages of a store behind a key, listed by threads once there are several; what is not taken yet is bounded.

    Raises:
        StoreError: as the store does, once all pages before are shown.
        OperatorError: the store lists its keys in no order.
    """
    span = Span(listing=store.pages(start_after=after), last=after)
    trail: deque[str] = deque(maxlen=TRAIL)
    while page := _next_page(store, span):
        yield page
        span.last = page.keys[-1]
        trail.append(span.last)
        if len(trail) == ALONE:
            span.look_ahead(page, trail=tuple(trail), wide=False)
            yield from _side_by_side(_Survey(store, span, trail, threads=threads, ahead=ahead))
            return


def _side_by_side(survey: "_Survey") -> Iterator[Page]:
    try:
        yield from survey.pages()
    finally:
        survey.stop()


def _next_page(store: Pages, span: Span) -> Page | None:
    page = next(span.listing, None)
    if page and (page.keys[0] <= span.last or page.keys != sorted(page.keys)):
        message = f"{store.url} lists its keys in no order, so nobody could go on from the last one: name its videos by a manifest."
        raise OperatorError(message)
    return page


class _Survey:
    """The spans of one listing and the threads that list them."""

    def __init__(self, store: Pages, span: Span, trail: deque[str], *, threads: int, ahead: int) -> None:
        self._store = store
        self._spans = [span]
        """In the order of keys; the first is the head."""
        self._trail = trail
        self._lengths: deque[int] = deque(maxlen=STRIDE)
        self._wide = False
        self._taken = 0
        """Pages that are held or being fetched."""
        self._limit = ahead
        self._guesses = FREE_GUESSES * threads
        self._pages = 0
        self._stopped = False
        lock = threading.Lock()
        self._work = threading.Condition(lock)
        self._news = threading.Condition(lock)
        self._threads = [threading.Thread(target=self._run, name=f"list-{number}", daemon=True) for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def pages(self) -> Iterator[Page]:
        """Show the head's pages, then those of the next head."""
        while page := self._next():
            yield page

    def stop(self) -> None:
        """Let each thread end the request it is at."""
        with self._work:
            self._stopped = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()

    def _next(self) -> Page | None:
        with self._news:
            while True:
                self._news.wait_for(lambda: self._spans[0].held or self._spans[0].done)
                head = self._spans[0]
                if not head.held and not head.error and len(self._spans) > 1:
                    self._leave()
                    continue
                return self._take(head)

    def _leave(self) -> None:
        """Go on to the next span, and learn whether the last few were as long as they should be."""
        self._lengths.append(self._spans.pop(0).pages)
        self._wide = sum(self._lengths) < len(self._lengths) * STRIDE / 2
        self._work.notify()

    def _take(self, head: Span) -> Page | None:
        if head.held:
            self._taken -= 1
            page = head.held.popleft()
            self._trail.append(page.keys[-1])
            self._work.notify()
            return page
        if head.error:
            raise head.error
        return None

    def _run(self) -> None:
        while work := self._wait():
            work()

    def _wait(self) -> Callable[[], None] | None:
        with self._work:
            while not self._stopped:
                if work := self._choose():
                    self._taken += 1
                    self._work.notify()  # there may be something for one more thread, which will wake the next
                    return work
                self._work.wait()
        return None

    def _choose(self) -> Callable[[], None] | None:
        """What is to be done first: to list, or where that is being done, to cut."""
        room = self._taken < self._limit - 1  # the last place is the head's, without which nothing is shown
        for span in self._spans:
            if span.error or not (room or span is self._spans[0]):
                break
            if not span.listed and not span.done and (room or not span.held):
                span.listed = True
                return partial(self._list, span)
            if room and span.guess and not span.cut and not span.done and self._guesses:
                span.cut = True
                self._guesses -= 1
                return partial(self._cut, span, span.guess)
        return None

    def _list(self, span: Span) -> None:
        page, error = self._fetch(span)
        with self._work:
            span.listed = False
            self._keep(span, page, error)
            self._news.notify()

    def _cut(self, span: Span, guess: str) -> None:
        """Begin a new span behind the guess; void where the span was listed as far meanwhile."""
        new = Span(listing=self._store.pages(start_after=guess), last=guess)
        page, error = self._fetch(new)
        with self._work:
            span.cut, span.guess, new.end = False, "", span.end
            if span.done or span.last >= guess:
                self._taken -= 1
                return
            span.end = guess
            self._spans.insert(self._spans.index(span) + 1, new)
            self._keep(new, page, error)

    def _fetch(self, span: Span) -> tuple[Page | None, Exception | None]:
        try:
            return _next_page(self._store, span), None
        except Exception as error:  # noqa: BLE001 - whoever takes the pages gets it in its place
            return None, error

    def _keep(self, span: Span, page: Page | None, error: Exception | None) -> None:
        span.error, span.done = error, page is None
        if page is not None:
            self._pages += 1
            self._guesses += self._pages % PAGES_PER_GUESS == 0
            if span.add(page, trail=tuple(self._trail), wide=self._wide):
                return
        self._taken -= 1
