from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from producer.census import FIRST, Census, census_of
from producer.sources import CAUSES, Batch
from schemas.video import UNKNOWN_ETAG

EXCLUDED = CAUSES.index("excluded")


def batches(rows: int, *, at_once: int, excluded: frozenset[int] = frozenset(), size_of=lambda row: row + 1) -> Iterator[Batch]:
    for start in range(0, rows, at_once):
        numbers = range(start, min(start + at_once, rows))
        yield Batch(
            uris=pa.array([f"s3://b/{number:06}.mp4" for number in numbers]),
            etags=pa.array([f"e{number}" for number in numbers]),
            sizes=pa.array([size_of(number) for number in numbers], pa.int64()),
            causes=np.array([EXCLUDED if number in excluded else 0 for number in numbers], np.uint8),
            cursor_at=str,
        )


def sampled(census: Census) -> list[str]:
    return sorted(video.uri for one in census.classes.values() for video in one.sample)


def test_all_is_counted_by_class_of_size():
    census = census_of(batches(1000, at_once=64, excluded=frozenset({3, 500})), most=10)

    assert (census.objects, census.videos, census.whole) == (1000, 998, True)
    assert census.size_bytes == sum(range(1, 1001)) - 4 - 501
    assert census.skipped == Counter({"excluded": 2})
    assert {kind: one.videos for kind, one in census.classes.items()} == {
        1: 1, 2: 2, 3: 3, 4: 8, 5: 16, 6: 32, 7: 64, 8: 128, 9: 255, 10: 489
    }  # fmt: skip
    assert [video.uri for video in census.first[:4]] == [f"s3://b/00000{number}.mp4" for number in (0, 1, 2, 4)]


@pytest.mark.parametrize("at_once", [1, 7, 64, 5000])
def test_the_sample_is_the_same_however_the_rows_come(at_once):
    expected = census_of(batches(2000, at_once=1000), most=5)

    assert sampled(census_of(batches(2000, at_once=at_once), most=5)) == sampled(expected)
    assert all(len(one.sample) == min(5, one.videos) for one in expected.classes.values())


def test_every_video_is_as_likely_to_be_sampled():
    drawn = Counter[int]()
    for seed in range(400):
        census = Census(most=8)
        census._random = np.random.default_rng(seed)
        for batch in batches(64, at_once=10, size_of=lambda _: 100):
            census.count(batch, upto=len(batch.causes))
        drawn.update(int(video.uri[-10:-4]) for video in census.classes[7].sample)

    assert min(drawn[number] for number in range(64)) > 25  # of 50 expected; four standard deviations
    assert max(drawn.values()) < 78


def test_no_video_of_the_classes_is_sampled_twice():
    census = census_of(batches(5000, at_once=100, size_of=lambda _: 1 << 20), most=200)

    assert len(set(sampled(census))) == 200


def test_a_look_ends_in_time_and_says_that_there_is_more():
    assert census_of(batches(100, at_once=30), most=5, look=70).whole is False
    assert census_of(batches(100, at_once=30), most=5, look=70).objects == 70
    assert census_of(batches(90, at_once=30), most=5, look=60).objects == 60
    assert census_of(batches(60, at_once=30), most=5, look=60).whole is True
    assert census_of(batches(90, at_once=30), most=5, look=60).whole is False


def test_a_jobs_limit_is_the_end_of_it():
    census = census_of(batches(100, at_once=30, excluded=frozenset({2, 40})), most=5, limit=50)

    assert (census.videos, census.objects, census.whole) == (50, 52, True)


def test_a_video_of_unknown_size_has_none():
    batch = Batch(
        uris=pa.array(["s3://b/a.mp4", "s3://b/b.mp4"]),
        etags=pa.array([None, "e"]),
        sizes=pa.array([None, 0], pa.int64()),
        causes=np.zeros(2, np.uint8),
        cursor_at=str,
    )
    census = census_of(iter([batch]), most=5)

    assert [(video.etag, video.size_bytes) for video in census.first] == [(UNKNOWN_ETAG, 0), ("e", 0)]
    assert census.classes[0].videos == 2


def test_an_empty_source_has_nothing():
    census = census_of(iter(()), most=5)

    assert (census.videos, census.size_bytes, census.objects, census.whole) == (0, 0, 0, True)


def test_as_many_are_kept_in_order_as_show_how_they_are_written():
    assert len(census_of(batches(3 * FIRST, at_once=700), most=1).first) == FIRST
