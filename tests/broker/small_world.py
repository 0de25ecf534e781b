"""A small job, its real queue and its real rules: what workers, operators and a reconciler do to it, step by step."""

import base64
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from builders import ANNOTATION, AT, USAGE, HandmadeJob
from puppets_on_strings import Luck, Puppet, SteppedStore
from referee import Referee

from broker import QUEUE
from broker.acks import once_of
from broker.app import App
from broker.claims import Claims
from broker.queues import ShardQueue
from broker.trial_scripts import CRASHES_OF_THE_GUILTY, WORKERS_OF_THE_GUILTY
from broker.trials import Trial, Trials
from fleet.deadletters import Choice, redrives
from fleet.reconcile import reconcile
from fleet.stop import Stop
from producer.enqueue import send
from schemas.errors import ClaimLostError, PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.recipe import Recipe
from schemas.record import Attempt
from schemas.task import ShardTask
from storage import StoreUnavailable
from storage.job import Job
from storage.memory import MemoryStore
from workers.blackbox import Step
from workers.descendants import remainder
from workers.keyframe import DeadFrame, Keyframe, Picture
from workers.ladder import Caption
from workers.media import ByteSource
from workers.media.costs import ReadCosts
from workers.pipeline import ShardRun
from workers.poison import condemn
from workers.watch import Watch

FRAMES = {"a": 1, "b": 2, "c": 3, "d": 2, "e": 1}
SHARDS = ("abc", "de")
BROKEN = PermanentError(Reason.CORRUPT, Stage.DECODE, "broken")


@dataclass(frozen=True)
class Claim:
    """A message that was taken."""

    tag: str
    once: str
    task: ShardTask

    @classmethod
    def of(cls, reply: list[bytes]) -> "Claim":
        message = json.loads(reply[2])
        [words], _, _ = json.loads(base64.b64decode(message["body"]))
        return cls(reply[1].decode(), once_of(message), ShardTask.model_validate(words))


@dataclass
class World:
    """The job in storage, the queue in Redis, and a referee who sees every move."""

    app: App
    redis: Any
    claims: Claims = field(default_factory=Claims)
    store: type[MemoryStore] = MemoryStore
    acks_first: bool = False
    watches: bool = True
    """Whether storage is watched while things happen, and not only read in the end."""
    seen: Counter[str] = field(default_factory=Counter)
    """What has happened, in all the worlds that share this."""

    crashes: Counter[str] = field(default_factory=Counter)
    """How often a supervisor blamed each shard."""

    def __post_init__(self) -> None:
        self.redis.flushall()
        lies, films = self.store("machine", prefix="job"), MemoryStore("machine-films")
        lies._objects.clear()
        films._objects.clear()
        self.handmade = HandmadeJob(source=films, job=Job(lies))
        self.job, self.spec = self.handmade.job, self.handmade.spec
        self.planned = [self.handmade.shard(*names) for names in SHARDS]
        self.handmade.complete()
        self.queue, self.trials = ShardQueue(self.app), Trials(self.app, self.job.url)
        self.referee = Referee(self.redis, lies._objects if self.watches else {})

    def feed(self) -> None:
        """Queue the plan, as the producer does."""
        send(self.planned, job=self.job, queue=self.queue, stopped=lambda: False)

    def take(self) -> Claim | None:
        """Claim the next message; what ran out is swept first."""
        reply = self.redis.execute_command(*self.claims.take([QUEUE]))
        if not reply:
            return None
        claim = Claim.of(reply)
        self.referee.hand_out(claim.tag)
        return claim

    def finished(self, task: ShardTask) -> bool:
        """Whether a shard is committed and leaves nothing open."""
        return self.job.is_committed(task.shard_id, self.spec) and not remainder(self.job, task)

    def end(self, claim: Claim) -> None:
        """Acknowledge."""
        ended = self.referee.fenced(claim.tag, self.claims.end(claim.tag, once=claim.once))
        self.seen["acknowledged" if ended else "a zombie acknowledged"] += 1
        if ended:
            self.referee.nothing_lost(self.job, self.spec, claim.task, self.queue.in_flight())

    def give_back(self, claim: Claim) -> None:
        """Put the message behind the others."""
        if not self.referee.fenced(claim.tag, self.claims.give_back(claim.tag, as_the="last")):
            self.seen["a zombie gave back"] += 1

    def renew(self, claim: Claim) -> bool:
        """Keep a claim alive; False if it is another's."""
        return not self.referee.fenced(claim.tag, self.claims.renew([claim.tag]))


