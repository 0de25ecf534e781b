"""Looking into a video without captioning it: how many keyframes a recipe takes of it, and what a worker would read for them.

The video is opened as a worker opens it, in a locked child, and left once its first keyframe is decoded. By then its keyframes are chosen
and their bytes are planned; what is planned and was not read is reckoned. Where no index tells, it was all read by then.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from schemas.errors import PermanentError, TransientError
from schemas.reasons import Reason
from schemas.recipe import Recipe
from schemas.record import Fetched
from schemas.video import VideoRef
from workers.fetch import open_video
from workers.keyframe import DeadFrame, Keyframe
from workers.media.costs import Range, ReadCosts
from workers.media.ranges import StoreSource
from workers.media.sandbox import Decoder
from workers.room import forkserver_of, limits_of
from workers.scenes import scene_keyframes
from workers.settings import WorkerSettings

Frames = Callable[["Reckoning"], Generator[Keyframe | DeadFrame]]

AT_ONCE = 16
"""Videos that are looked into side by side: probes mostly wait for storage."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found in a video."""

    video: VideoRef
    frames: int = 0
    """Keyframes that become lines, as far as their first one tells."""
    fetched: Fetched = field(default_factory=Fetched)
    """What a worker would read of it."""
    dead: Reason | None = None
    """Why it would be dead."""
    unread: str = ""
    """Why storage did not let it be looked into, which says nothing of the video."""


class Reckoning:
    """A video's bytes, of which only those are read that are wanted at once; what a worker would fetch ahead besides is reckoned."""

    def __init__(self, source: StoreSource, costs: ReadCosts) -> None:
        self._source, self._costs = source, costs
        self.size_bytes = source.size_bytes
        self._fetched: list[Range] = []
        """What a worker would have fetched by now, or have on its way."""
        if 0 < self.size_bytes <= costs.whole_bytes:  # it is read whole at once
            self._fetched.append((0, self.size_bytes))

    def plan(self, ranges: Iterable[Range]) -> None:
        """Note what a worker would fetch ahead."""
        self._fetched += self._costs.coalesced(self._missing(ranges))

    def read(self, *, start: int, end: int) -> bytes:
        """Read bytes."""
        place = start
        while place < end:
            around = self._around(place)
            if around is None:
                around = (place, min([end, *(one[0] for one in self._fetched if place < one[0])]))
                self._fetched.append(around)
            place = around[1]
        return self._source.read(start=start, end=end)

    @property
    def fetched(self) -> Fetched:
        """What a worker fetches, as far as is known by now."""
        return Fetched(bytes_read=sum(end - start for start, end in self._fetched), requests=len(self._fetched))

    def _missing(self, ranges: Iterable[Range]) -> Iterator[Range]:
        for start, end in ranges:
            around = self._around(start)
            if around is None or around[1] < end:
                yield (start if around is None else around[1], end)

    def _around(self, place: int) -> Range | None:
        return next((one for one in self._fetched if one[0] <= place < one[1]), None)


class Prober:
    """Looks into videos, with a decoder like a worker's."""

    def __init__(self, settings: WorkerSettings, recipe: Recipe) -> None:
        """Look for the keyframes that this recipe chooses."""
        self._recipe, self._costs = recipe, settings.read_costs
        self._decoder = Decoder(limits=limits_of(settings), forkserver=forkserver_of(settings))
        policy = recipe.keyframes
        by = partial(scene_keyframes, self._decoder) if policy.scene_threshold else self._decoder.keyframes
        self._keyframes = cast("Frames", partial(by, policy=policy, image=recipe.image))  # generators, which have an end of their own

    def probe_all(self, videos: Sequence[VideoRef], *, progress: Callable[[Probe], None] = lambda _: None) -> list[Probe]:
        """Look into all of these, many at once.

        Raises:
            FatalError: no decoder can be started here.
        """
        self._decoder.layers()
        probes: list[Probe] = []
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe") as pool:
            for one in pool.map(self.probe, videos):
                probes.append(one)
                progress(one)
        return probes

    def probe(self, video: VideoRef) -> Probe:
        """Look into one video."""
        try:
            with closing(open_video(video, costs=self._costs)) as source:
                return self._look(video, Reckoning(source, self._costs))
        except PermanentError as error:
            return Probe(video, dead=error.reason)
        except TransientError as error:
            return Probe(video, unread=str(error))

    def _look(self, video: VideoRef, source: Reckoning) -> Probe:
        try:
            with closing(self._keyframes(source)) as frames:
                living, dead = _living(frames)
                return Probe(video, frames=living, fetched=source.fetched, dead=dead)
        except PermanentError as error:
            return Probe(video, fetched=source.fetched, dead=error.reason)

    def close(self) -> None:
        """End the decoder's processes."""
        self._decoder.close()


def _living(frames: Iterator[Keyframe | DeadFrame]) -> tuple[int, Reason | None]:
    """How many of the chosen frames are well, and why none is: those up to the first that is are looked at, the rest is believed to be."""
    dead: list[Reason] = []
    for frame in frames:
        if isinstance(frame, Keyframe):
            return frame.frames_chosen - len(dead), None
        dead.append(frame.error.reason)
    return 0, dead[0]
