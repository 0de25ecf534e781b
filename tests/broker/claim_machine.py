"""Everything that may happen to a few shards, in any order: a state machine whose rules Hypothesis plays."""

import sys
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from puppets_on_strings import Luck
from referee import judge
from small_world import FRAMES, Actor, Claim, Operator, Reconciler, Worker, World

from broker.scripts import INDEX
from fleet.reconcile import open_work
from workers.blame import blame, give_back

LONG_AGO = 1000.0
MOST_ACTORS = 5
MOST_ROUNDS = 80
"""How many claims a world may need to come to rest."""
LUCKS = {
    "decode": (Luck.GOOD, Luck.BROKEN, Luck.CUT, Luck.BLURRED, Luck.BUSY),
    "create": (Luck.GOOD, Luck.UNAVAILABLE, Luck.UNHEARD),
    "list": (Luck.GOOD, Luck.UNAVAILABLE),
    "look": (Luck.GOOD, Luck.UNAVAILABLE),
}
"""What may happen at each kind of step; whatever else is thrown is good luck."""
dice = st.lists(st.integers(0, 7), max_size=12)
number = st.integers(0, MOST_ACTORS - 1)


class ClaimMachine(RuleBasedStateMachine):
    """Plays a world. Who is at work stands still unless a rule says otherwise: all are frozen, all the time."""

    def __init__(self, new_world: Callable[[], World]) -> None:
        super().__init__()
        self.world = new_world()
        self.actors: list[Actor] = []
        self.hired = 0
        self.snapshot: dict[bytes, bytes] = {}

    def busy(self) -> bool:
        return bool(self.actors)

    def roomy(self) -> bool:
        return len(self.actors) < MOST_ACTORS

    @initialize()
    def begins(self) -> None:
        self.world.feed()

    # Workers

    @precondition(roomy)
    @rule(dice=dice)
    def worker_claims(self, dice: list[int]) -> None:
        self._hire(dice)

    @precondition(busy)
    @rule(number=number, dice=dice)
    def goes_on(self, number: int, dice: list[int]) -> None:
        self._play(self._pick(number), dice)

    @rule(number=number, dice=dice)
    def somebody_works(self, number: int, dice: list[int]) -> None:
        """Work makes up a good part of all that happens."""
        if number < len(self.actors):
            self._play(self.actors[number], dice)
        else:
            self._hire(dice)

    @precondition(busy)
    @rule(number=number)
    def vanishes(self, number: int) -> None:
        self._end(self._pick(number))

    @precondition(busy)
    @rule(number=number, times=st.integers(1, 3))
    def is_seen_to_crash(self, number: int, times: int) -> None:
        """Its supervisor blames the shard and gives it back; the next who takes it may crash as well."""
        actor: Actor | None = self._pick(number)
        for _ in range(times):
            if isinstance(actor, Worker):
                self.crash(actor)
                actor = self._hire([0, 0])

    def crash(self, worker: Worker) -> None:
        """Its supervisor sees it die."""
        self._end(worker)
        self.world.crashes[worker.notes.step.shard_id] += 1
        self.world.seen["crashed"] += 1
        blame(self.world.app, [worker.notes.step], how="SIGSEGV")
        give_back(self.world.app, [worker.notes.step])

    @precondition(busy)
    @rule(number=number)
    def is_drained(self, number: int) -> None:
        actor = self._pick(number)
        if isinstance(actor, Worker):
            self._end(actor)
            self.world.trials.refund(actor.claim.task.shard_id, tag=actor.claim.tag)
            self.world.give_back(actor.claim)

    @precondition(busy)
    @rule()
    def leases_are_renewed(self) -> None:
        for actor in self.actors:
            if isinstance(actor, Worker):
                actor.notes.lost = not self.world.renew(actor.claim)

    @precondition(busy)
    @rule(number=number, successor=dice, zombie=dice)
    def is_overtaken(self, number: int, successor: list[int], zombie: list[int]) -> None:
        """Its claim runs out, somebody else takes the shard, and then it wakes and goes on."""
        actor = self._pick(number)
        if isinstance(actor, Worker):
            self.world.redis.zadd(INDEX, {actor.claim.tag: LONG_AGO}, xx=True)
            self._hire(successor)
            self._play(actor, zombie)

    # Those who look after them, and what they rely on

    @precondition(roomy)
    @rule(who=st.sampled_from([Operator, Reconciler]), dice=dice)
    def somebody_comes(self, who: type[Actor], dice: list[int]) -> None:
        self._begin(who(self.world), dice)

    @rule(number=st.integers(0, 6))
    def accident(self, number: int) -> None:
        accidents = (self._sweep, self._claim_in_vain, self._age, self.world.feed, self._remember, self._roll_back, self._forget)
        accidents[number]()

    @invariant()
    def nothing_forbidden_has_happened(self) -> None:
        self.world.referee.look()

    # The end

    def teardown(self) -> None:
        """Let everything come to rest, unless something has gone wrong already; leave no thread behind."""
        try:
            if sys.exc_info()[0] is None:
                self._come_to_rest()
        finally:
            for actor in self.actors:
                actor.puppet.kill()

    def _come_to_rest(self) -> None:
        world = self.world
        self._drain()  # with zombies standing around
        if not world.referee.forgetful:
            world.seen["the queue alone led to the end"] += 1
            left = [task.shard_id for task in world.planned if not world.finished(task)]
            assert not left, f"the queue is empty, and {left} not done"
        for actor in self.actors:
            actor.puppet.finish()
        self._drain()
        while next(open_work(world.job), None) is not None:
            Reconciler(world).puppet.finish()
            self._drain()
        world.referee.look()
        source = world.handmade.source.url
        judge(world.job, {f"{source}/{name}": count for name, count in FRAMES.items()})

    def _drain(self) -> None:
        """Honest workers work until nothing waits or is claimed."""
        while True:
            self._age()
            claim = self.world.take()
            if claim is None:
                return
            self._named(claim).puppet.finish()

    # Accidents

    def _claim_in_vain(self) -> None:
        """Whoever claims never hears of it."""
        self.world.take()

    def _age(self) -> None:
        """All claims run out."""
        for tag in self.world.redis.zrange(INDEX, 0, -1):
            self.world.redis.zadd(INDEX, {tag: LONG_AGO})

    def _sweep(self) -> None:
        self.world.redis.execute_command(*self.world.claims.sweep())

    def _remember(self) -> None:
        self.snapshot = {key: self.world.redis.dump(key) for key in self.world.redis.keys("*")}

    def _roll_back(self) -> None:
        """Redis comes back with what it knew a while ago."""
        self._forget()
        for key, body in self.snapshot.items():
            self.world.redis.restore(key, 0, body)

    def _forget(self) -> None:
        self.world.redis.flushall()
        self.world.referee.forgetful = True

    # Strings

    def _pick(self, number: int) -> Actor:
        return self.actors[number % len(self.actors)]

    def _hire(self, dice: list[int]) -> Worker | None:
        claim = self.world.take() if self.roomy() else None
        if claim is None:
            return None
        worker = self._named(claim)
        self._begin(worker, dice)
        return worker

    def _named(self, claim: Claim) -> Worker:
        self.hired += 1
        assert self.hired < MOST_ROUNDS, "it does not come to rest"
        return Worker(self.world, claim, f"worker:{self.hired}")

    def _begin(self, actor: Actor, dice: list[int]) -> None:
        self.actors.append(actor)
        self._play(actor, dice)

    def _play(self, actor: Actor, dice: list[int]) -> None:
        """Let somebody take as many steps as there are dice, each with the luck thrown."""
        for thrown in dice:
            if not actor.puppet.over:
                kind = actor.puppet.about_to.split()[0]
                luck = dict(enumerate(LUCKS.get(kind, ()))).get(thrown, Luck.GOOD)
                self.world.seen[f"{luck.value} before {kind}"] += 1
                actor.puppet.go(luck)
        if actor.puppet.over:
            self.actors.remove(actor)

    def _end(self, actor: Actor) -> None:
        """It is gone from one moment to the next."""
        self.world.seen[f"gone before {actor.puppet.about_to.split()[0]}"] += 1
        actor.puppet.kill()
        self.actors.remove(actor)
