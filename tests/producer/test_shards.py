import pytest

from producer.shards import LARGEST, shard_size, shards
from producer.sources import Sighting
from schemas.video import VideoRef


def sightings(count: int) -> list[Sighting]:
    return [Sighting(str(n), f"{n}.mp4", VideoRef(uri=f"s3://b/{n}.mp4", etag="e", size_bytes=1)) for n in range(count)]


def sizes(count: int, **given: int) -> list[int]:
    return [len(group) for group in shards(sightings(count), **({"first_ordinal": 0, "videos_per_shard": 0} | given))]


def test_shards_grow_by_one_video_every_sixteen() -> None:
    assert [shard_size(ordinal, videos_per_shard=0) for ordinal in (0, 15, 16, 31, 32)] == [1, 1, 2, 2, 3]


def test_shards_stop_growing() -> None:
    assert shard_size(63 * 16, videos_per_shard=0) == shard_size(10**9, videos_per_shard=0) == LARGEST == 64


def test_a_small_job_spreads_and_a_large_one_makes_few_objects() -> None:
    assert sizes(10) == [1] * 10
    assert len(sizes(40_000)) < 40_000 / 30


def test_a_fixed_number_fills_every_shard_but_the_last() -> None:
    assert sizes(10, videos_per_shard=4) == [4, 4, 2]
    assert sizes(8, videos_per_shard=4) == [4, 4]


def test_no_videos_make_no_shards() -> None:
    assert sizes(0) == []


@pytest.mark.parametrize("done", [0, 1, 16, 17, 40])
def test_grouping_goes_on_where_it_stopped(done: int) -> None:
    whole = list(shards(sightings(300), first_ordinal=0, videos_per_shard=0))
    behind = sightings(300)[sum(map(len, whole[:done])) :]
    assert list(shards(behind, first_ordinal=done, videos_per_shard=0)) == whole[done:]


def test_every_video_is_in_one_shard_in_order() -> None:
    grouped = [sighting for group in shards(sightings(500), first_ordinal=0, videos_per_shard=0) for sighting in group]
    assert grouped == sightings(500)
