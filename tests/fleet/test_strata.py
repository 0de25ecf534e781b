import math

import numpy as np
import pytest
from numpy.typing import NDArray

from fleet.strata import Stratum, allotted, at_mean_size, count_of, quantile, total_of
from schemas.estimate import Interval

VIDEOS, SAMPLE, TRIALS = 20_000, 200, 300
Corpus = tuple[NDArray[np.int64], NDArray[np.float64], int]


def films(seconds: NDArray[np.float64], bytes_per_second: NDArray[np.float64] | float, *, most: int) -> Corpus:
    """Sizes and keyframes of videos with a keyframe every 2.5 s, of which a recipe takes so many at most."""
    frames = np.ceil(seconds / 2.5)
    return np.maximum(1, seconds * bytes_per_second).astype(np.int64), np.minimum(frames, most) if most else frames, most


def rates(random: np.random.Generator, spread: float = 0.5) -> NDArray[np.float64]:
    return random.lognormal(math.log(5e5), spread, VIDEOS)


def clips_of_all_lengths(random: np.random.Generator) -> Corpus:
    return films(random.lognormal(4, 1.3, VIDEOS), rates(random), most=64)


def films_taken_whole(random: np.random.Generator) -> Corpus:
    return films(random.lognormal(4, 1.3, VIDEOS), rates(random), most=0)


def heavy_tail(random: np.random.Generator) -> Corpus:
    return films(10 * (1 + random.pareto(1.1, VIDEOS)), rates(random), most=0)


def heavy_tail_with_a_limit(random: np.random.Generator) -> Corpus:
    return films(10 * (1 + random.pareto(1.1, VIDEOS)), rates(random), most=64)


def shorts_and_a_few_features(random: np.random.Generator) -> Corpus:
    feature = random.random(VIDEOS) < 0.03
    return films(np.where(feature, random.lognormal(8.5, 0.4, VIDEOS), random.lognormal(3, 0.5, VIDEOS)), rates(random), most=0)


def sizes_that_tell_little(random: np.random.Generator) -> Corpus:
    return films(random.lognormal(4, 1, VIDEOS), rates(random, 2.0), most=0)


def some_dead(random: np.random.Generator) -> Corpus:
    sizes, frames, most = clips_of_all_lengths(random)
    return sizes, np.where(random.random(VIDEOS) < 0.05, 0, frames), most


@pytest.mark.parametrize(
    "corpus",
    [
        clips_of_all_lengths,
        films_taken_whole,
        heavy_tail,
        heavy_tail_with_a_limit,
        shorts_and_a_few_features,
        sizes_that_tell_little,
        some_dead,
    ],
)
def test_95_of_100_intervals_hold_the_truth_whatever_the_videos(corpus):
    random = np.random.default_rng(7)
    sizes, frames, most = corpus(random)
    kinds = np.frexp(sizes.astype(float))[1]
    classes = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    likely = np.maximum(1, np.ceil(sizes / 2e6))
    numbers = allotted(
        [len(one) for one in classes], [float(np.minimum(likely[one], most or math.inf).sum()) for one in classes], most=SAMPLE
    )

    def estimated() -> Interval:
        drawn = (frames[random.choice(one, number, replace=False)] for one, number in zip(classes, numbers, strict=True))
        return total_of([Stratum(len(one), figures) for one, figures in zip(classes, drawn, strict=True)])

    intervals = [estimated() for _ in range(TRIALS)]

    assert sum(numbers) <= 1.2 * SAMPLE
    assert sum(one.low <= frames.sum() <= one.high for one in intervals) >= 0.9 * TRIALS
    assert np.mean([one.expected for one in intervals]) == pytest.approx(frames.sum(), rel=0.03)
    assert np.median([one.high - one.low for one in intervals]) < 0.4 * frames.sum(), "an interval that says nothing holds everything"


def test_what_was_looked_into_wholly_is_known_exactly():
    strata = [Stratum(3, np.array([1.0, 2.0, 6.0])), Stratum(1, np.array([64.0]))]

    assert total_of(strata) == Interval(expected=73, low=73, high=73)
    assert count_of([Stratum(2, np.zeros(2))]) == Interval(expected=0, low=0, high=0)


def test_no_less_is_expected_than_was_seen():
    found = total_of([Stratum(1000, np.array([0.0, 0.0, 0.0, 500.0]))])

    assert found.low == 500
    assert found.high > 500_000


def test_one_sample_of_a_class_is_trusted_little():
    assert total_of([Stratum(100, np.array([5.0]))]).high > 1000


def test_samples_that_are_all_alike_do_not_make_it_certain():
    found = total_of([Stratum(10_000, np.full(200, 4.0))])

    assert found.low < 0.995 * found.expected
    assert 1.005 * found.expected < found.high < 1.05 * found.expected


def test_what_grows_with_size_is_told_by_the_size_that_is_known():
    sizes = np.array([100.0, 150.0, 190.0])

    assert list(at_mean_size(sizes / 2, sizes, mean_bytes=130)) == pytest.approx([65, 65, 65])
    assert list(at_mean_size(np.zeros(2), np.zeros(2), mean_bytes=0)) == [0, 0]


def test_classes_that_storage_hides_are_taken_to_be_as_the_rest():
    assert total_of([Stratum(10, np.full(10, 2.0)), Stratum(5, np.empty(0))]).expected == 30
    assert total_of([Stratum(5, np.empty(0))]).expected == 0


def test_what_nobody_saw_may_still_be_there():
    assert count_of([Stratum(10_000, np.zeros(300))]).high == pytest.approx(100, rel=0.01)


def test_no_more_are_dead_than_there_are():
    assert count_of([Stratum(10, np.array([1.0, 0.0]))]).high == 10


def test_each_class_is_sampled_twice_and_a_sample_of_all_takes_all():
    assert allotted([1_000_000, 1, 50, 3], [1e6, 64, 3200, 192], most=100)[1:] == [1, 2, 2]
    assert allotted([3, 1, 5], [3.0, 1.0, 5.0], most=9) == [3, 1, 5]
    assert allotted([], [], most=9) == []


def test_classes_that_have_most_of_the_frames_are_told_well():
    small, large = allotted([100_000, 1000], [100_000.0, 1_000_000.0], most=200)

    assert small > 80
    assert large > 80


@pytest.mark.parametrize(("freedom", "table"), [(1, 12.706), (2.7, 4.303), (5, 2.571), (10, 2.228), (30, 2.042), (1e9, 1.960)])
def test_students_t_is_that_of_the_tables(freedom, table):
    assert quantile(freedom) == pytest.approx(table, rel=0.002)
