"""Rates per second of this process's CPU, measured in turns, and what requests to S3 cost."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

DOLLARS_PER_REQUEST = {"PUT": 0.005 / 1000, "LIST": 0.005 / 1000, "GET": 0.0004 / 1000, "HEAD": 0.0004 / 1000}
"""S3 Standard in us-east-1."""


def cpu_rate(run: Callable[[], int]) -> float:
    """How many things a run gets done in a second of this process's CPU, all its threads together; it returns how many it did."""
    begun = time.process_time()
    done = run()
    return done / (time.process_time() - begun)


def in_turns(ways: Mapping[str, Callable[[], int]], *, rounds: int) -> dict[str, list[float]]:
    """Rates of several ways, one after the other in each round, another one first each time."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            rates[name].append(cpu_rate(ways[name]))
    return rates


def ratios(rates: Mapping[str, list[float]], *, to: str) -> dict[str, Any]:
    """What the other ways are in units of one: the median of the rounds' ratios, and each of them."""
    found: dict[str, Any] = {}
    for name in rates.keys() - {to}:
        each = [ours / theirs for ours, theirs in zip(rates[name], rates[to], strict=True)]
        found |= {f"{name}_over_{to}": round(median(each), 1), f"{name}_over_{to}_by_round": [round(one, 1) for one in each]}
    return {name: round(median(each)) for name, each in rates.items()} | dict(sorted(found.items()))


def dollars_per_billion(requests: Mapping[str, int], *, videos: int) -> float:
    """What these requests come to when they are as many for each of a billion videos."""
    return round(1e9 / videos * sum(DOLLARS_PER_REQUEST[kind] * count for kind, count in requests.items()), 2)
