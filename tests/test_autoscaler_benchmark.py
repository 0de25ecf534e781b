"""The autoscaler's simulation decides as Kubernetes and KEDA do, loses no shard, and accounts for every GPU-second."""

import sys
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from random import Random

import pytest
from helm_python import HelmError

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))  # its files are scripts; behind everything else

import autoscaler
from autoscaler_broker import LEASE_SECONDS, Broker
from autoscaler_chart import set_up, shard_seconds, two_triggers
from autoscaler_clock import Clock
from autoscaler_day import CLOUDS, HOUR, Day, Launch, Span, mixed_day
from autoscaler_fleet import Phase, Pod, victims
from autoscaler_hpa import DEFAULT_DOWN, DEFAULT_UP, Counts, Direction, Fallback, Hpa, Keda, Metric, Policy, Scaling, wish
from autoscaler_meter import Meter
from autoscaler_run import HORIZON, Outcome, Run
from autoscaler_worker import Worker

AT_ONCE = Direction(0, (Policy("Percent", 1000, 15),))


def hpa(*, up: Direction = DEFAULT_UP, down: Direction = DEFAULT_DOWN, fewest: int = 0, most: int = 1000) -> Hpa:
    return Hpa(fewest=fewest, most=most, up=up, down=down)


def followed(one: Hpa, wanted: float, *, replicas: int, seconds: range) -> list[int]:
    """Replicas at each of these moments, where the metric is for so many all the time."""
    found = []
    for now in seconds:
        replicas = one.sync(now, [(wanted, 1.0)], replicas=replicas)
        found.append(replicas)
    return found


def test_a_metric_of_twice_its_target_doubles_the_replicas() -> None:
    assert wish(3 * 0.2, target=0.1, replicas=3) == 6  # the documentation's 200m for 100m
    assert wish(4 * 0.05, target=0.1, replicas=4) == 2  # and its 50m


@pytest.mark.parametrize(("value", "replicas"), [(9.0, 10), (10.9, 10), (11.1, 12), (8.9, 9)])
def test_what_is_within_a_tenth_of_the_target_changes_nothing(value: float, replicas: int) -> None:
    assert wish(value, target=1.0, replicas=10) == replicas


def test_eighty_replicas_go_by_eight_and_at_forty_by_four() -> None:
    """The documentation's example of two policies, where the higher change counts; the fractions are as Kubernetes cuts them."""
    down = Direction(0, (Policy("Pods", 4, 60), Policy("Percent", 10, 60)))
    minutes = followed(hpa(down=down), 10, replicas=80, seconds=range(0, 720, 60))
    assert minutes == [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16]
    assert followed(hpa(down=down), 10, replicas=80, seconds=range(0, 121, 15)) == [72] * 4 + [64] * 4 + [57]


def test_by_default_replicas_double_or_grow_by_four_every_fifteen_seconds() -> None:
    assert followed(hpa(most=50), 100, replicas=1, seconds=range(0, 75, 15)) == [5, 10, 20, 40, 50]


def test_what_is_added_in_a_period_counts_against_it() -> None:
    up = Direction(0, (Policy("Pods", 10, 60),))
    assert followed(hpa(up=up), 100, replicas=1, seconds=range(0, 121, 15)) == [11] * 4 + [21] * 4 + [31]


def test_scaling_down_waits_for_the_highest_wish_of_the_window() -> None:
    one = hpa()
    assert one.sync(0, [(20, 1.0)], replicas=20) == 20
    assert followed(one, 5, replicas=20, seconds=range(15, 316, 15)) == [20] * 19 + [5, 5]


def test_scaling_up_waits_for_the_lowest_wish_of_the_window() -> None:
    one = hpa(up=replace(AT_ONCE, window_seconds=30))
    assert one.sync(0, [(2, 1.0)], replicas=2) == 2
    assert [one.sync(now, [(wanted, 1.0)], replicas=2) for now, wanted in ((15, 9), (30, 7))] == [2, 7]


def test_of_two_metrics_the_higher_wish_counts_and_none_is_added_to_the_other() -> None:
    assert hpa(up=AT_ONCE).sync(0, [(30, 10.0), (70, 10.0)], replicas=2) == 7


def test_nothing_is_scaled_from_zero_or_without_readings() -> None:
    assert hpa().sync(0, [(30, 1.0)], replicas=0) == 0
    assert hpa().sync(0, None, replicas=7) == 7


SCALING = Scaling((Metric(1, lambda counts: counts.open / 8),), fewest=0, most=9, cooldown_seconds=900, fallback=Fallback(4, 2))
WORK, NONE = Counts(5, 3), Counts(0, 0)


def test_keda_wakes_one_and_sends_the_last_home_a_cooldown_after_the_last_work() -> None:
    keda = Keda(SCALING)
    assert [keda.poll(now, counts, replicas=0) for now, counts in ((0, NONE), (15, WORK))] == [0, 1]
    assert [keda.poll(now, NONE, replicas=6) for now in (30, 915, 916)] == [6, 6, 0]


