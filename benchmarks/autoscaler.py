"""A simulated day of the chart's autoscaler, beside what is usually written; see docs/scaling.md.

paid
    GPU-hours from asking for a machine to its end, of which the following are shares.
useful
    Work on shards that ended in a commit. The others' sum is what scaling costs.
idle
    Workers that are ready and have no shard.
unfilled
    The half of a GPU that a worker with one shard leaves: shards wait for their bytes.
starting
    Machines that boot, pull the image and load the model, and machines without a pod.
lost
    Work on shards that did not end on the worker that began them.
busy pods ended
    Pods that had shards when the autoscaler took them; and when their machine was taken, which no autoscaler can help.
wait
    Of 95 in 100 shards, from the queue to a worker, at most.
small, archive, films
    From the launch of a job to its end: of small jobs the median and the slowest of twenty, and the two large ones.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median, quantiles

from autoscaler_chart import Setup, fixed, set_up, shard_seconds, two_triggers
from autoscaler_day import CLOUDS, HOUR, Day, Launch, mixed_day
from autoscaler_run import HORIZON, Outcome, Run
from helm_python import HelmError

CHART, TOLD, TWO, QUEUE = "chart", "chart, told who is busy", "two triggers", "queue alone"
Figures = dict[str, float]


def setup_named(name: str, profile: str) -> Setup:
    """The set-up of a column: one of the names above, `fixed N`, or changes to the chart such as `floor=0 scaleDown.percent=50`."""
    chart = set_up(profile)
    match name.split():
        case ["fixed", number]:
            return fixed(chart, int(number))
        case _ if "=" in name:
            return set_up(profile, dict(change.split("=", 1) for change in name.split()))
    return {
        CHART: chart,
        TOLD: replace(chart, told_who_is_busy=True),
        TWO: two_triggers(chart),
        QUEUE: two_triggers(chart, only_the_queue=True),
    }[name]


def outcome(name: str, seed: int, *, profile: str) -> Outcome:
    """One day of one set-up."""
    return Run(setup_named(name, profile), mixed_day(seed, shard_seconds=shard_seconds(profile)), CLOUDS[profile], seed=seed).outcome()


def figures(ran: Outcome) -> Figures:
    """What is in the table."""
    ended, small = ran.meter.busy_pods_ended, ran.small_hours()
    return {
        "paid, GPU-hours": ran.paid_hours,
        "useful, %": 100 * ran.share("useful"),
        "idle, %": 100 * ran.share("idle"),
        "unfilled, %": 100 * ran.share("unfilled"),
        "starting, %": 100 * (ran.share("starting") + ran.share("empty")),
        "lost, %": 100 * ran.meter.lost / ran.meter.seconds["paid"],
        "lost to scale-down, GPU-minutes": ran.meter.seconds["lost to scale-down"] / 60,
        "busy pods ended by scale-down": ended["scale-down"],
        "busy pods ended by spot": ended["spot"],
        "wait, minutes": ran.wait_p95() / 60,
        "small, minutes": 60 * median(small),
        "small, slowest of 20, minutes": 60 * quantiles(small, n=20)[-1],
        "archive, hours": ran.hours_of("archive"),
        "films, hours": ran.hours_of("films"),
        "shards not done": ran.unfinished(),
    }


def endless(name: str, *, profile: str, hours: float = 3.0) -> tuple[int, int]:
    """Workers that are ready after some hours of a job without end, machines being plenty.

    The second: where shards take four times as long as was predicted.
    """
    cloud = replace(CLOUDS[profile], machines=10**6, taken_per_hour=0.0)
    found = []
    for seconds in (shard_seconds(profile), 4 * shard_seconds(profile)):
        day = Day((Launch("endless", 0.0, (seconds,) * 30_000),))
        last = Run(setup_named(name, profile), day, cloud, seed=1).outcome(hours * HOUR).samples[-1]
        found.append(last.working + last.idle)
    return found[0], found[1]


def measured(task: tuple[str, int], *, profile: str) -> Figures:
    return figures(outcome(*task, profile=profile))


def columns(names: Sequence[str], *, profile: str, seeds: Sequence[int], processes: int) -> dict[str, list[Figures]]:
    """Each set-up's figures, of each seed's day."""
    tasks = [(name, seed) for name in names for seed in seeds]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:  # Helm's library is in Go, which does not outlive a fork
        found = list(pool.map(partial(measured, profile=profile), tasks))
    return {name: [one for (whose, _), one in zip(tasks, found, strict=True) if whose == name] for name in names}


def as_much_as(days: Iterable[Figures]) -> str:
    """The fixed fleet that costs the same."""
    return f"fixed {max(1, round(mean(day['paid, GPU-hours'] for day in days) / (HORIZON / HOUR)))}"


def table(found: dict[str, list[Figures]]) -> str:
    """Medians, and from the lowest to the highest."""
    names = list(next(iter(found.values()))[0])
    rows = [["", *found], *([name, *(spread([day[name] for day in days]) for days in found.values())] for name in names)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def spread(values: Sequence[float]) -> str:
    digits = 0 if median(values) >= 100 or all(float(value).is_integer() for value in values) else 1
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=CLOUDS, default="aws-spot")
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--also", action="append", default=[], metavar="CHANGES", help="another column: 'floor=1 scaleDown.percent=25'")
    parser.add_argument("--only-chart", action="store_true", help="no other columns than the chart's and --also")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--curves", type=Path, help="write the first seed's day of chart and two triggers there, for autoscaler_plot.py")
    parser.add_argument("--endless", action="store_true", help="how many workers a job without end gets")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    for changes in asked.also:
        try:
            setup_named(changes, asked.profile)
        except (HelmError, ValueError, KeyError) as error:
            raise SystemExit(
                f"--also {changes!r}: the chart refuses it: {error}. Write values of workers.gpu.autoscaling, as the help shows."
            ) from error
    of = partial(columns, profile=asked.profile, seeds=range(1, asked.seeds + 1), processes=asked.processes)
    found = of([CHART, *asked.also, *([] if asked.only_chart else [TOLD, TWO, QUEUE])])
    if not asked.only_chart:
        found |= of([as_much_as(found[CHART])])
    print(json.dumps(found, indent=2) if asked.json else table(found))
    if asked.endless:
        for name in found:
            print(
                f"endless job, workers after 3 hours, and with shards of four times the length: {name}:",
                *endless(name, profile=asked.profile),
            )
    if asked.curves:
        days = {name: [asdict(sample) for sample in outcome(name, 1, profile=asked.profile).samples] for name in (CHART, TWO)}
        asked.curves.write_text(json.dumps(days), encoding="utf-8")


if __name__ == "__main__":
    main()
