"""One torture from the first process to the verdict."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

from broker import QUEUE
from broker.queues import redis_of
from fleet.torture.checker import Verdict, check
from fleet.torture.nemeses import Nemesis
from fleet.torture.opening import world
from fleet.torture.record import read_record
from fleet.torture.setup import Plot
from fleet.torture.world import World

WARM_SECONDS = 30.0
DRY_SECONDS = 420.0
"""How long the fleet may take to get through what it has: an open breaker probes at most every five minutes."""
ROUNDS = 6
"""How often storage may still lack something after a reconciliation."""
KEPT_EMPTY = (QUEUE, "claims", "claims:from", "claims:index", "claims:once", "unacked", "unacked_index")
"""Keys of the broker that are gone when nothing waits and nothing is claimed."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a torture did, and what it found."""

    verdict: Verdict
    kills: Mapping[str, int]
    deeds: Mapping[str, int]
    faults: Mapping[str, int]
    lost_by_queue: int
    """Videos of shards that the queue lost and only storage still knew of."""
    shards: int
    executions: int
    """How often a shard was taken up."""
    recovery_seconds: tuple[float, ...]
    """From a death that nobody saw to the moment its shards were taken up again, in order."""
    told_recovery_seconds: tuple[float, ...]
    """The same where a keeper told the broker."""
    drain_seconds: tuple[float, ...]
    drained_badly: int
    left_in_broker: tuple[str, ...]
    ends: Mapping[int, int]
    """Workers that ended by themselves, by exit status."""
    seconds: float


def torture(plot: Plot, nemeses: Iterable[Nemesis], *, say: Say = lambda _: None) -> Outcome:
    """Run the nemeses one after the other, let the fleet finish, and judge by what lies in storage."""
    begin = time.monotonic()
    with world(plot) as there:
        there.until(lambda: there.journal.taken, within_seconds=WARM_SECONDS)
        for nemesis in with_second_goes(nemeses, there):
            say(f"{time.monotonic() - begin:6.1f} s  {nemesis.__name__.replace('_', ' ')}")
        say("letting the fleet finish")
        calm(there, say)
        return judged(there, seconds=time.monotonic() - begin)


def with_second_goes(nemeses: Iterable[Nemesis], there: World) -> Iterator[Nemesis]:
    """Run the nemeses, and those once more that missed their moment; yields each before it is run."""
    missed: list[Nemesis] = []
    for nemesis in nemeses:
        yield nemesis
        if not nemesis(there):
            missed.append(nemesis)
    for nemesis in missed:
        yield nemesis
        if not nemesis(there):
            there.score.deeds["aims missed"] += 1


def until(end: float, nemeses: Iterator[Nemesis]) -> Iterator[Nemesis]:
    """The nemeses that begin before a moment."""
    return takewhile(lambda _: time.monotonic() < end, nemeses)


def calm(there: World, say: Say) -> None:
    """End the torture: what was asked is worked to its end, then what the queue lost is counted, then storage has the last word."""
    there.until(there.all_done, within_seconds=60.0)
    there.faults.rate = 0.0
    finish_producing(there)
    there.jobs.send_the_rest(there.queue)
    dry(there)
    there.take_census()
    for _ in range(ROUNDS):
        sent = there.reconcile()
        if not (sent or there.look()):  # Celery's own transport hides a message for a moment while it is taken: the queue only looked dry
            return
        say(f"reconciled: {sent} shards enqueued again")
        dry(there)


def finish_producing(there: World) -> None:
    """Let the last launch send all that it plans."""
    there.feeding = False
    there.until(lambda: there.producer.status == 0, within_seconds=DRY_SECONDS)


def dry(there: World) -> bool:
    """Wait until nothing waits and nothing is in work; False if it takes too long."""
    return there.until(lambda: not there.look(), within_seconds=DRY_SECONDS)


def judged(there: World, *, seconds: float) -> Outcome:
    """Read storage and hold it against what must have become of each input."""
    verdict = Verdict()
    for job in there.jobs.names:
        check(verdict, read_record(there.jobs.bucket, job), there.plot.fates, job=job)
    for key in there.jobs.bucket.uploads():
        verdict.find("left_over", f"an upload in parts of {key}")
    score, journal = there.score, there.journal
    return Outcome(
        verdict=verdict,
        kills=dict(score.kills),
        deeds=dict(score.deeds),
        faults=dict(there.faults.thrown),
        lost_by_queue=lost_videos(there),
        shards=len(journal.taken),
        executions=journal.taken.total(),
        recovery_seconds=tuple(journal.recoveries(told=False)),
        told_recovery_seconds=tuple(journal.recoveries(told=True)),
        drain_seconds=tuple(sorted(score.drains)),
        drained_badly=score.drained_badly,
        left_in_broker=left_in_broker(there),
        ends=dict(score.ends),
        seconds=seconds,
    )


def lost_videos(there: World) -> int:
    """How many videos the lost shards have; a descendant has one."""
    plans = {job: there.jobs.videos(job) for job, _ in there.score.missing}
    return sum(len(plans[job].get(shard, ("its only video",))) for job, shard in there.score.missing)


def left_in_broker(there: World) -> tuple[str, ...]:
    """Keys that should be gone."""
    with redis_of(there.app) as redis:
        return tuple(key for key in KEPT_EMPTY if redis.execute_command("EXISTS", key))
