import asyncio
import gc
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager

import pytest
from builders import RECIPE
from puppets import Puppet, picture

from schemas.errors import EngineDiedError, FatalError, PermanentError, TransientError
from schemas.reasons import Reason, Stage
from workers.feeding import Feed

pytestmark = pytest.mark.timeout(30)  # a caption that never comes
DIED = EngineDiedError("the engine's process is gone")


@contextmanager
def fed(engine: Puppet, *, pictures: int | None = None, size_bytes: int = 1 << 20, deadline_seconds: float = 60.0) -> Iterator[Feed]:
    feed = Feed(lambda: engine, deadline_seconds=deadline_seconds, pictures=pictures, size_bytes=size_bytes, close_seconds=0.5)
    try:
        yield feed
    finally:
        feed.close()


def go(feed: Feed, engine: Puppet) -> None:
    feed._loop.call_soon_threadsafe(engine.go.set)


def soon(true: Callable[[], object]) -> bool:
    ends_at = time.monotonic() + 30
    while not true() and time.monotonic() < ends_at:
        time.sleep(0.001)
    return bool(true())


def start(feed: Feed, count: int, says: str = "") -> "list[Future]":
    return [feed.caption(picture(says), RECIPE, turn=0) for _ in range(count)]


def test_pictures_are_captioned_and_rungs_are_counted() -> None:
    with fed(Puppet()) as feed:
        futures = start(feed, 5, "at once")
        assert all(json.loads(future.result().annotation.model_dump_json()) for future in futures)
        assert feed.rungs == {("constrained", "accepted"): 5}
        assert soon(lambda: feed.backlog.held == 0)


def test_the_engine_never_has_more_in_flight_than_it_takes() -> None:
    engine = Puppet(concurrency=3)
    with fed(engine) as feed:
        futures = start(feed, 12)
        assert soon(lambda: engine.now == 3)
        assert (feed.gate.in_flight, feed.gate.size, feed.backlog.held) == (3, 3, 12)
        go(feed, engine)
        wait(futures)
        assert engine.most == 3


@pytest.mark.parametrize(("queue", "size"), [(None, 16), (0, 100)])
def test_an_engine_that_tells_its_queue_is_filled_from_the_first(queue: int | None, size: int) -> None:
    engine = Puppet(concurrency=100)
    engine.queue = queue
    with fed(engine) as feed:
        assert feed.gate.size == size


def test_by_itself_a_feed_holds_a_window_and_its_lead() -> None:
    engine = Puppet(concurrency=2)
    with fed(engine) as feed:
        futures = start(feed, 2 + 16)
        more = threading.Thread(target=lambda: futures.extend(start(feed, 1)))
        more.start()
        more.join(0.1)
        assert more.is_alive()
        go(feed, engine)
        more.join()
        wait(futures)


def test_a_picture_is_out_of_memory_when_its_answer_is_in() -> None:
    with fed(Puppet()) as feed:
        one = picture("at once")
        seen = weakref.ref(one)
        future = feed.caption(one, RECIPE, turn=0)
        del one
        future.result()
        assert soon(lambda: gc.collect() >= 0 and seen() is None)


@pytest.mark.parametrize(
    "error",
    [PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, "no"), TransientError("busy"), DIED],
    ids=lambda error: type(error).__name__,
)
def test_a_picture_is_out_of_memory_when_it_has_failed_though_its_error_is_kept(error: Exception) -> None:
    engine = Puppet()
    engine.errors["bad"] = error
    with fed(engine) as feed:
        pictures = [picture("waits"), picture("bad")]
        seen = [weakref.ref(one) for one in pictures]
        futures = [feed.caption(one, RECIPE, turn=0) for one in pictures]
        del pictures
        kept = futures[1].exception()
        assert isinstance(kept, type(error))
        assert soon(lambda: gc.collect() >= 0 and seen[1]() is None)
        if isinstance(error, FatalError):
            assert isinstance(futures[0].exception(), EngineDiedError)
            assert soon(lambda: gc.collect() >= 0 and seen[0]() is None)


def test_what_nobody_waits_for_any_more_is_taken_back_from_the_engine() -> None:
    engine = Puppet(concurrency=1)
    with fed(engine) as feed:
        futures = start(feed, 3)
        assert soon(lambda: engine.now == 1)
        for future in futures:
            future.cancel()
        assert soon(lambda: engine.now == 0 and feed.gate.in_flight == 0 and feed.backlog.held == 0)
        assert start(feed, 1, "at once")[0].result()


