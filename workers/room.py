"""What one worker process holds while it works: a decoder, an engine on its event loop, and bounds on both."""

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

from schemas.recipe import Recipe
from workers.engines import Engine, open_engine
from workers.keyframe import DeadFrame, Keyframe, Picture
from workers.ladder import Caption, annotate
from workers.media import ByteSource, Limits
from workers.media.forks.forkserver import ForkServer
from workers.media.sandbox import Decoder
from workers.scenes import scene_keyframes
from workers.settings import WorkerSettings

T = TypeVar("T")


class Room:
    """The tools that all shards of a worker share. Closing it ends the decoder's processes and the engine."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Start the decoder's fork server and the engine, and wait until the engine answers.

        Raises:
            FatalError: the engine cannot answer.
        """
        self.rungs: Counter[tuple[str, str]] = Counter()
        self._pictures = threading.BoundedSemaphore(settings.pictures_in_memory)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._thread.start()
        self.read_costs = settings.read_costs
        self.decoder = Decoder(limits=limits_of(settings), forkserver=forkserver_of(settings))
        try:
            self.engine = self._await(_open(settings))
            self._slots = asyncio.Semaphore(self.engine.concurrency)
            self._await(self.engine.probe())
            self.decoder.layers()
        except BaseException:
            self._stop()
            raise
        self.versions = {"framefleet": version("framefleet"), "av": version("av"), **self.engine.versions}

    def keyframes(self, source: ByteSource, recipe: Recipe, *, only_frames: frozenset[int] | None) -> Iterator[Keyframe | DeadFrame]:
        """Decode a video's keyframes, as the recipe chooses them and as the engine takes pictures; see `Decoder.keyframes`."""
        by = partial(scene_keyframes, self.decoder) if recipe.keyframes.scene_threshold else self.decoder.keyframes
        return by(source, policy=recipe.keyframes, image=recipe.image, form=self.engine.takes, only_frames=only_frames)

    def caption(self, picture: Picture, recipe: Recipe) -> "Future[Caption]":
        """Start captioning a picture; waits while the worker holds as many pictures as it may."""
        self._pictures.acquire()
        future = asyncio.run_coroutine_threadsafe(self._caption(picture, recipe), self._loop)
        future.add_done_callback(lambda _: self._pictures.release())
        return future

    def close(self) -> None:
        """End the decoder's processes and the engine."""
        self._await(self.engine.close())
        self._stop()

    async def _caption(self, picture: Picture, recipe: Recipe) -> Caption:
        async with self._slots:
            return await annotate(self.engine, picture, recipe, counts=self.rungs)

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self.decoder.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _open(settings: WorkerSettings) -> Engine:
    return open_engine(settings)


def forkserver_of(settings: WorkerSettings) -> ForkServer:
    """Start what forks decoding children, as the operator trusts its sources."""
    return ForkServer(unlocked=settings.decoder_unlocked, reused=settings.trusted_source)


def limits_of(settings: WorkerSettings) -> Limits:
    """What a decoder may spend on one video."""
    return Limits(
        deadline_seconds=settings.decode_deadline_seconds,
        memory_bytes=settings.decode_memory_bytes,
        max_pixels=settings.max_pixels,
        max_duration_seconds=settings.max_duration_seconds,
    )
