"""How many shards may wait: enough for minutes, up to a cap in bytes, and something of every job."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.window import FEW, RESERVED, START, Drain, Limits, Look, high_water, room

KIB, MIB = 1 << 10, 1 << 20
QUIET = Look(waiting=0, used_bytes=MIB)


def high(look: Look = QUIET, *, per_second: float = 1.0, message_bytes: float = KIB, **limits) -> int:
    return high_water(look, drain=Drain(per_second), limits=Limits(**limits), message_bytes=message_bytes)


def may(look: Look, *, filling: bool = False, per_second: float = 1.0, message_bytes: float = KIB, **limits) -> int:
    return room(look, filling=filling, drain=Drain(per_second), limits=Limits(**limits), message_bytes=message_bytes).shards


def test_before_anything_is_known_a_start_is_sent() -> None:
    assert room(QUIET, filling=False, drain=Drain(), limits=Limits(), message_bytes=KIB).shards == START


def test_what_may_wait_is_minutes_of_work() -> None:
    assert high(per_second=2.0) == 1200
    assert high(per_second=2.0, target_seconds=60) == 120


def test_a_slow_job_keeps_its_floor_and_the_operators_window_is_above_all() -> None:
    assert high(per_second=0.0) == 64
    assert high(per_second=0.0, floor=10) == 10
    assert high(per_second=9.0, most=5) == 5


def test_a_refill_begins_at_low_water_and_ends_at_high_water() -> None:
    at = {waiting: may(Look(waiting, MIB)) for waiting in (0, 300, 301, 599)}
    assert at == {0: 600, 300: 300, 301: 0, 599: 0}
    assert [may(Look(waiting, MIB), filling=True) for waiting in (301, 599, 600, 601)] == [299, 1, 0, 0]


def test_a_window_of_one_is_filled_again_when_it_is_empty() -> None:
    assert [may(Look(waiting, MIB), most=1) for waiting in (0, 1)] == [1, 0]


def test_the_rate_follows_what_is_taken_within_a_minute_or_two() -> None:
    drain = Drain()
    for _ in range(120):
        drain = drain.after(1.0, taken=50, emptied=False)
    assert drain.per_second == pytest.approx(50, rel=0.2)
    for _ in range(300):
        drain = drain.after(1.0, taken=1, emptied=False)
    assert drain.per_second == pytest.approx(1, rel=0.4)


def test_one_burst_says_little() -> None:
    assert Drain(1.0).after(0.2, taken=100, emptied=False).per_second < 3


def test_a_queue_that_ran_empty_is_filled_twice_as_high() -> None:
    assert Drain(1.0).after(0.2, taken=1, emptied=True).per_second == 2.0
    assert Drain(1.0).after(0.2, taken=0, emptied=True).per_second <= 1.0  # nothing was there to take


def test_a_queue_that_fills_by_itself_is_not_drained_backwards() -> None:
    assert 0 <= Drain(1.0).after(60.0, taken=-500, emptied=False).per_second < 1.0


@pytest.mark.parametrize(
    ("redis_bytes", "maxmemory", "cap"),
    [(128 * MIB, 0, 128 * MIB), (128 * MIB, 100 * MIB, 60 * MIB), (128 * MIB, 1024 * MIB, 128 * MIB), (2 * MIB, 0, 2 * MIB)],
)
def test_the_cap_is_the_operators_or_sixty_percent_of_what_redis_may_hold(redis_bytes: int, maxmemory: int, cap: int) -> None:
    assert Limits(redis_bytes=redis_bytes).cap_bytes(maxmemory_bytes=maxmemory) == cap


def test_at_the_cap_nothing_is_sent_and_that_is_known() -> None:
    found = room(Look(0, 128 * MIB), filling=False, drain=Drain(), limits=Limits(), message_bytes=KIB)
    assert (found.shards, found.full) == (0, True)
    enough = room(Look(500, 128 * MIB), filling=False, drain=Drain(), limits=Limits(), message_bytes=KIB)
    assert (enough.shards, enough.full) == (0, False), "who wants nothing has nothing to complain of"


def test_the_last_of_the_cap_is_left_to_jobs_of_which_hardly_anything_waits() -> None:
    used = int(128 * MIB * (1 - RESERVED / 2))
    assert may(Look(FEW, used), per_second=100) == 0
    assert may(Look(0, used), per_second=100) == FEW
    assert may(Look(FEW - 1, used), per_second=100) == 1


def test_where_the_cap_binds_each_job_gets_its_share_of_it() -> None:
    alone, shared = (high(Look(0, MIB, jobs=jobs), per_second=1e4, redis_bytes=100 * MIB) for jobs in (1, 4))
    assert (alone, shared) == (100 * KIB, 25 * KIB)
    assert high(Look(0, MIB, jobs=10**9), redis_bytes=MIB) == FEW


@dataclass
class Redis:
    """A Redis that counts what jobs have in it; a message takes about what is thought of it."""

    cap: int
    held: dict[str, list[int]] = field(default_factory=dict)

    def look(self, job: str) -> Look:
        used = sum(map(sum, self.held.values()))
        return Look(len(self.held.setdefault(job, [])), used, jobs=max(1, sum(map(bool, self.held.values()))))


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3000), st.integers(500, 3000), st.booleans()), max_size=60)


@given(steps=STEPS, cap=st.integers(100 * KIB, 4 * MIB), batch=st.integers(1, 256))
def test_the_cap_is_never_passed_by_more_than_a_batch_and_a_job_with_room_always_sends(steps, cap: int, batch: int) -> None:
    redis, limits, largest = Redis(cap), Limits(redis_bytes=cap), 3000
    for job, taken, size, filling in steps:
        before = redis.look(job)
        drain = Drain(1.0).after(1.0, taken=taken, emptied=taken > before.waiting)
        found = room(before, filling=filling, drain=drain, limits=limits, message_bytes=1500)
        top = high_water(before, drain=drain, limits=limits, message_bytes=1500)
        if before.waiting <= top // 2 and before.used_bytes + 1500 <= cap * (1 - RESERVED):
            assert found.shards > 0
        if before.waiting < FEW and before.waiting < top and before.used_bytes + 1500 <= cap:
            assert found.shards > 0 or before.waiting > top // 2
        assert found.shards + before.waiting <= max(top, before.waiting)
        redis.held[job] += [size] * min(found.shards, batch)  # who sends looks again after a batch
        assert sum(map(sum, redis.held.values())) <= cap + batch * largest
        del redis.held[job][: min(taken, len(redis.held[job]))]
