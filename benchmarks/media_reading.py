"""The fleet's own way to keyframes, as its workers go it: a pinned object, ranged reads, a sandboxed child."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from bare import RECIPE
from media_libraries import Cost
from processes import children, tree_cpu_seconds

from schemas.recipe import KeyframePolicy
from schemas.video import VideoRef
from storage import shared_store, split_uri
from workers.fetch import open_video
from workers.keyframe import DeadFrame, Form, Keyframe
from workers.media import ByteSource
from workers.media.ranges import StoreSource
from workers.media.sandbox import Decoder
from workers.settings import WorkerSettings


class WrongError(Exception):
    """The reader's pictures are not those that the file holds."""


Asked = list[tuple[bool, tuple[tuple[int, int], ...]]]
"""Plans of ranges (true), and reads of a single one (false)."""


def listed(uri: str) -> VideoRef:
    """A video as a listing would show it."""
    url, key = split_uri(uri)
    meta = shared_store(url).head(key)
    return VideoRef(uri=uri, etag=meta.etag, size_bytes=meta.size_bytes)


@contextmanager
def opened(video: VideoRef) -> Iterator[StoreSource]:
    """Open a video as a worker does whose settings are those of the environment, for as long as the block runs."""
    with closing(open_video(video, costs=WorkerSettings().read_costs)) as source:
        yield source


def keyframes(decoder: Decoder, source: ByteSource, *, most: int = 0) -> list[Keyframe]:
    """Take keyframes as JPEGs of the recipe's size, at most so many.

    Raises:
        FleetError: the video, or one of its keyframes, cannot be read.
    """
    policy = KeyframePolicy(min_gap_seconds=0, max_per_video=most)
    frames = list(decoder.keyframes(source, policy=policy, image=RECIPE.image, form=Form.JPEG))
    for frame in frames:
        if isinstance(frame, DeadFrame):
            raise frame.error
    return [frame for frame in frames if isinstance(frame, Keyframe)]


@dataclass(frozen=True, slots=True)
class Weighed:
    """A decoder whose CPU can be told: that of this process and of the fork server's tree, so nothing else may go on meanwhile."""

    decoder: Decoder
    fork_server: int

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["Weighed"]:
        """Start it, for as long as the block runs."""
        before = set(children(os.getpid()))
        with Decoder() as decoder:
            (fork_server,) = set(children(os.getpid())) - before
            yield cls(decoder, fork_server)

    def take(self, video: VideoRef) -> Cost:
        """Take all keyframes of a video."""
        before = self._cpu_seconds()
        with opened(video) as source:
            frames = keyframes(self.decoder, source)
        return Cost(self._cpu_seconds() - before, len(frames), sum(len(frame.picture.jpeg) for frame in frames))

    def _cpu_seconds(self) -> float:
        return time.process_time() + tree_cpu_seconds(self.fork_server)


@dataclass(slots=True)
class Recorded:
    """A source, and what was asked of it in which order, so that the same bytes can be had again without a decoder."""

    source: ByteSource
    asked: Asked = field(default_factory=list)
    size_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        """Be as large as the source."""
        self.size_bytes = self.source.size_bytes

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on a plan."""
        planned = tuple(ranges)
        self.asked.append((True, planned))
        self.source.plan(planned)

    def read(self, *, start: int, end: int) -> bytes:
        """Pass on a read."""
        self.asked.append((False, ((start, end),)))
        return self.source.read(start=start, end=end)


def read_again(source: ByteSource, asked: Asked) -> None:
    """Ask of a source what was asked of another."""
    for is_plan, ranges in asked:
        if is_plan:
            source.plan(ranges)
        else:
            for start, end in ranges:
                source.read(start=start, end=end)
