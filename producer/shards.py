"""Grouping videos into shards: pure, and the same for the same videos in the same order."""

from collections.abc import Iterable, Iterator

from producer.sources import Sighting

LARGEST = 64
SHARDS_PER_STEP = 16


def shard_size(ordinal: int, *, videos_per_shard: int) -> int:
    """How many videos the shard with this ordinal takes.

    Without a fixed number shards grow from 1 to 64 videos: a small job spreads over all workers, a large one makes few objects.
    """
    return videos_per_shard or min(LARGEST, 1 + ordinal // SHARDS_PER_STEP)


def shards(sightings: Iterable[Sighting], *, first_ordinal: int, videos_per_shard: int) -> Iterator[tuple[Sighting, ...]]:
    """Group sightings, in order, into shards."""
    ordinal, group = first_ordinal, list[Sighting]()
    for sighting in sightings:
        group.append(sighting)
        if len(group) == shard_size(ordinal, videos_per_shard=videos_per_shard):
            yield tuple(group)
            ordinal, group = ordinal + 1, []
    if group:
        yield tuple(group)
