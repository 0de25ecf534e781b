"""How far a job is, from storage and, if there is one, from its broker."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from broker.app import App
from broker.breaker import Breaker, BreakerState
from broker.progress import Progress, faults
from broker.queues import ShardQueue
from broker.vitals import Vitals, all_vitals
from fleet.deadletters import Choice, live_letters
from fleet.efficiency import Efficiency, efficiency_of
from fleet.overtaken import Overtaken
from schemas.control import Control
from schemas.model import Model
from schemas.record import DeadLetter
from schemas.task import root_of
from storage.control import read_control
from storage.job import Job
from storage.ledger import Ledger

SHARDS_LOOKED_AT = 100_000
"""How many shards are looked at for a status: more would make an operator wait."""
LETTERS_LOOKED_AT = 5_000
"""The same of dead letters, each of which is read."""
LATER_VIDEOS_LOOKED_AT = 200_000
"""The same of videos that later looks have planned: if there are more, letters stand that these looks have made void."""


class WorkerStatus(Model):
    """How one worker is."""

    vitals: Vitals
    efficiency: Efficiency


class BrokerStatus(Model):
    """What the broker says of a job; a hint."""

    waiting: int
    """Shards in the queue, of all jobs."""
    in_work: int
    frames: int
    """Frames captioned since the broker started."""
    videos: int
    bytes_read: int
    """Bytes that storage sent of these videos."""
    requests: int
    object_bytes: int
    """How large these videos are."""
    faults: tuple[str, ...]
    """Why workers left or put shards back, the latest first."""
    workers: tuple[WorkerStatus, ...] = ()
    """The broker's workers, whatever job they are at."""
    together: Efficiency | None = None
    """The workers in sum; None if there is none."""
    breaker: BreakerState | None = None
    """Why no work is handed out but a probe now and then; None while the breaker is closed."""


class JobStatus(Model):
    """How far a job is."""

    job: str
    source: str
    recipe: str
    recipe_id: str
    control: Control
    """The operator's last word: whether the job is worked, who said so, when and why."""
    plan_complete: bool
    skipped: dict[str, int]
    """Objects of the source that are no part of the job, by cause."""
    shards: int
    videos: int
    looked_at: float = 1.0
    """The share of the shards that the figures below were counted on: they are scaled up if it is less than one."""
    committed_shards: int
    committed_videos: int
    """Videos of committed shards, captioned or dead."""
    dead_by_reason: dict[str, int]
    broker: BrokerStatus | None = None


def status_of(job: Job, app: App | None, *, exact: bool = False) -> JobStatus:
    """Sum up a job without reading its lines; a large one by a share of it, unless it is to be exact."""
    spec, ledger = job.latest_spec(), job.ledger()
    totals, prefixes = ledger.totals(), ledger.prefixes()
    looked = prefixes if exact else prefixes[:: max(1, -(-totals.shards // SHARDS_LOOKED_AT))]
    done = Done()
    with Overtaken(ledger, most=inf if exact else LATER_VIDEOS_LOOKED_AT) as overtaken:
        for prefix in looked:
            done.count(job, ledger, prefix)
            if done.dead.total() < (inf if exact else LETTERS_LOOKED_AT):
                done.count_letters(live_letters(job, Choice(), prefix=prefix, overtaken=overtaken))
    share = len(looked) / len(prefixes)
    complete = ledger.complete()
    return JobStatus(
        job=job.url,
        source=spec.source,
        recipe=spec.recipe.name,
        recipe_id=spec.recipe_id,
        control=read_control(job),
        plan_complete=complete is not None,
        skipped=complete.skipped if complete else dict(totals.skipped),
        shards=totals.shards,
        videos=totals.videos,
        looked_at=share,
        committed_shards=round(done.shards / share),
        committed_videos=round(done.videos / share),
        dead_by_reason={
            reason: round(count * done.prefixes / done.prefixes_of_letters / share) for reason, count in done.dead.most_common()
        },
        broker=None if app is None else broker_status(job, app),
    )


@dataclass(slots=True)
class Done:
    """What is done of the prefixes that were looked at."""

    shards: int = 0
    videos: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    prefixes: int = 0
    prefixes_of_letters: int = 0

    def count(self, job: Job, ledger: Ledger, prefix: str) -> None:
        """Look at what is committed of one prefix."""
        self.prefixes += 1
        committed = {root_of(shard) for shard, _ in job.committed(prefix)}
        self.shards += len(committed)
        if committed:
            self.videos += sum(len(task.videos) for task in ledger.planned(prefix) if task.shard_id in committed)

    def count_letters(self, letters: Iterable[tuple[str, DeadLetter]]) -> None:
        """Look at the letters of one prefix."""
        self.prefixes_of_letters += 1
        self.dead.update(letter.reason.value for _, letter in letters)


def broker_status(job: Job, app: App) -> BrokerStatus:
    """Ask the broker."""
    queue = ShardQueue(app)
    waiting = queue.depth()
    tally = Progress(app, job.url).tally()
    workers = all_vitals(app)
    return BrokerStatus(
        waiting=waiting,
        in_work=max(0, len(queue.in_flight()) - waiting),
        frames=tally.frames,
        videos=tally.videos,
        bytes_read=tally.bytes_read,
        requests=tally.requests,
        object_bytes=tally.object_bytes,
        faults=tuple(faults(app)),
        workers=tuple(WorkerStatus(vitals=one, efficiency=efficiency_of([one])) for one in workers),
        together=efficiency_of(workers) if workers else None,
        breaker=Breaker(app).state(),
    )
