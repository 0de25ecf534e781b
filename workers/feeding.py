"""Feeds one engine from many threads: pictures in, captions out, until it is closed or the engine is lost."""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from schemas.errors import EngineDiedError, FatalError, FleetError, PermanentError, TransientError
from schemas.reasons import Reason
from schemas.recipe import Recipe
from workers.backlog import Backlog, lead
from workers.engines import Engine
from workers.gate import Gate
from workers.keyframe import Picture
from workers.ladder import Caption, annotate
from workers.window import Window

CLOSE_SECONDS = 30.0
"""How long an engine may take to let go; a dead one may never do it."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class Feed:
    """An engine on an event loop of its own, the gate to it, and the backlog before the gate."""

    def __init__(
        self,
        opened: Callable[[], Engine],
        *,
        deadline_seconds: float,
        size_bytes: int,
        pictures: int | None = None,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        """Open the engine and wait until it answers. Pictures held are at most `pictures`, or by themselves a window and its lead.

        Raises:
            FatalError: the engine cannot answer.
        """
        self.rungs: Counter[tuple[str, str]] = Counter()
        self._deadline_seconds = deadline_seconds
        self._pictures = pictures
        self._close_seconds = close_seconds
        self._fault: FatalError | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._thread.start()
        try:
            self.engine, told = self._await(_opened(opened))
        except BaseException:
            self._stop()
            raise
        self.gate = Gate(Window(bound=self.engine.concurrency, queue_is_told=told), waiting=self.engine.waiting, resized=self._resize)
        self.backlog = Backlog(pictures=self._bound(self.gate.size), size_bytes=size_bytes)
        try:
            self._await(self.engine.probe())
        except BaseException:
            self.close()
            raise

    def caption(self, picture: Picture, recipe: Recipe, *, turn: int, deadline_seconds: float | None = None) -> "Future[Caption]":
        """Start captioning a picture, with a deadline of its own if there is one; waits while as many pictures are held as may be.

        Raises:
            FatalError: the engine is lost.
        """
        self._check()
        size_bytes = len(picture.body)
        self.backlog.enter(size_bytes, turn=turn)
        try:
            self._check()
            future = asyncio.run_coroutine_threadsafe(
                self._caption(picture, recipe, deadline_seconds or self._deadline_seconds), self._loop
            )
        except BaseException:
            self.backlog.leave(size_bytes)
            raise
        future.add_done_callback(lambda _: self.backlog.leave(size_bytes))
        return future

    def close(self) -> None:
        """Take back what is in flight and let go of the engine, also of one that does not answer any more."""
        try:
            self._await(self._closed(), timeout_seconds=self._close_seconds + 1)
        except Exception as error:  # noqa: BLE001 - the worker leaves in any case
            log.warning("the engine did not close: %r", error)
        finally:
            self._stop()

    async def _caption(self, picture: Picture, recipe: Recipe, deadline_seconds: float) -> Caption:
        self._own(asyncio.current_task())
        try:
            async with self.gate:
                self._check()
                return await self._annotated(picture, recipe, deadline_seconds)
        except (FleetError, asyncio.CancelledError) as error:
            del picture
            forget_way(error)
            if isinstance(error, FatalError):
                self._lose(error)
            if not isinstance(error, PermanentError | TransientError):
                self._check()
            raise

    async def _annotated(self, picture: Picture, recipe: Recipe, deadline_seconds: float) -> Caption:
        """Caption a picture; one that is late while nobody at all was answered is not to blame."""
        before = self._answers()
        try:
            return await annotate(self.engine, picture, recipe, counts=self.rungs, deadline_seconds=deadline_seconds)
        except PermanentError as error:
            endless = self.gate.in_flight == 1 and error.raw_answer  # the engine speaks, to this one alone, without an end
            silent = self._answers() == before and deadline_seconds >= self._deadline_seconds  # a shorter one of its own proves nothing
            if error.reason is Reason.ENGINE_TIMEOUT and silent and not endless:
                raise EngineDiedError(f"The engine answered nobody for {deadline_seconds:g} s.") from error
            raise

    def _answers(self) -> int:
        return sum(count for (_, cause), count in self.rungs.items() if cause != "deadline")

    def _own(self, task: "asyncio.Task[Any] | None") -> None:
        assert task is not None  # noqa: S101 - a coroutine that runs has a task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lose(self, error: FatalError) -> None:
        """Fail everything in flight at once: what one question found holds for all."""
        if self._fault is None:
            self._fault = error
            for task in self._tasks - {asyncio.current_task()}:
                task.cancel()

    def _check(self) -> None:
        if self._fault is not None:
            raise type(self._fault)(*self._fault.args)  # one of its own for each: a raised error remembers its way

    def _resize(self, window: int) -> None:
        self.backlog.resize(pictures=self._bound(window))

    def _bound(self, window: int) -> int:
        return self._pictures or window + lead(window)

    def _await(self, coroutine: Coroutine[Any, Any, T], *, timeout_seconds: float | None = None) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_seconds)

    async def _closed(self) -> None:
        async with asyncio.timeout(self._close_seconds):
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.engine.close()

    def _stop(self) -> None:
        """End the loop. One that an engine blocks dies with the process."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self._close_seconds)
        if not self._thread.is_alive():
            self._loop.close()


def forget_way(error: BaseException | None) -> None:
    """Forget where an error and its causes came by: those frames hold the picture for as long as somebody holds the error."""
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


async def _opened(opened: Callable[[], Engine]) -> tuple[Engine, bool]:
    """Open an engine on its loop, and ask whether it tells its queue."""
    engine = opened()
    return engine, engine.waiting() is not None
