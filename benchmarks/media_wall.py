"""How long many objects take, side by side in as many threads as a busy worker has, against downloading them whole with the same client."""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median

from media_bytes import MOST_PER_VIDEO
from media_clips import Reel, Video, spare_folder, write
from media_reading import Asked, Recorded, keyframes, listed, opened, read_again
from media_rivals import in_process
from s3_stand_in import BUCKET, Line, StandIn, s3_stand_in

from schemas.video import VideoRef
from storage import shared_store, split_uri
from workers.media.sandbox import Decoder

THREADS = 8
LATENCY_SECONDS = 0.03
S3_BYTES_PER_SECOND = 90e6
"""What S3 gives one connection, about, by its own performance guidelines."""


@dataclass(frozen=True, slots=True)
class Load:
    """So many objects of so many bytes, behind such a line."""

    objects: int
    size_bytes: int
    line: Line

    @property
    def case(self) -> str:
        """It in words."""
        rate = f", {self.line.bytes_per_second / 1e6:.0f} MB/s a connection" if self.line.bytes_per_second else ""
        return f"{self.objects} objects of {self.size_bytes / 1e6:g} MB, {self.line.latency_seconds * 1000:.0f} ms{rate}"


@dataclass(frozen=True, slots=True)
class Ranged:
    """The fleet's way, with its decoder and without."""

    decoder: Decoder

    def keyframes(self, video: VideoRef) -> int:
        """Take a video's keyframes; returns how many."""
        with opened(video) as source:
            return len(keyframes(self.decoder, source, most=MOST_PER_VIDEO))

    def recorded(self, video: VideoRef) -> Asked:
        """Take them, and note what was asked of the source."""
        with opened(video) as source:
            keyframes(self.decoder, recorded := Recorded(source), most=MOST_PER_VIDEO)
        return recorded.asked

    def bytes_alone(self, video: VideoRef, asked: Asked) -> None:
        """Get the same bytes without a decoder."""
        with opened(video) as source:
            read_again(source, asked)


def loads(*, small: tuple[int, int], large: tuple[int, int]) -> list[tuple[Load, float]]:
    """The loads, as numbers of objects and their bytes, and their aims; each on a line without bounds and on one like S3's."""
    lines = (Line(LATENCY_SECONDS), Line(LATENCY_SECONDS, S3_BYTES_PER_SECOND))
    return [(Load(*load, line), aim) for load, aim in ((small, 0.4), (large, 0.08)) for line in lines]


def measure_wall(asked: list[tuple[Load, float]], *, width: int, height: int, rounds: int) -> list[dict[str, object]]:
    """Carry each load both ways."""
    with Decoder() as decoder:
        return [_measure(load, decoder, Reel("h264", width, height), rounds, aim) for load, aim in asked]


def _measure(load: Load, decoder: Decoder, reel: Reel, rounds: int, aim: float) -> dict[str, object]:
    with spare_folder() as folder:
        _spread(reel, folder, load)
        with s3_stand_in(folder) as stand_in, ThreadPoolExecutor(THREADS) as pool:
            videos = [listed(f"s3://{BUCKET}/{number}.mp4") for number in range(load.objects)]
            stand_in.slow_down(load.line)
            return {"case": load.case} | _figures(videos, decoder, stand_in, pool, rounds) | {"aim": aim}


def _spread(reel: Reel, folder: Path, load: Load) -> None:
    """Write a video of about that size, and give it many names."""
    first, sample = folder / "0.mp4", 12
    write(Video("", reel), first, seconds=sample)
    write(Video("", reel), first, seconds=max(2, round(sample * load.size_bytes / first.stat().st_size)))
    for number in range(1, load.objects):
        os.link(first, folder / f"{number}.mp4")


def _figures(videos: list[VideoRef], decoder: Decoder, stand_in: StandIn, pool: ThreadPoolExecutor, rounds: int) -> dict[str, object]:
    ranged = Ranged(decoder)
    asked = ranged.recorded(videos[0])
    stand_in.take()
    frames = sum(pool.map(ranged.keyframes, videos))
    seen = stand_in.take().values()
    ways: dict[str, Callable[[VideoRef], object]] = {
        "ranged": partial(ranged.bytes_alone, asked=asked),
        "whole": _whole,
        "ranged_decoded": ranged.keyframes,
        "whole_decoded": lambda video: in_process(BytesIO(_whole(video)), most=MOST_PER_VIDEO),
    }
    walls = [{name: _wall(pool, way, videos) for name, way in ways.items()} for _ in range(rounds)]
    return {
        "wall_ratio_whole": _ratio(walls, "ranged", "whole"),
        "wall_ratio_whole_decoded": _ratio(walls, "ranged_decoded", "whole_decoded"),
        **{f"seconds_{name}": round(median(wall[name] for wall in walls), 3) for name in ways},
        "keyframes": frames,
        "requests_per_object": round(sum(one.requests for one in seen) / len(videos), 1),
        "bytes_per_object": sum(one.body_bytes for one in seen) // len(videos),
        "object_bytes": videos[0].size_bytes,
    }


def _whole(video: VideoRef) -> bytes:
    url, key = split_uri(video.uri)
    return shared_store(url).get(key)


def _wall(pool: ThreadPoolExecutor, way: Callable[[VideoRef], object], videos: Iterable[VideoRef]) -> float:
    begun = time.monotonic()
    for future in [pool.submit(way, video) for video in videos]:
        future.result()
    return time.monotonic() - begun


def _ratio(walls: list[dict[str, float]], ours: str, theirs: str) -> float:
    return round(median(wall[ours] / wall[theirs] for wall in walls), 3)
