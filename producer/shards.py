"""Grouping videos into shards: pure, and the same for the same videos in the same order.

    videos in the source's order   ▁▂▁█▁▁▃▁▂▁▁▅▁▁▂▁
    big ones alone, the rest in order, shards of the source's last part ever smaller
    shards of a part, by size      █ ▅ ▃▁▂▁▁ ▂▁▂▁ ▁▁ ▁ ▁

So what takes long begins early, and what is left at the end is small.
"""

from collections.abc import Sequence

from producer.sources import Sighting

LARGEST = 64
SHARDS_PER_STEP = 16
LAST_SHARDS_PER_STEP = 4

Group = tuple[Sighting, ...]


def shard_size(ordinal: int, *, videos_per_shard: int) -> int:
    """How many videos the shard with this ordinal takes.

    Without a fixed number shards grow from 1 to 64 videos: a small job spreads over all workers, a large one makes few objects.
    """
    return videos_per_shard or min(LARGEST, 1 + ordinal // SHARDS_PER_STEP)


def room_in(ordinals: range, *, videos_per_shard: int) -> int:
    """How many videos the shards with these ordinals take."""
    return sum(shard_size(ordinal, videos_per_shard=videos_per_shard) for ordinal in ordinals)


def shards(sightings: Sequence[Sighting], *, first_ordinal: int, videos_per_shard: int, last: bool) -> list[Group]:
    """Group the videos of one part of the plan, the source's last or not; the largest shards come first.

    A video with more bytes than an ordinary shard is alone in its own. There are fewer of them than ordinary shards would be, so the part
    has at most twice as many. What has no known size has none.
    """
    sizes = _sizes(len(sightings), first_ordinal=first_ordinal, videos_per_shard=videos_per_shard, last=last)
    alone_beyond = max(sizes, default=0) * sum(map(_size_bytes, sightings)) / max(len(sightings), 1)
    big = [sighting for sighting in sightings if _size_bytes(sighting) > alone_beyond]
    ordinary = [sighting for sighting in sightings if _size_bytes(sighting) <= alone_beyond]
    if big:
        sizes = _sizes(len(ordinary), first_ordinal=first_ordinal, videos_per_shard=videos_per_shard, last=last)
    groups = [(sighting,) for sighting in big] + _cut(ordinary, sizes)
    return sorted(groups, key=lambda group: -sum(map(_size_bytes, group)))


def _sizes(videos: int, *, first_ordinal: int, videos_per_shard: int, last: bool) -> list[int]:
    """How many videos each ordinary shard of a part takes: by ordinal from its beginning, and in the last part ever fewer to its end."""
    front, back = list[int](), list[int]()
    while videos:
        grown = shard_size(first_ordinal + len(front), videos_per_shard=videos_per_shard)
        shrunk = 1 + len(back) // LAST_SHARDS_PER_STEP
        at_the_end = last and not videos_per_shard and shrunk <= grown
        size = min(shrunk if at_the_end else grown, videos)
        (back if at_the_end else front).append(size)
        videos -= size
    return front + back[::-1]


def _cut(sightings: Sequence[Sighting], sizes: Sequence[int]) -> list[Group]:
    remaining = iter(sightings)
    return [tuple(next(remaining) for _ in range(size)) for size in sizes]


def _size_bytes(sighting: Sighting) -> int:
    return sighting.video.size_bytes
