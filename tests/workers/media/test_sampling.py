import itertools
import random

import pytest

from workers.media.sampling import choose

CASES = [
    ([], 2, 64, []),
    ([5.0], 2, 64, [0]),
    ([0, 1, 2, 3, 4, 5], 2, 0, [0, 2, 4]),
    ([0, 1, 2, 3, 4, 5], 0, 3, [1, 3, 5]),
    ([0, 1, 2, 3, 4, 5], 0, 0, [0, 1, 2, 3, 4, 5]),
    ([0, 0, 0], 2, 64, [0]),
    ([4, 0, 2], 2, 64, [0, 1, 2]),
    ([-1.0, 0.5, 1.0], 2, 64, [0, 2]),
]


@pytest.mark.parametrize(("seconds", "gap", "most", "chosen"), CASES)
def test_the_choice_by_example(seconds: list[float], gap: float, most: int, chosen: list[int]) -> None:
    assert choose(seconds, min_gap_seconds=gap, max_per_video=most) == chosen


@pytest.mark.parametrize("seed", range(50))
def test_any_choice_keeps_its_promises(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    seconds = [rng.choice([rng.uniform(-5, 500), 7.0]) for _ in range(rng.randrange(1, 200))]
    gap, most = rng.choice([0, 0.5, 2, 30]), rng.choice([0, 1, 3, 64])
    chosen = choose(seconds, min_gap_seconds=gap, max_per_video=most)
    shown = sorted(seconds[ordinal] for ordinal in chosen)
    assert chosen == sorted(set(chosen))
    assert 1 <= len(chosen) <= (most or len(seconds))
    assert all(later - earlier >= gap for earlier, later in itertools.pairwise(shown))
    if most == 0:
        assert shown[0] == min(seconds)
        assert all(any(0 <= second - kept < gap for kept in shown) or second in shown for second in seconds)


def test_a_choice_of_few_is_spread_over_the_whole_video() -> None:
    chosen = choose(list(range(1000)), min_gap_seconds=0, max_per_video=10)
    assert {later - earlier for earlier, later in itertools.pairwise(chosen)} == {100}
    assert chosen[0] == 50


def test_keyframes_exactly_the_gap_apart_are_kept_whatever_rounding_says() -> None:
    assert 3.8 - 1.8 < 2.0
    assert choose([1.8, 3.8, 5.8], min_gap_seconds=2.0, max_per_video=0) == [0, 1, 2]