def test_a_fleet_with_a_minimum_never_sleeps() -> None:
    keda = Keda(replace(SCALING, fewest=3))
    assert [keda.poll(5000, NONE, replicas=replicas) for replicas in (3, 0)] == [3, 3]


def test_redis_that_does_not_answer_falls_back_to_what_is_there_and_wakes_a_fleet_that_sleeps() -> None:
    keda = Keda(SCALING)
    assert [keda.read(None, replicas=7) for _ in range(5)] == [None] * 4 + [[(7.0, 1)]]
    assert keda.read(None, replicas=1) == [(2.0, 1)]
    assert keda.poll(0, None, replicas=0) == 1
    assert keda.read(WORK, replicas=7) == [(1.0, 1)]
    assert keda.read(None, replicas=7) is None


def test_without_a_fallback_redis_that_does_not_answer_changes_nothing() -> None:
    keda = Keda(replace(SCALING, fallback=None))
    assert [keda.poll(now, None, replicas=4) for now in range(0, 6000, 30)] == [4] * 200


def pod(phase: Phase, *, lot: float = 0.5, ready_at: float = 0.0) -> Pod:
    return Pod(0.0, lot, phase, ready_at=ready_at)


def test_pods_that_do_not_work_yet_go_first_and_then_the_youngest() -> None:
    old, older, young = (pod(Phase.READY, lot=lot, ready_at=ready_at) for lot, ready_at in ((0.9, 600), (0.1, 500), (0.7, 3500)))
    loading, pulling, unassigned = (pod(phase) for phase in (Phase.LOADING, Phase.PULLING, Phase.UNASSIGNED))
    order = victims([old, older, young, loading, pulling, unassigned], 6, now=3600)
    assert order == [unassigned, pulling, loading, young, older, old]  # ages of 3,000 and 3,100 s are alike: the lot decides
    assert victims([old, young], -1, now=3600) == []


class Fleetless:
    """A clock, a queue and a worker on a machine that nobody takes."""

    def __init__(self, *seconds: float, shards_at_once: int = 8) -> None:
        self.clock, self.meter = Clock(), Meter()
        self.broker = Broker(self.clock, Random(1))  # noqa: S311 - no secret
        self.gone: list[float] = []
        self.hire = partial(Worker, self.clock, self.broker, self.meter, shards_at_once=shards_at_once, gone=self.note)
        self.worker = self.hire()
        self.broker.launch(Launch("job", 0.0, seconds))

    def note(self) -> None:
        self.gone.append(self.clock.now)

    @property
    def counts(self) -> tuple[int, int]:
        found = self.broker.counts()
        assert found is not None
        return found.waiting, found.claimed


def test_the_oldest_shards_are_worked_first_two_at_a_time() -> None:
    fleet = Fleetless(40, 30, 20, 10)
    fleet.clock.run(100)
    ends = [shard.done_at for shard in fleet.broker.jobs["job"].shards]
    assert ends == [80, 60, pytest.approx(100), pytest.approx(100)]
    assert (fleet.meter.seconds["useful"], fleet.meter.seconds["unfilled"]) == (100, 0)


def test_a_worker_that_leaves_finishes_what_it_can_and_hands_back_the_rest() -> None:
    fleet = Fleetless(100, 20, 10, 5)
    fleet.clock.run(1)
    fleet.worker.leave("scale-down", grace_seconds=90, killed_after=110)
    fleet.clock.run(500)
    assert fleet.gone == [1 + 0.7 * 90]
    assert [shard.done_at is not None for shard in fleet.broker.jobs["job"].shards] == [False, True, True, False]
    assert fleet.counts == (2, 0)
    assert fleet.meter.seconds["lost to scale-down"] == pytest.approx(64 / 2 + 4 / 2)
    assert fleet.meter.busy_pods_ended == {"scale-down": 1}


def test_what_a_killed_worker_had_is_taken_again_after_a_claims_life() -> None:
    fleet = Fleetless(1000, 1000)
    fleet.clock.run(1)
    fleet.worker.leave("spot", grace_seconds=90, killed_after=30)
    fleet.clock.run(31 + LEASE_SECONDS - 0.1)
    assert (fleet.gone, fleet.counts) == ([31], (0, 2))
    fleet.clock.run(31 + LEASE_SECONDS)
    assert fleet.counts == (2, 0)
    fleet.hire()
    assert fleet.counts == (0, 2)


def test_without_redis_nothing_is_taken_and_what_is_done_is_acknowledged_later() -> None:
    fleet = Fleetless(10, 10, 10, shards_at_once=2)
    fleet.clock.run(1)
    fleet.broker.go_away()
    fleet.clock.run(60)
    assert fleet.broker.counts() is None
    assert [shard.done_at for shard in fleet.broker.jobs["job"].shards] == [20, 20, None]
    fleet.broker.come_back()
    assert fleet.counts == (0, 1)
    fleet.clock.run(100)
    assert fleet.counts == (0, 0)


def test_jobs_take_turns() -> None:
    fleet = Fleetless(*[10.0] * 50, shards_at_once=2)
    fleet.clock.run(21)
    fleet.broker.launch(Launch("late", 21.0, (10.0, 10.0)))
    fleet.clock.run(101)
    assert fleet.broker.jobs["late"].done_at == 80  # as often as the other job, that has 48 more shards waiting


