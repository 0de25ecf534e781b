"""Everything that is done to the fleet but aimed deaths: zombies, lost and emptied brokers, storms, drains, copies and dead producers."""

import time
from collections.abc import Callable
from functools import partial

from broker import QUEUE
from broker.queues import redis_of
from fleet.torture import kills
from fleet.torture.setup import GRACE_SECONDS
from fleet.torture.victims import Victim
from fleet.torture.world import World

Nemesis = Callable[[World], bool]
"""Does something to the fleet; returns False if its moment did not come."""

STORM_RATE, STORM_SECONDS = 0.2, 20.0
ZOMBIE_SECONDS = (15.0, 18.0)
"""Longer than a claim lives."""
AWAY_SECONDS = (0.2, 1.5)
"""How long Redis is away when it was killed."""
GROWN_UP_SECONDS = 4.0
"""How long a worker has run before it is asked to leave."""
SOON_SECONDS = 10.0

TWICE = """
local count = 0
for _, job in ipairs(redis.call('ZRANGE', KEYS[1] .. ':turns', 0, -1)) do
  local list = KEYS[1] .. ':job:' .. job
  local messages = redis.call('LRANGE', list, 0, -1)
  redis.call('DEL', list)
  for _, message in ipairs(messages) do
    redis.call('RPUSH', list, message, message)
    redis.call('LPUSH', KEYS[1], 'turn')
  end
  count = count + #messages
end
return count
"""
"""Puts a copy of each waiting message beside it, past all that would prevent that, so that two workers take them up together."""


def zombie(world: World) -> bool:
    """Freeze a worker in its work until its claims are others', then let it go on as if nothing had been."""
    if (worker := busy(world)) is None:
        return False
    worker.freeze()
    world.score.deeds["zombies"] += 1
    incarnation = worker.starts
    world.later(world.dice.uniform(*ZOMBIE_SECONDS), lambda: worker.thaw() if worker.starts == incarnation else None)
    return True


def busy(world: World) -> Victim | None:
    """A worker that has something to do, and has been up for a while; None if there is none for some time."""

    def found() -> Victim | None:
        old = [worker for worker in world.up() if time.monotonic() - worker.started_at > GROWN_UP_SECONDS]
        return next((worker for worker in old if world.journal.at_work_on(worker.slot)), None)

    world.until(found, within_seconds=SOON_SECONDS)
    return found()


def kill_redis(world: World) -> bool:
    """Kill the broker; it comes back with what it had written down."""
    world.redis.kill()
    time.sleep(world.dice.uniform(*AWAY_SECONDS))
    world.redis.start()
    world.score.deeds["redis kills"] += 1
    return True


def flush(world: World) -> bool:
    """Have the broker forget everything, and reconcile: what was lost before that is counted first."""
    world.take_census()
    with redis_of(world.app) as redis:
        redis.execute_command("FLUSHALL")
    world.score.deeds["flushes"] += 1
    world.reconcile()
    return True


def storm(world: World) -> bool:
    """Have the store fail in every way for a while; whatever else happens goes on."""
    world.faults.rate = STORM_RATE
    world.score.deeds["storms"] += 1
    world.later(STORM_SECONDS, partial(setattr, world.faults, "rate", 0.0))
    return True


def drain(world: World) -> bool:
    """Tell a worker at work to end, and see that it does so in time."""
    if (worker := busy(world)) is None:
        return False
    worker.ask_to_leave()
    world.score.deeds["drains"] += 1
    see_out(world, worker, asked_at=time.monotonic(), incarnation=worker.starts)
    return True


def see_out(world: World, worker: Victim, *, asked_at: float, incarnation: int) -> None:
    """Note how a worker ends that was asked to; look again until it has, and end it when its time is over."""
    if worker.starts != incarnation:
        return
    took = time.monotonic() - asked_at
    if not worker.alive:
        world.score.drains.append(took)
        world.score.drained_badly += worker.status != 0
    elif took <= GRACE_SECONDS:
        world.later(0.0, lambda: see_out(world, worker, asked_at=asked_at, incarnation=incarnation))
    else:
        world.score.drained_badly += 1
        worker.kill()


def twice(world: World) -> bool:
    """Deliver every waiting message twice."""
    if not world.until(lambda: world.patiently(world.queue.depth), within_seconds=SOON_SECONDS):
        return False
    with redis_of(world.app) as redis:
        copies = int(redis.execute_command("EVAL", TWICE, 1, QUEUE))
    world.score.deeds["copies"] += copies
    return copies > 0


def kill_producer(world: World) -> bool:
    """Kill the producer in whatever it does; the same command is run again."""
    if not world.until(lambda: world.producer.alive, within_seconds=SOON_SECONDS):
        return False
    world.take_census()
    world.producer.kill()
    world.score.deeds["producer kills"] += 1
    return True


def kill_claims(world: World) -> bool:
    """Kill idle workers that are just being sent shards."""
    return kills.volley(world, freeze=False)


def freeze_claims(world: World) -> bool:
    """Freeze idle workers, send them shards, and kill them."""
    return kills.volley(world, freeze=True)
