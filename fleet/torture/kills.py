"""Deaths that are aimed: a worker is killed while it takes, fetches, decodes, captions, commits, or has committed and not yet said so."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.torture.journal import shard_in
from fleet.torture.traps import Moment, Trap
from fleet.torture.victims import Victim
from fleet.torture.world import World
from schemas.reasons import Stage

AIM_SECONDS = 15.0
"""How long a nemesis waits for its moment."""
MOST_HITS = 2
"""How often one shard may lose its worker: the fleet would soon take it for the murderer, and rightly."""
QUIET_SECONDS = 45.0
INSTANT_SECONDS = 0.003
"""What publishing, taking and booking a message take together."""
FROZEN_SECONDS = 0.1
TOLD_SHARE = 0.5
"""How many of the dead have a keeper that outlives them."""
SPY_SECONDS = 0.0005
STAGES = ("claim", "fetch", "decode", "caption", "put", "put to ack")
PUT_MOMENTS = (Moment.BEFORE_PUT, Moment.MID_PUT, Moment.COMMITTED)


@dataclass(slots=True)
class Shot:
    """One kill by whoever gets to the moment first."""

    world: World
    stage: str
    delay_seconds: float = 0.0
    hit: Victim | None = None
    key: str = ""
    """The object that the request of the dead was about."""
    told: bool = field(init=False)
    """Whether the dead has a keeper that tells of it; else the whole machine dies."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Draw who dies with the worker."""
        self.told = self.world.dice.random() < TOLD_SHARE

    def waiting_for(self, worker: Victim) -> Callable[[str], bool]:
        """A trap's deed."""
        return lambda key: self.at(worker, key)

    def at(self, worker: Victim, key: str = "") -> bool:
        """Kill this worker, unless another was killed or what it works on has been hit often enough."""
        with self._lock:
            if self.hit is not None or not worker.up or spared(self.world, worker):
                return False
            time.sleep(self.delay_seconds)
            strike(self.world, worker, told=self.told)
            self.key, self.hit = key, worker
            return True


def strike(world: World, worker: Victim, *more: str, told: bool) -> None:
    """Kill a worker: it alone, so that its keeper tells of it, or its keeper too. Notes what it was at, and perhaps `more`."""
    if told and worker.kept:
        worker.crash()
        world.score.deeds["deaths told by keepers"] += 1
    else:
        worker.kill()
    world.journal.killed(worker.slot, *more, told=worker.crashed)


def spared(world: World, worker: Victim) -> bool:
    """Whether a worker is at a shard that has lost its worker often enough."""
    return any(world.journal.times_hit(shard) >= MOST_HITS for shard in world.journal.at_work_on(worker.slot))


def aimed(world: World, shot: Shot, moment: Moment) -> bool:
    """Let a shot hit the first worker whose request gets to a moment; False if none did in time."""
    traps = [Trap(worker.slot, moment, shot.waiting_for(worker)) for worker in world.workers]
    for trap in traps:
        world.traps.set(trap)
    hit = world.until(lambda: shot.hit is not None, within_seconds=AIM_SECONDS)
    for trap in traps:
        world.traps.take_away(trap)
    return hit


def kill_at(world: World, stage: str, moment: Moment) -> bool:
    """Kill the first worker whose request gets to a moment; False if none did in time."""
    shot = Shot(world, stage)
    return aimed(world, shot, moment) and counted(world, stage)


def kill_seen(world: World, stage: Stage) -> bool:
    """Kill the first worker whose black box says that it is at a stage; False if none did in time."""
    shot, end = Shot(world, stage.value), time.monotonic() + AIM_SECONDS
    while shot.hit is None and time.monotonic() < end:
        world.tick()
        spy_until(lambda: any(at_stage(worker, stage) and shot.at(worker) for worker in world.up()), within_seconds=0.2)
    return shot.hit is not None and counted(world, stage.value)


def spy_until(happens: Callable[[], bool], *, within_seconds: float) -> None:
    """Look again and again without letting anything else happen."""
    end = time.monotonic() + within_seconds
    while time.monotonic() < end and not happens():
        time.sleep(SPY_SECONDS)


def at_stage(worker: Victim, stage: Stage) -> bool:
    """Whether a worker is at a stage."""
    return worker.up and any(step.stage is stage and not step.committed for step in worker.steps())


def counted(world: World, stage: str) -> bool:
    """Count a kill."""
    world.score.kills[stage] += 1
    return True


def kill_in_fetch(world: World) -> bool:
    """Kill a worker that has half of a video."""
    return kill_at(world, "fetch", Moment.MID_GET)


def kill_in_decode(world: World) -> bool:
    """Kill a worker that decodes."""
    return kill_seen(world, Stage.DECODE)


def kill_in_caption(world: World) -> bool:
    """Kill a worker whose pictures are with the engine."""
    return kill_seen(world, Stage.CAPTION)


def kill_in_put(world: World) -> bool:
    """Kill a worker before its commit gets anywhere, in the middle of it, or when it is done and not yet answered."""
    return kill_at(world, "put", world.dice.choice(PUT_MOMENTS))


def kill_before_ack(world: World) -> bool:
    """Kill a worker that knows of its commit, within the instants that it takes to acknowledge the message."""
    shot = Shot(world, "put to ack", delay_seconds=world.dice.uniform(0, INSTANT_SECONDS))
    if not aimed(world, shot, Moment.ANSWERED):
        return False
    if not world.jobs.is_in_flight(shard_in(shot.key), world.look()):
        counted(world, "after the ack")
        return False
    return counted(world, shot.stage)


def quiet(world: World) -> bool:
    """Let the fleet run dry until every worker sleeps; False if that takes too long."""
    return world.until(lambda: asleep(world), within_seconds=QUIET_SECONDS)


def asleep(world: World) -> bool:
    """Whether all workers are there with nothing to do, waiting at the broker for a message. What died with others may still be claimed."""
    idle = all(worker.up and not world.journal.at_work_on(worker.slot) for worker in world.workers)
    return idle and not world.patiently(world.queue.depth) and world.sleepers() >= len(world.workers)


def volley(world: World, *, freeze: bool) -> bool:
    """Send a shard to each idle worker and kill them all in the instants in which they take them, or freeze them all first."""
    world.hold_producer()
    try:
        if not quiet(world):
            return False
        tasks = [world.jobs.held() for _ in world.workers]
        if freeze:
            for worker in world.workers:
                worker.freeze()
        names = [world.jobs.send(task, world.queue) for task in tasks]
        time.sleep(FROZEN_SECONDS if freeze else world.dice.uniform(0, INSTANT_SECONDS))
        for worker, name in zip(world.workers, names, strict=True):
            strike(world, worker, name, told=not freeze and world.dice.random() < TOLD_SHARE)
        world.score.deeds["taken as they died"] += max(0, len(names) - world.patiently(world.queue.depth))
        world.score.deeds["freezes"] += len(names) if freeze else 0
        world.score.kills["claim"] += 0 if freeze else len(names)
        return True
    finally:
        world.release_producer()
