"""Grouping videos into shards by predicted work: pure, and the same for the same videos in the same order.

    videos in the source's order   ▁▂▁█▁▁▃▁▂▁▁▅▁▁▂▁
    big ones alone, the rest in order, shards of the source's last part ever smaller
    shards of a part, by work      █ ▅ ▃▁▂▁▁ ▂▁▂▁ ▁▁ ▁ ▁

So what takes long begins early, and what is left at the end is small.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from math import inf

LARGEST = 256
SHARDS_PER_STEP = 16
LAST_SHARDS_PER_STEP = 4

Group = list[int]
"""Places of a shard's videos in their part, in order."""


def shard_size(ordinal: int, *, videos_per_shard: int) -> int:
    """How many videos the shard with this ordinal takes at most.

    Without a fixed number shards grow from 1 to 256 videos: a small job spreads over all workers, a large one makes few objects.
    """
    return videos_per_shard or min(LARGEST, 1 + ordinal // SHARDS_PER_STEP)


def room_in(ordinals: range, *, videos_per_shard: int) -> int:
    """How many videos the shards with these ordinals take at most."""
    return sum(shard_size(ordinal, videos_per_shard=videos_per_shard) for ordinal in ordinals)


def shards(
    seconds: Sequence[float], *, first_ordinal: int, videos_per_shard: int = 0, most_seconds: float = inf, last: bool
) -> list[Group]:
    """Group the videos of one part of the plan, the source's last or not, by the seconds that each may take; the longest shards come first.

    A video with more work than an ordinary shard is alone in its own. There are fewer of them than ordinary shards would be. No shard
    holds more work than `most_seconds`, unless its videos are of a fixed number or it is of one.
    """
    most = inf if videos_per_shard else most_seconds
    usual = sum(seconds) / len(seconds) if seconds else 0.0
    sizes = partial(_sizes, first_ordinal=first_ordinal, videos_per_shard=videos_per_shard, last=last)
    alone_beyond = min(most, max(sizes(len(seconds), most=inf), default=0) * usual)
    big = [place for place, cost in enumerate(seconds) if cost > alone_beyond]
    ordinary = [place for place, cost in enumerate(seconds) if cost <= alone_beyond]
    usual = sum(seconds[place] for place in ordinary) / len(ordinary) if ordinary else 0.0
    groups = _cut(ordinary, sizes(len(ordinary), most=most / usual if usual else inf))
    parts = [part for group in groups for part in _within(group, seconds, most)]
    return sorted([[place] for place in big] + parts, key=lambda group: -sum(seconds[place] for place in group))


def _sizes(videos: int, *, first_ordinal: int, videos_per_shard: int, last: bool, most: float) -> list[int]:
    """How many videos each ordinary shard of a part takes: by ordinal from its beginning, and in the last part ever fewer to its end."""
    front, back = list[int](), list[int]()
    while videos:
        grown = max(1, int(min(most, shard_size(first_ordinal + len(front), videos_per_shard=videos_per_shard))))
        shrunk = 1 + len(back) // LAST_SHARDS_PER_STEP
        at_the_end = last and not videos_per_shard and shrunk <= grown
        size = min(shrunk if at_the_end else grown, videos)
        (back if at_the_end else front).append(size)
        videos -= size
    return front + back[::-1]


def _cut(places: Sequence[int], sizes: Sequence[int]) -> Iterator[Group]:
    remaining = iter(places)
    return ([next(remaining) for _ in range(size)] for size in sizes)


def _within(group: Group, seconds: Sequence[float], most: float) -> Iterator[Group]:
    """Cut a shard in order where it holds too much."""
    taken, work = Group(), 0.0
    for place in group:
        if taken and work + seconds[place] > most:
            yield taken
            taken, work = Group(), 0.0
        taken.append(place)
        work += seconds[place]
    yield taken
