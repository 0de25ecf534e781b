import pytest
from engine_models import Model, bending, saturating, thrashing

from workers.window import FLOOR, Seen, Window

NOISY = [(noise, seed) for noise in (0.0, 0.01, 0.03) for seed in range(5)]


def window(bound: int = 512, *, queue_is_told: bool = False) -> Window:
    return Window(bound=bound, queue_is_told=queue_is_told)


@pytest.mark.parametrize("capacity", [24, 100, 256])
@pytest.mark.parametrize(("noise", "seed"), NOISY)
def test_a_window_settles_near_where_throughput_saturates(capacity: int, noise: float, seed: int) -> None:
    model = Model(saturating(capacity), window(), noise=noise, seed=seed).run(500)
    assert model.share_of_best(last=300) >= 0.97
    assert sum(model.sizes[-300:]) / 300 < 1.5 * capacity


@pytest.mark.parametrize(("noise", "seed"), NOISY)
def test_a_window_leaves_little_of_a_throughput_that_bends_slowly(noise: float, seed: int) -> None:
    model = Model(bending(128), window(), noise=noise, seed=seed).run(500)
    assert model.share_of_best(last=300) >= 0.92
    assert max(model.sizes[-300:]) <= 512


@pytest.mark.parametrize("capacity", [64, 200])
@pytest.mark.parametrize(("noise", "seed"), NOISY)
def test_a_window_keeps_out_of_where_an_engine_gets_slower(capacity: int, noise: float, seed: int) -> None:
    model = Model(thrashing(capacity), window(), noise=noise, seed=seed).run(500)
    assert model.share_of_best(last=300) >= 0.95
    assert max(model.sizes[-300:]) < 1.6 * capacity


def test_an_engine_for_more_than_the_bound_gets_the_bound() -> None:
    model = Model(saturating(10_000), window(64), noise=0.03).run(400)
    assert model.share_of_best(last=300) >= 0.97


def test_a_large_window_is_found_within_few_intervals() -> None:
    assert max(Model(saturating(256), window()).run(15).sizes) >= 256


@pytest.mark.parametrize(("before", "after"), [(200, 80), (80, 200)])
@pytest.mark.parametrize("queue_is_told", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_window_follows_an_engine_whose_capacity_changes(before: int, after: int, *, queue_is_told: bool, seed: int) -> None:
    model = Model(
        saturating(before), window(queue_is_told=queue_is_told), noise=0.02, seed=seed, queues_beyond=before if queue_is_told else None
    ).run(300)
    model.rate, model.queues_beyond = saturating(after), after if queue_is_told else None
    model.run(300)
    assert model.share_of_best(last=150) >= 0.97
    assert sum(model.sizes[-150:]) / 150 < 2 * after


@pytest.mark.parametrize("queues_beyond", [None, 100])
def test_a_window_that_decoding_does_not_fill_does_not_run_away(queues_beyond: int | None) -> None:
    model = Model(saturating(100), window(), fed=40, queues_beyond=queues_beyond).run(300)
    assert model.window.size <= 80


@pytest.mark.parametrize("queues_beyond", [None, 100])
@pytest.mark.parametrize("stalled_at", [0, 1, 2, 3, 100, 101, 150])
def test_a_stall_costs_no_more_than_itself(stalled_at: int, queues_beyond: int | None) -> None:
    model = Model(saturating(100), window(), noise=0.01, queues_beyond=queues_beyond).run(stalled_at)
    model.interval(slower=50)
    model.run(150)
    assert model.share_of_best(last=100) >= 0.97


@pytest.mark.parametrize("capacity", [16, 24, 100, 256, 400])
def test_a_told_queue_is_kept_short_and_never_empty(capacity: int) -> None:
    model = Model(saturating(capacity), window(queue_is_told=True), queues_beyond=capacity).run(60)
    assert model.share_of_best(last=30) == 1.0
    assert all(0 < size - capacity <= size / 8 for size in model.sizes[-30:])


def test_a_told_queue_has_the_engine_full_from_the_first_and_is_short_within_few_intervals() -> None:
    model = Model(saturating(256), window(queue_is_told=True), queues_beyond=256).run(8)
    assert model.rates == [model.rate(256)] * 8
    assert model.sizes[0] == 512
    assert 256 < model.sizes[-1] <= 300


def test_an_interval_in_which_the_window_was_not_full_teaches_nothing() -> None:
    one = window()
    assert [one.next_size(Seen(16, 1.0, full=False, waiting=waiting)) for waiting in (None, 0, 500)] == [FLOOR] * 3


@pytest.mark.parametrize("bound", [1, 2, FLOOR])
@pytest.mark.parametrize("waiting", [None, 0, 1000])
def test_a_small_engine_always_gets_what_it_says_it_takes(bound: int, waiting: int | None) -> None:
    one = window(bound)
    assert {one.next_size(Seen(bound, 1.0 + n % 7, full=True, waiting=waiting)) for n in range(100)} == {bound}


@pytest.mark.parametrize("waiting", [None, 0, 7, 1000])
def test_a_window_stays_within_its_range(waiting: int | None) -> None:
    one = window(100)
    sizes = [one.next_size(Seen(50, 1.0 + n % 5, full=True, waiting=waiting)) for n in range(300)]
    assert all(FLOOR <= size <= 100 for size in sizes)
