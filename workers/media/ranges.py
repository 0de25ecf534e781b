"""An object's bytes by ranges, out of a store: fetched ahead as planned, side by side, in bounded memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from itertools import islice
from time import perf_counter

from schemas.errors import PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.record import Fetched
from schemas.video import VideoRef
from storage import ObjectChanged, ObjectDenied, ObjectMissing, Store, StoreUnavailable
from workers.media.costs import Range, ReadCosts

AHEAD_BYTES = 16 * 1024 * 1024
"""What may be held of one object at once, fetched or on its way."""
FETCHERS = 64
"""Threads of a worker that wait for storage."""
LONGEST_PLAN = 100_000


@cache
def fetchers() -> ThreadPoolExecutor:
    """The threads that fetch for all videos of this process."""
    return ThreadPoolExecutor(FETCHERS, thread_name_prefix="fetch")


@dataclass(slots=True)
class Segment:
    """A range that was fetched or is on its way."""

    start: int
    end: int
    body: "Future[bytes]"
    read: bool = False
    """Whether somebody read it to its end."""


class StoreSource:
    """One video object, pinned by its etag. For one reading thread; it counts what it costs."""

    def __init__(
        self,
        store: Store,
        key: str,
        video: VideoRef,
        *,
        costs: ReadCosts = ReadCosts(),  # noqa: B008 - a frozen value
        timed: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Read this object; `timed` is told how many seconds each GET took, from any thread."""
        self._timed = timed
        self.size_bytes = video.size_bytes
        self._bytes_read = self._requests = 0
        self._store = store
        self._side_by_side = not store.url.startswith("file://")
        """Whether what is planned is fetched all at once: files answer so soon that many threads would but wait for each other."""
        self._key = key
        self._etag = video.etag
        self._costs = costs
        self._counting = threading.Lock()
        self._planned: deque[Range] = deque()
        self._segments: list[Segment] = []
        """Oldest first."""

    @property
    def fetched(self) -> Fetched:
        """What was fetched so far."""
        return Fetched(bytes_read=self._bytes_read, requests=self._requests)

    def plan(self, ranges: Iterable[Range]) -> None:
        """Hear what will be read next, in this order, and begin to fetch it. A hint: anything else can be read too."""
        room = LONGEST_PLAN - len(self._planned)
        self._planned.extend(islice(self._costs.coalesced(self._missing(ranges)), room))
        self._fetch_ahead()

    def read(self, *, start: int, end: int) -> bytes:
        """Read bytes `start` to `end` (exclusive).

        Raises:
            PermanentError: the object is gone, changed or denied.
            TransientError: the store does not answer.
        """
        if not self._segments and self.size_bytes <= self._costs.whole_bytes:
            self._planned = deque([(0, self.size_bytes)])
        pieces = []
        while start < end:
            pieces.append(self._piece(start, end))
            start += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Fetch nothing more, and forget what is held."""
        self._planned.clear()
        while self._segments:
            self._segments.pop().body.cancel()

    def _missing(self, ranges: Iterable[Range]) -> Iterator[Range]:
        """What of these ranges is neither here nor on its way."""
        for start, end in ranges:
            around = self._around(start)
            if around is None or around.end < end:
                yield (start if around is None else around.end, end)

    def _around(self, place: int) -> Segment | None:
        return next((one for one in self._segments if one.start <= place < one.end), None)

    def _piece(self, start: int, end: int) -> bytes:
        """Read from `start` as far as one segment reaches."""
        segment = self._around(start) or self._fetch_now(start, end)
        body = segment.body.result()
        segment.read = segment.read or end >= segment.end
        self._fetch_ahead()
        return body[start - segment.start : end - segment.start]

    def _fetch_now(self, start: int, end: int) -> Segment:
        """Fetch what is planned around `start`, ahead of its turn; else just what is asked for."""
        planned = next((one for one in self._planned if one[0] <= start < one[1]), None)
        if planned is not None:
            self._planned.remove(planned)
        following = [one.start for one in self._segments if start < one.start < end]
        wanted = planned or (start, min([end, *following]))
        self._make_room(_length(wanted), also_unread=True)
        self._fetch_ahead()
        self._segments.append(Segment(*wanted, Future()))
        self._segments[-1].body.set_result(self._fetch(*wanted))
        return self._segments[-1]

    def _fetch_ahead(self) -> None:
        ahead = list[Segment]()
        while self._planned and self._make_room(_length(self._planned[0]), also_unread=False):
            ahead.append(Segment(*self._planned.popleft(), Future()))
            self._segments.append(ahead[-1])
        for some in ([one] for one in ahead) if self._side_by_side else filter(None, [ahead]):
            fetchers().submit(copy_context().run, self._fill, some)

    def _fill(self, segments: Iterable[Segment]) -> None:
        """Fetch one segment after the other, but for those that nobody wants any more."""
        for segment in segments:
            if segment.body.set_running_or_notify_cancel():
                try:
                    segment.body.set_result(self._fetch(segment.start, segment.end))
                except BaseException as error:  # noqa: BLE001 - it is whoever reads the segment who must hear of it
                    segment.body.set_exception(error)

    def _make_room(self, size_bytes: int, *, also_unread: bool) -> bool:
        """Forget the oldest segments until there is room for another; says whether there is."""
        for segment in self._segments[:]:
            if self._held() + size_bytes <= AHEAD_BYTES:
                break
            if segment.read or also_unread:
                segment.body.cancel()
                self._segments.remove(segment)
        return self._held() + size_bytes <= AHEAD_BYTES

    def _held(self) -> int:
        return sum(one.end - one.start for one in self._segments)

    def _fetch(self, start: int, end: int) -> bytes:
        began = perf_counter()
        try:
            body = self._store.get_range(self._key, start=start, end=end, etag=self._etag)
        except ObjectMissing as error:
            raise PermanentError(Reason.OBJECT_GONE, Stage.FETCH, "The object is gone.") from error
        except ObjectChanged as error:
            raise PermanentError(Reason.OBJECT_CHANGED, Stage.FETCH, "The object is no longer the one that was listed.") from error
        except ObjectDenied as error:
            raise PermanentError(Reason.ACCESS_DENIED, Stage.FETCH, "The store refuses to hand out the object.") from error
        except StoreUnavailable as error:
            raise TransientError(f"The store did not answer: {error}") from error
        self._timed(perf_counter() - began)
        with self._counting:
            self._bytes_read, self._requests = self._bytes_read + len(body), self._requests + 1
        if len(body) != end - start:
            raise PermanentError(
                Reason.OBJECT_CHANGED, Stage.FETCH, f"The object is shorter than the {self.size_bytes} bytes it was listed with."
            )
        return body


def _length(wanted: Range) -> int:
    return wanted[1] - wanted[0]
