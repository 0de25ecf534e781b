"""The torture itself: a short one proves the fleet, and one of a fleet that breaks the rules proves the torture."""

from dataclasses import replace

import pytest

from fleet.torture import kills, nemeses
from fleet.torture.kills import STAGES
from fleet.torture.nemeses import Nemesis
from fleet.torture.run import Outcome, torture
from fleet.torture.sabotaged import Rule, worker_breaking
from fleet.torture.schedule import rounds
from fleet.torture.setup import STOCK, Plot, plotted
from fleet.torture.table import as_object, holds
from fleet.torture.traps import Moment

SEED = 7


@pytest.fixture(scope="module")
def plot() -> Plot:
    return plotted(seed=SEED, clip_count=24)


def test_a_minute_of_torture_loses_doubles_and_spoils_nothing(plot: Plot) -> None:
    outcome = torture(plot, rounds(kill_count=len(STAGES), workers=plot.workers, seed=SEED))
    found = as_object(outcome)
    assert holds(outcome), found
    assert (found["lost"], found["duplicated"], found["partial"]) == (0, 0, 0)
    assert all(found["kills_by_stage"][stage] for stage in STAGES), found["kills_by_stage"]
    assert found["dead_by_reason"] == found["expected_dead_by_reason"] != {}
    assert {"freezes", "zombies", "redis kills", "flushes", "storms", "drains", "copies", "producer kills"} <= found["deeds"].keys()
    assert found["recovery_s"]["p50"] > 0


def kill_before_commit(world: nemeses.World) -> bool:
    """Kill a worker when its commit has arrived, and nothing of it was passed on."""
    return kills.kill_at(world, "put", Moment.BEFORE_PUT)


SABOTAGE: dict[Rule, list[Nemesis]] = {
    Rule.CREATE_ONLY: [nemeses.twice, nemeses.storm],
    Rule.COMMIT_FIRST: [kill_before_commit, kill_before_commit],
}


def tortured(plot: Plot, deeds: list[Nemesis]) -> Outcome:
    return torture(plot, deeds)


def test_workers_that_write_over_what_is_committed_are_found_out(plot: Plot) -> None:
    outcome = tortured(replace(plot, worker=worker_breaking(Rule.CREATE_ONLY), kept=False), SABOTAGE[Rule.CREATE_ONLY])
    assert outcome.verdict.duplicated > 0
    assert not holds(outcome)


def test_workers_that_acknowledge_before_they_commit_are_found_out(plot: Plot) -> None:
    outcome = tortured(replace(plot, worker=worker_breaking(Rule.COMMIT_FIRST), kept=False), SABOTAGE[Rule.COMMIT_FIRST])
    assert outcome.lost_by_queue > 0
    assert outcome.verdict.lost == 0, "storage brings back what the queue has lost"
    assert not holds(outcome)


def test_celerys_own_transport_is_found_to_lose_what_frozen_workers_were_sent(plot: Plot) -> None:
    outcome = tortured(replace(plot, transport=STOCK), [nemeses.freeze_claims])
    assert outcome.lost_by_queue > 0
    assert as_object(outcome)["lost"] > as_object(outcome)["lost_for_good"] == 0
    assert not holds(outcome)
