"""What a torture tells: every figure asked for, a verdict that one wrong thing spoils, and a schedule that is fair to all stages."""

import io
from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from fleet.torture import kills, nemeses
from fleet.torture.checker import Verdict
from fleet.torture.kills import STAGES
from fleet.torture.run import Outcome
from fleet.torture.schedule import AIMED, endless, rounds
from fleet.torture.table import as_object, holds, print_outcomes

ASKED_FOR = {"units", "kills", "lost", "duplicated", "partial", "extra_percent", "recovery_s", "dead_by_reason"}


def outcome() -> Outcome:
    return Outcome(
        verdict=Verdict(units=40, captioned=38, dead_by_reason=Counter(truncated=2), expected_dead=Counter(truncated=2)),
        kills=dict.fromkeys(STAGES, 5),
        deeds={"freezes": 10},
        faults={},
        lost_by_queue=0,
        shards=20,
        executions=25,
        recovery_seconds=tuple(float(seconds) for seconds in range(20)),
        told_recovery_seconds=(0.5,),
        drain_seconds=(),
        drained_badly=0,
        left_in_broker=(),
        ends={},
        seconds=60.0,
    )


def test_the_object_has_every_figure_that_was_asked_for() -> None:
    found = as_object(outcome())
    assert found.keys() >= ASKED_FOR
    assert (found["units"], found["kills"], found["lost"], found["extra_percent"]) == (40, 40, 0, 25.0)
    assert found["recovery_unseen_s"] == {"p50": 10.0, "p95": 19.0, "max": 19.0}
    assert found["recovery_told_s"]["max"] == 0.5
    assert found["loss_per_kill_below"] == 0.075


def test_the_table_shows_both_transports_and_what_was_found() -> None:
    text = io.StringIO()
    stock = outcome()
    stock.verdict.find("lost", "job/00001.mp4 has neither lines nor a letter")
    print_outcomes(Console(file=text, width=160), {"framefleet": outcome(), "stock": stock})
    assert "framefleet" in text.getvalue()
    assert "stock: lost: job/00001.mp4 has neither lines nor a letter" in text.getvalue()
    assert "claim 5, fetch 5, decode 5, caption 5, put 5, put to ack 5" in text.getvalue()


def test_a_clean_outcome_holds() -> None:
    assert holds(outcome())


@pytest.mark.parametrize("kind", ["lost", "duplicated", "partial", "mismatched", "misjudged", "left_over"])
def test_one_violation_spoils_the_proof(kind: str) -> None:
    spoilt = outcome()
    spoilt.verdict.find(kind, "something")
    assert not holds(spoilt)


@pytest.mark.parametrize("worse", [{"lost_by_queue": 1}, {"drained_badly": 1}, {"left_in_broker": ("claims",)}])
def test_what_the_queue_lost_or_kept_and_a_late_drain_spoil_the_proof(worse: dict[str, int]) -> None:
    assert not holds(replace(outcome(), **worse))
    assert holds(replace(outcome(), lost_by_queue=0))


def test_no_bound_is_told_of_what_has_lost_something() -> None:
    assert as_object(replace(outcome(), lost_by_queue=1))["loss_per_kill_below"] is None


@pytest.mark.parametrize("kill_count", [6, 18, 200])
def test_each_stage_has_its_share_of_the_kills(kill_count: int) -> None:
    chosen = Counter(rounds(kill_count=kill_count, workers=3, seed=1))
    share = -(-kill_count // len(STAGES))
    assert [chosen[aimed] for aimed in AIMED] == [share] * len(AIMED)
    assert share <= 3 * chosen[nemeses.kill_claims] < share + 3
    every = {nemeses.freeze_claims, nemeses.kill_redis, nemeses.flush, nemeses.storm, nemeses.zombie, nemeses.drain}
    assert every | {nemeses.twice, nemeses.kill_producer} <= chosen.keys()


def test_two_hundred_kills_come_with_fifty_freezes_and_twenty_deaths_of_redis() -> None:
    chosen = Counter(rounds(kill_count=200, workers=3, seed=1))
    assert 3 * chosen[nemeses.freeze_claims] >= 50
    assert chosen[nemeses.kill_redis] == 20
    assert all(chosen[aimed] >= 20 for aimed in AIMED)


def test_the_same_seed_is_the_same_torture() -> None:
    first, second, other = (rounds(kill_count=18, workers=3, seed=seed) for seed in (1, 1, 2))
    assert first == second != other
    going_on = endless(per_round=18, workers=3, seed=1)
    assert [next(going_on) for _ in first] == first
    assert kills.kill_in_put in {next(going_on) for _ in first}
