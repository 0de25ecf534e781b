from collections.abc import Sequence

import pytest
from tail_model import in_order, lognormal, planned, tail_share

from producer.shards import LARGEST, room_in, shard_size, shards


def grouped(
    sizes: Sequence[int], *, first_ordinal: int = 0, videos_per_shard: int = 0, most_seconds: float = float("inf"), last: bool = False
) -> list[list[int]]:
    """The work of the videos in each shard."""
    groups = shards(sizes, first_ordinal=first_ordinal, videos_per_shard=videos_per_shard, most_seconds=most_seconds, last=last)
    return [[sizes[place] for place in group] for group in groups]


def counts(videos: int, **given: int) -> list[int]:
    return [len(group) for group in grouped([1] * videos, **given)]


def test_shards_grow_by_one_video_every_sixteen() -> None:
    assert [shard_size(ordinal, videos_per_shard=0) for ordinal in (0, 15, 16, 31, 32)] == [1, 1, 2, 2, 3]


def test_shards_stop_growing() -> None:
    assert shard_size(255 * 16, videos_per_shard=0) == shard_size(10**9, videos_per_shard=0) == LARGEST == 256


def test_a_part_takes_what_its_shards_take() -> None:
    assert room_in(range(48), videos_per_shard=0) == 16 * (1 + 2 + 3)
    assert room_in(range(48), videos_per_shard=7) == 48 * 7


@pytest.mark.parametrize("last", [False, True])
def test_a_small_job_spreads_and_a_large_one_makes_few_objects(*, last: bool) -> None:
    assert counts(10, last=last) == [1] * 10
    assert len(counts(40_000, last=last)) < 40_000 / 28


def test_a_fixed_number_fills_every_shard_but_the_last() -> None:
    assert counts(10, videos_per_shard=4) == counts(10, videos_per_shard=4, last=True) == [4, 4, 2]
    assert counts(8, videos_per_shard=4) == [4, 4]


def test_no_videos_make_no_shards() -> None:
    assert counts(0) == counts(0, last=True) == []


def test_the_last_shards_of_a_job_are_ever_smaller() -> None:
    found = counts(20_000, first_ordinal=2000, last=True)
    assert found == sorted(found, reverse=True)
    assert (found[0], found[-9:]) == (100, [3, 2, 2, 2, 2, 1, 1, 1, 1])


def test_a_big_video_is_alone_and_first_and_its_neighbours_fill_their_shards() -> None:
    assert grouped([1, 1, 50, 1, 1, 1, 90, 1, 1], videos_per_shard=3) == [[90], [50], [1, 1, 1], [1, 1, 1], [1]]


def test_a_video_as_large_as_an_ordinary_shard_is_not_big() -> None:
    assert grouped([1, 3, 1, 1, 1, 1, 1, 3], videos_per_shard=2) == [[1, 3], [1, 3], [1, 1], [1, 1]]


def test_videos_of_unknown_size_come_last() -> None:
    assert grouped([0, 5, 0, 7], videos_per_shard=1) == [[7], [5], [0], [0]]
    assert grouped([0, 0, 0], videos_per_shard=2) == [[0, 0], [0]]


CASES = [
    (seed, videos, videos_per_shard, first_ordinal, last)
    for seed, videos in ((1, 1), (2, 2), (3, 17), (4, 100), (5, 1500))
    for videos_per_shard in (0, 1, 5)
    for first_ordinal in (0, 16, 500)
    for last in (False, True)
]


@pytest.mark.parametrize(("seed", "videos", "videos_per_shard", "first_ordinal", "last"), CASES)
def test_every_video_is_in_one_shard_and_shards_are_ordered_full_and_few(
    *, seed: int, videos: int, videos_per_shard: int, first_ordinal: int, last: bool
) -> None:
    work = lognormal(videos, giants=videos // 20, seed=seed)
    asked = {"first_ordinal": first_ordinal, "videos_per_shard": videos_per_shard, "last": last}
    found = shards(work, **asked)
    assert sorted(place for group in found for place in group) == list(range(videos))
    assert found == shards(work, **asked)
    assert all(group == sorted(group) for group in found)
    sums = [sum(work[place] for place in group) for group in found]
    assert sums == sorted(sums, reverse=True)
    assert len(found) <= 2 * len(shards([1] * videos, **asked))
    if videos_per_shard:
        assert sum(len(group) not in {1, videos_per_shard} for group in found) <= 1


def test_no_shard_holds_more_work_than_it_may_unless_it_is_one_video() -> None:
    assert grouped([3, 3, 3, 3, 50, 3], first_ordinal=10_000, most_seconds=7) == [[50], [3, 3], [3, 3], [3]]
    assert grouped([1] * 1000, first_ordinal=10_000, most_seconds=100) == [[1] * 100] * 10


@pytest.mark.parametrize("seed", range(20))
def test_the_most_work_of_a_shard_holds_whatever_the_videos_are(seed: int) -> None:
    work = lognormal(3000, giants=seed, seed=seed)
    groups = grouped(work, first_ordinal=100_000, most_seconds=20_000, last=seed % 2 == 1)
    assert sorted(one for group in groups for one in group) == sorted(work)
    assert all(sum(group) <= 20_000 or len(group) == 1 for group in groups)


def test_a_fixed_number_holds_whatever_the_work_is() -> None:
    assert grouped([3] * 6, videos_per_shard=3, most_seconds=4) == [[3, 3, 3], [3, 3, 3]]


@pytest.mark.parametrize(
    ("videos", "giants", "workers", "at_most"),
    [(2_000, 0, 4, 0.03), (10_000, 5, 5, 0.03), (33_000, 10, 10, 0.02), (33_000, 0, 40, 0.05)],
)
def test_the_last_percent_of_a_job_takes_no_more_than_a_few_percent_of_its_time(
    videos: int, giants: int, workers: int, at_most: float
) -> None:
    sizes = lognormal(videos, giants=giants)
    assert tail_share(planned(sizes), workers=workers) <= at_most


@pytest.mark.parametrize("videos_per_shard", [0, 16])
def test_giants_at_the_end_of_a_source_are_no_tail(videos_per_shard: int) -> None:
    sizes = lognormal(33_000) + [2_000_000] * 3
    assert tail_share(in_order(sizes), workers=10) > 0.05  # what shards in the source's order would cost
    assert tail_share(planned(sizes, videos_per_shard=videos_per_shard), workers=10) <= 0.03
