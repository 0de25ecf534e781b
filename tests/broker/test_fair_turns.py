"""Whatever is put, taken and given back, no job that waits falls behind."""

import itertools
from collections.abc import Iterator

import pytest
from celery import Celery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from taking_turns import JOBS, Line, Taken

from broker.queues import redis_of


@pytest.fixture
def line(app: Celery) -> Iterator[Line]:
    with redis_of(app) as redis:
        yield Line(redis)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abc"), st.integers(1, 6)),
        st.tuples(st.just("take"), st.just(""), st.integers(1, 12)),
        st.tuples(st.sampled_from(["back", "end", "out"]), st.just(""), st.integers(0, 20)),
    ),
    max_size=40,
)
weights = st.fixed_dictionaries({job: st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0, 7.0]) for job in JOBS})


class Scales:
    """What each two jobs got, in turns by their weight, since messages of both wait without a break."""

    def __init__(self, weights: dict[str, float]) -> None:
        self._weights = weights
        self._got: dict[tuple[str, str], float] = {}

    def took(self, job: str) -> None:
        """A job had a turn."""
        for pair in self._got:
            self._got[pair] += (1 if pair[0] == job else -1 if pair[1] == job else 0) / self._weights[job]

    def look(self, waiting: set[str]) -> None:
        """Weigh those who wait; whoever does not begins anew."""
        self._got = {pair: self._got.get(pair, 0.0) for pair in itertools.combinations(sorted(JOBS), 2) if waiting.issuperset(pair)}
        for (one, other), ahead in self._got.items():
            bound = 1 / self._weights[one] + 1 / self._weights[other]
            assert abs(ahead) <= bound + 1e-6, f"{one} and {other} are {ahead:g} turns apart"


@settings(max_examples=50, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(weights=weights, moves=moves)
def test_no_two_jobs_that_wait_are_ever_further_apart_than_one_turn_of_each(
    line: Line, weights: dict[str, float], moves: list[tuple[str, str, int]]
) -> None:
    """The bound of fair queueing, whatever is put, taken, given back, ended and left to run out."""
    line.redis.flushall()
    scales = Scales(weights)
    held: list[Taken] = []
    for move, job, number in moves:
        play(line, scales, held, move, job, number, weights)
        line.adds_up()
    there = line.names()
    assert len(there) == len(held) + sum(line.waiting(job) for job in JOBS)
    assert {one.name for one in held} <= there


def play(line: Line, scales: Scales, held: list[Taken], move: str, job: str, number: int, weights: dict[str, float]) -> None:
    """Make one move, and weigh what everybody got after each message that is taken."""

    def weigh() -> None:
        scales.look({job for job in JOBS if line.waiting(job)})

    if move == "put":
        line.put(job, number, weight=weights[job])
    elif move == "take":
        for _ in range(number):
            if (taken := line.take()) is None:
                break
            held.append(taken)
            scales.took(taken.job)
            weigh()
    elif held:
        one = held.pop(number % len(held))
        if move == "back":
            line.give_back(one, as_the="next" if number % 2 else "last")
        elif move == "end":
            line.end(one)
        else:
            line.run_out(one)
            line.run(line.claims.sweep())
    weigh()