def test_a_frame_whose_answer_does_not_come_while_others_are_answered_fails_at_its_deadline_and_harms_nobody() -> None:
    engine = Puppet()
    with fed(engine, deadline_seconds=0.5) as feed:
        [late] = start(feed, 1)
        assert start(feed, 1, "at once")[0].result()
        assert isinstance(late.exception(), PermanentError)
        assert start(feed, 1, "at once")[0].result()


def test_an_engine_that_answers_nobody_in_a_frames_time_is_lost_and_no_frame_is_to_blame() -> None:
    engine = Puppet(concurrency=4)
    with fed(engine, deadline_seconds=0.05) as feed:
        for future in start(feed, 3):
            with pytest.raises(EngineDiedError, match="answered nobody"):
                future.result()
        with pytest.raises(EngineDiedError):
            start(feed, 1)


def test_when_the_engine_dies_all_in_flight_and_all_later_captions_fail_at_once_with_its_error() -> None:
    engine = Puppet(concurrency=4)
    engine.errors["last"] = DIED
    with fed(engine, pictures=20) as feed:
        futures = start(feed, 3)
        assert soon(lambda: engine.now == 3)
        futures += start(feed, 1, "last") + queued_behind(feed)
        for future in futures:
            assert isinstance(future.exception(timeout=30), EngineDiedError)
            assert str(future.exception()) == str(DIED)
        asked = len(engine.asked)
        with pytest.raises(EngineDiedError, match="is gone"):
            feed.caption(picture(), RECIPE, turn=0)
        assert len(engine.asked) == asked
        assert soon(lambda: feed.backlog.held == 0)


def queued_behind(feed: Feed) -> "list[Future]":
    """Captions that wait at the gate; none if the engine's death was quicker."""
    try:
        return start(feed, 3)
    except EngineDiedError:
        return []


def test_threads_that_wait_in_the_backlog_when_the_engine_dies_are_let_go() -> None:
    engine = Puppet(concurrency=2)
    with fed(engine, pictures=2) as feed:
        engine.errors["late"] = DIED
        waits, ends = start(feed, 2), []

        def come() -> None:
            try:
                feed.caption(picture(), RECIPE, turn=1)
            except EngineDiedError as error:
                ends.append(error)

        threads = [threading.Thread(target=come) for _ in range(6)]
        for thread in threads:
            thread.start()
        assert soon(lambda: len(feed.backlog._waiting) == 6)
        feed._loop.call_soon_threadsafe(feed._lose, DIED)
        for thread in threads:
            thread.join(5)
        assert len(ends) == 6
        assert all(isinstance(future.exception(), EngineDiedError) for future in waits)
        assert feed.backlog.held == 0


def test_errors_that_nobody_asks_for_any_more_are_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    engine = Puppet(concurrency=8)
    with fed(engine) as feed:
        futures = start(feed, 5)
        assert soon(lambda: engine.now == 5)
        feed._loop.call_soon_threadsafe(lambda: (feed._lose(DIED), [future.cancel() for future in futures]))
        assert soon(lambda: engine.now == 0 and not feed._tasks)
    futures.clear()
    gc.collect()
    assert caplog.records == []


@pytest.mark.parametrize("how", ["hangs", "blocks", "fails"])
def test_closing_ends_though_the_engine_does_not(how: str, caplog: pytest.LogCaptureFixture) -> None:
    released = threading.Event()

    def fail() -> None:
        raise DIED

    engine = Puppet()
    engine.closing = {"hangs": lambda: asyncio.sleep(3600), "blocks": lambda: released.wait(60), "fails": fail}[how]
    feed = Feed(lambda: engine, deadline_seconds=60, size_bytes=1 << 20, close_seconds=0.1)
    start(feed, 2)
    started = time.monotonic()
    feed.close()
    assert time.monotonic() - started < 30
    assert "did not close" in caplog.text
    released.set()
    feed._thread.join()
    if not feed._loop.is_closed():
        feed._loop.close()


def test_closing_takes_back_what_is_in_flight() -> None:
    engine = Puppet(concurrency=1)
    with fed(engine) as feed:
        futures = start(feed, 3)
        assert soon(lambda: engine.now == 1)
    assert engine.closed
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(timeout=30)


def test_an_engine_that_is_not_ready_is_closed_again_and_its_error_told() -> None:
    engine = Puppet()
    engine.well = FatalError("no model")
    with pytest.raises(FatalError, match="no model"), fed(engine):
        pass
    assert engine.closed


def test_an_engine_that_does_not_open_leaves_no_thread() -> None:
    def broken() -> Puppet:
        raise FatalError("no engine")

    with pytest.raises(FatalError, match="no engine"):
        Feed(broken, deadline_seconds=60, size_bytes=1)
    assert not [thread for thread in threading.enumerate() if thread.name == "engine"]