def test_the_chart_is_read_as_it_is_rendered() -> None:
    aws, gcp = set_up("aws-spot"), set_up("gcp-spot")
    assert (aws.grace_seconds, aws.termination_seconds, aws.scaling.most) == (90, 110, 200)
    assert (gcp.grace_seconds, gcp.termination_seconds, gcp.scaling.most) == (20, 25, 100)
    assert (shard_seconds("aws-spot"), shard_seconds("gcp-spot")) == (120, 60)
    changed = set_up("aws-spot", {"shardsPerWorker": "4", "floor": "3", "scaleDown.percent": "7"})
    [metric] = changed.scaling.metrics
    assert [metric.value(Counts(number, 0)) for number in (0, 1, 40)] == [0, 3, 10]
    assert changed.scaling.down.policies[0].value == 7
    assert changed.scaling.fallback == Fallback(4, 2)


def test_changes_that_the_chart_does_not_know_are_refused() -> None:
    with pytest.raises(HelmError, match="shardsPerWrker"):
        set_up("aws-spot", {"shardsPerWrker": "16"})


SETUPS = (autoscaler.CHART, autoscaler.TOLD, autoscaler.TWO, autoscaler.QUEUE, "fixed 6")


def short_day(name: str, *, seed: int = 3, profile: str = "aws-spot") -> Outcome:
    return Run(autoscaler.setup_named(name, profile), mixed_day(seed, share=0.05), CLOUDS[profile], seed=seed).outcome()


@pytest.mark.parametrize("name", SETUPS)
def test_every_shard_ends_once_and_every_gpu_second_is_accounted_for(name: str) -> None:
    ran = short_day(name)
    shards = [shard for job in ran.jobs for shard in job.shards if shard.done_at is not None]
    assert [len(job.shards) for job in ran.jobs] == [len(launch.shards) for launch in mixed_day(3, share=0.05).launches]
    spent = ran.meter.seconds
    assert spent["useful"] == pytest.approx(sum(shard.seconds for shard in shards))
    assert spent["worked"] == pytest.approx(spent["useful"] + ran.meter.lost + spent["unfinished"])
    assert spent["paid"] == pytest.approx(sum(spent[what] for what in ("starting", "empty", "idle", "unfilled", "worked")))
    left = sum(len(job.shards) for job in ran.jobs) - len(shards)
    assert left == ran.unfinished()
    assert left == 0 or name == autoscaler.QUEUE  # which ends the worker of a film again and again, since nothing waits


def test_the_same_seed_is_the_same_day() -> None:
    first, again = (autoscaler.figures(short_day(autoscaler.CHART)) for _ in range(2))
    assert first == again
    assert first != autoscaler.figures(short_day(autoscaler.CHART, seed=4))


@pytest.mark.parametrize("profile", CLOUDS)
def test_a_day_without_work_costs_what_the_minimum_costs(profile: str) -> None:
    setup = set_up(profile)
    ran = Run(setup, Day(()), CLOUDS[profile], seed=1).outcome()
    assert ran.paid_hours == pytest.approx(setup.scaling.fewest * HORIZON / HOUR, abs=0.1)


@pytest.mark.parametrize("profile", ["aws-spot", "gcp-spot"])
def test_a_fleet_grows_while_shards_wait_though_producers_keep_ten_minutes_of_work_queued(profile: str) -> None:
    most = set_up(profile).scaling.most
    for workers in autoscaler.endless(autoscaler.CHART, profile=profile, hours=1.5):
        assert 0.9 * most <= workers <= most  # what is within a tenth changes nothing


def test_spot_machines_are_taken_more_often_in_a_drought() -> None:
    steady = replace(CLOUDS["aws-spot"], taken_per_hour=0.0, taken_per_hour_in_drought=2.0)
    day = Day((Launch("endless", 0.0, (600.0,) * 3000),), droughts=(Span(2 * HOUR, 4 * HOUR),))
    taken = [Run(autoscaler.setup_named("fixed 8", "aws-spot"), day, steady, seed=1).outcome(hours * HOUR) for hours in (2, 4, 6)]
    before, during, after = (ran.meter.busy_pods_ended["spot"] for ran in taken)
    assert before == 0 < during == after


def test_the_naive_set_up_differs_in_nothing_but_how_it_scales_and_the_default_grace() -> None:
    chart = set_up("aws-spot")
    naive = two_triggers(chart)
    assert replace(naive, scaling=chart.scaling, termination_seconds=chart.termination_seconds) == chart
    assert (naive.termination_seconds, naive.scaling.most) == (30, chart.scaling.most)
    assert [metric.value(Counts(5, 3)) for metric in naive.scaling.metrics] == [5, 3]


def test_a_delay_is_about_its_median() -> None:
    dice = Random(1)  # noqa: S311 - no secret
    drawn = sorted(CLOUDS["aws-spot"].load.draw(dice) for _ in range(999))
    assert drawn[499] == pytest.approx(CLOUDS["aws-spot"].load.median_seconds, rel=0.05)
    assert 0 < drawn[0] < drawn[-1] < inf