class Actor:
    """Somebody who does something to the world, on strings."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.puppet = Puppet(self._play)

    def act(self, job: Job, puppet: Puppet) -> None:
        raise NotImplementedError

    def _play(self, puppet: Puppet) -> None:
        try:
            self.act(Job(SteppedStore(self.world.job.store, puppet)), puppet)
        except StoreUnavailable:
            self.world.seen["a command met a storage that was away"] += 1

    def send(self, tasks: list[ShardTask], puppet: Puppet) -> None:
        queue = SteppedQueue(self.world.queue, puppet)
        for task in tasks:
            queue.send(task)


class SteppedQueue:
    """A queue at which each look and each message is a step."""

    def __init__(self, queue: ShardQueue, puppet: Puppet) -> None:
        self.depth, self.jobs, self.used_bytes, self.limit_bytes = queue.depth, queue.jobs, queue.used_bytes, queue.limit_bytes
        self._queue, self._puppet = queue, puppet

    def in_flight(self) -> frozenset[str]:
        self._puppet.step("ask what is in flight")
        return self._queue.in_flight()

    def send(self, task: ShardTask) -> None:
        self._puppet.step(f"send {task.shard_id}")
        self._queue.send(task)

    def send_all(self, tasks: Sequence[ShardTask], *, weight: float | None = None) -> int:
        self._puppet.step(f"send {len(tasks)} shards")
        return self._queue.send_all(tasks, weight=weight)


class Reconciler(Actor):
    """Queues what storage lacks."""

    def act(self, job: Job, puppet: Puppet) -> None:
        reconcile(job, SteppedQueue(self.world.queue, puppet), stop=Stop(), say=lambda _: None)


class Operator(Actor):
    """Redrives whatever is dead."""

    def act(self, job: Job, puppet: Puppet) -> None:
        for task in redrives(job, Choice()):
            job.ask_redrive(task)
            self.world.seen["redriven"] += 1
            self.send([task], puppet)


class Worker(Actor):
    """Works one shard, in the order of `workers.tasks`."""

    def __init__(self, world: World, claim: Claim, name: str) -> None:
        self.claim, self.name = claim, name
        self.notes = Notes(self)
        super().__init__(world)

    def act(self, job: Job, puppet: Puppet) -> None:
        try:
            self._work(job, puppet)
        except ClaimLostError:
            self.world.seen["a zombie noticed"] += 1
        except (TransientError, StoreUnavailable):
            puppet.step("give back")
            self.world.trials.put_back(self.claim.task.shard_id, tag=self.claim.tag)
            self.world.give_back(self.claim)

    def _work(self, job: Job, puppet: Puppet) -> None:
        task, world = self.claim.task, self.world
        if world.acks_first:
            world.end(self.claim)
        trial = self.notes.trial = world.trials.begin(task.shard_id, tag=self.claim.tag, worker=self.name)
        attempt = Attempt(number=trial.attempts, worker=self.name, at=AT)
        run = ShardRun(task, job, world.spec, SteppedRoom(puppet), attempt, lambda _: None, self.notes)  # type: ignore[arg-type]
        assert trial.crashes <= world.crashes[task.shard_id], f"{task.shard_id} is charged with crashes of others"
        if trial.guilty:
            assert trial.crashes >= CRASHES_OF_THE_GUILTY or trial.expiries >= WORKERS_OF_THE_GUILTY
            world.seen["split" if len(task.videos) > 1 else "ended"] += 1
        self.send(condemn(run, trial) if trial.guilty else run.run(), puppet)
        puppet.step("settle")
        world.trials.settled(task.shard_id)
        puppet.step("end")
        world.end(self.claim)


class Notes(Watch):
    """What a worker would leave in its black box."""

    def __init__(self, worker: Worker) -> None:
        self.trial = Trial(attempts=1)
        self.lost = False
        self._worker = worker
        claim = worker.claim
        self.step = Step(job=claim.task.job, shard_id=claim.task.shard_id, tag=claim.tag)

    @property
    def serial(self) -> bool:  # type: ignore[override]
        return self.trial.suspect

    def check(self) -> None:
        if self.lost:
            raise ClaimLostError("Another worker has it.")

    def at(self, stage: Stage, place: int | None = None) -> None:
        self.step = self.step.model_copy(update={"stage": stage, "place": place})
        if self.serial and place is not None:
            self._worker.world.trials.mark(self.step.shard_id, tag=self.step.tag, place=place, stage=stage)

    def committed(self) -> None:
        self.step = self.step.model_copy(update={"committed": True})


@dataclass
class SteppedRoom:
    """Decodes a video in one step, which may go wrong; its engine answers at once."""

    puppet: Puppet
    versions: dict[str, str] = field(default_factory=dict)
    read_costs: ReadCosts = field(default_factory=ReadCosts)

    def turn(self) -> int:
        return 0

    def keyframes(
        self, source: ByteSource, _recipe: Recipe, *, only_frames: frozenset[int] | None, **_changes: Any
    ) -> Iterator[Keyframe | DeadFrame]:
        name = source.read(start=0, end=source.size_bytes).decode()
        luck = self.puppet.step(f"decode {name}")
        if luck is Luck.BUSY:
            raise TransientError("Try again.")
        for index in range(FRAMES[name]):
            if luck is Luck.BROKEN or (luck is Luck.CUT and index):
                raise BROKEN
            if only_frames is None or index in only_frames:
                yield self._frame(index, FRAMES[name], blurred=luck is Luck.BLURRED and index == FRAMES[name] - 1)

    def _frame(self, index: int, of: int, *, blurred: bool) -> Keyframe | DeadFrame:
        if blurred:
            return DeadFrame(index, of, float(index), BROKEN)
        return Keyframe(index, of, 0, index * 1000, float(index), None, 640, 360, Picture(b"rgb", 1, 1), 0.01)

    def caption(self, _picture: Picture, _recipe: Recipe, **_changes: Any) -> "Future[Caption]":
        future: Future[Caption] = Future()
        future.set_result(Caption(ANNOTATION, USAGE, 0.1))
        return future
