"""What one worker process holds while it works: a decoder, and an engine that is fed."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from importlib.metadata import version

from schemas.recipe import Recipe
from schemas.task import Changes
from workers.engines import Engine, open_engine
from workers.feeding import Feed
from workers.keyframe import DeadFrame, Keyframe, Picture
from workers.ladder import Caption
from workers.media import ByteSource, Limits
from workers.media.forks.forkserver import ForkServer
from workers.media.sandbox import Decoder
from workers.scenes import scene_keyframes
from workers.settings import WorkerSettings


class Room:
    """The tools that all shards of a worker share. Closing it ends the decoder's processes and the engine."""

    def __init__(self, settings: WorkerSettings, *, opened: Callable[[WorkerSettings], Engine] = open_engine) -> None:
        """Start the decoder's fork server and the engine, and wait until the engine answers.

        Raises:
            FatalError: the engine cannot answer.
        """
        self._turns = itertools.count()
        self.read_costs = settings.read_costs
        self.decoder = Decoder(limits=limits_of(settings), forkserver=forkserver_of(settings))
        try:
            self._feed = feed_of(settings, opened)
        except BaseException:
            self.decoder.close()
            raise
        try:
            self.decoder.layers()
        except BaseException:
            self.close()
            raise
        self.versions = {"framefleet": version("framefleet"), "av": version("av"), **self.engine.versions}

    @property
    def engine(self) -> Engine:
        """What answers."""
        return self._feed.engine

    @property
    def rungs(self) -> Counter[tuple[str, str]]:
        """How often each rung of the repair ladder was climbed, by what came of it."""
        return self._feed.rungs

    @property
    def window_size(self) -> int:
        """How many questions may be in flight now."""
        return self._feed.gate.size

    @property
    def in_flight(self) -> int:
        """How many questions are in flight."""
        return self._feed.gate.in_flight

    @property
    def waiting_pictures(self) -> int:
        """How many decoded pictures wait for the engine."""
        return max(0, self._feed.backlog.held - self.in_flight)

    def keyframes(
        self,
        source: ByteSource,
        recipe: Recipe,
        *,
        only_frames: frozenset[int] | None,
        changes: Changes = Changes(),  # noqa: B008 - a frozen value
    ) -> Iterator[Keyframe | DeadFrame]:
        """Decode a video's keyframes, as the recipe chooses them and as the engine takes pictures; see `Decoder.keyframes`."""
        decoder = self.decoder.within(changes.decode_deadline_seconds)
        by = partial(scene_keyframes, decoder) if recipe.keyframes.scene_threshold else decoder.keyframes
        return by(source, policy=recipe.keyframes, image=recipe.image, form=self.engine.takes, only_frames=only_frames)

    def turn(self) -> int:
        """Draw a number for a shard: those that came first have their pictures captioned first."""
        return next(self._turns)

    def caption(
        self,
        picture: Picture,
        recipe: Recipe,
        *,
        turn: int,
        changes: Changes = Changes(),  # noqa: B008 - a frozen value
    ) -> "Future[Caption]":
        """Start captioning a picture; waits while the worker holds as many pictures as it may.

        Raises:
            FatalError: the engine is lost.
        """
        return self._feed.caption(picture, capped(recipe, changes), turn=turn, deadline_seconds=changes.frame_deadline_seconds)

    def close(self) -> None:
        """End the decoder's processes and the engine."""
        try:
            self.decoder.close()
        finally:
            self._feed.close()


def capped(recipe: Recipe, changes: Changes) -> Recipe:
    """The recipe, with the token cap that a redrive asks for."""
    if changes.max_tokens is None:
        return recipe
    return recipe.model_copy(update={"sampling": recipe.sampling.model_copy(update={"max_tokens": changes.max_tokens})})


def feed_of(settings: WorkerSettings, opened: Callable[[WorkerSettings], Engine]) -> Feed:
    """Open the engine and what feeds it, as the operator set them."""
    return Feed(
        partial(opened, settings),
        deadline_seconds=settings.frame_deadline_seconds,
        pictures=settings.pictures_in_memory,
        size_bytes=settings.picture_bytes_in_memory,
    )


def forkserver_of(settings: WorkerSettings) -> ForkServer:
    """Start what forks decoding children, as the operator trusts its sources."""
    return ForkServer(unlocked=settings.decoder_unlocked, reused=settings.trusted_source)


def limits_of(settings: WorkerSettings) -> Limits:
    """What a decoder may spend on one video."""
    limits = Limits(
        memory_bytes=settings.decode_memory_bytes,
        max_pixels=settings.max_pixels,
        max_duration_seconds=settings.max_duration_seconds,
    )
    return limits.within(settings.decode_deadline_seconds)
