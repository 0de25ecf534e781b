"""The proof, from storage alone: every planned frame has exactly one line or a dead letter."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import attrgetter, itemgetter

from fleet.contradictions import dead_and_captioned, duplicates, strangers
from fleet.descent import Descent
from fleet.doubts import Doubts
from fleet.family import Family, families
from fleet.once import Once
from fleet.overtaken import Overtaken
from fleet.placement import Kind
from schemas.model import Model
from schemas.record import DeadLetter, Scope
from schemas.task import ShardTask
from storage import ObjectMeta
from storage.job import Job
from storage.ledger import Ledger
from storage.slices import SLICE_DIGITS
from workers.coverage import Gap

EXAMPLES = 20
"""How many findings of each kind a report spells out; all are counted."""


class AuditReport(Model):
    """What an audit found."""

    job: str
    plan_complete: bool
    """Whether the source was read to its end, and every part of the plan is there as it was sealed."""
    shards: int
    videos: int
    captioned_videos: int
    """Videos with at least one captioned frame."""
    frames: int
    dead_videos: int
    dead_frames: int
    dead_by_reason: dict[str, int]
    superseded_letters: int
    """Letters that are void: a later redrive has answered them, or a later look at the sources has planned their video again."""
    splits: int
    """Shards that were split, so that their children stand for them."""
    void_splits: int
    """Splits that came too late: the shard's lines were committed."""
    objects: int
    """Committed objects, all of which were read."""
    objects_sha256: str
    """Over key and SHA-256 of each committed object, in the order of their keys."""
    letters_sha256: str
    """The same of the dead letters."""
    uncommitted: int
    """Planned shards, children of splits and redrives without an object."""
    uncovered: int
    """Videos of committed shards that are neither captioned nor dead, wholly or in part."""
    duplicates: int
    orphans: int
    invalid: int
    findings: tuple[str, ...]
    """The first findings of each kind, in words."""

    @property
    def complete(self) -> bool:
        """Whether everything that was planned is accounted for."""
        return self.plan_complete and not self.uncommitted and not self.uncovered

    @property
    def clean(self) -> bool:
        """Whether nothing is there that should not be."""
        return not (self.duplicates or self.orphans or self.invalid)


@dataclass(slots=True)
class Tallies:
    """What has been found so far."""

    digests: "dict[Kind, hashlib._Hash]" = field(default_factory=lambda: {kind: hashlib.sha256() for kind in Kind})
    sums: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)

    def find(self, kind: str, words: str) -> None:
        """Count a finding, and keep its words while there are few of its kind."""
        self.sums[kind] += 1
        if self.sums[kind] <= EXAMPLES:
            self.words.append(f"{kind}: {words}")

    def digest(self, kind: Kind, key: str, sha256: str) -> None:
        """Take an object's content into the sum over all of its kind."""
        self.digests[kind].update(f"{key} {sha256}\n".encode())


def audit(job: Job) -> AuditReport:
    """Read all that lies under a job and hold it against the plan, in memory for one prefix of it."""
    ledger = job.ledger()
    complete, seals, totals = ledger.complete(), ledger.seals(), ledger.totals()  # of one moment, whatever is planned while lines are read
    whole = complete is not None and complete.parts == seals
    tallies = read_all(job, ledger)
    if complete is not None and not whole:
        tallies.words.append("plan: its parts are not those that complete.json sealed")
    return AuditReport(
        job=job.url,
        plan_complete=whole,
        shards=totals.shards,
        videos=totals.videos,
        dead_by_reason=dict(tallies.reasons.most_common()),
        findings=tuple(tallies.words),
        objects_sha256=tallies.digests[Kind.CAPTIONS].hexdigest(),
        letters_sha256=tallies.digests[Kind.DEAD].hexdigest(),
        **{name: tallies.sums[name] for name in COUNTED},
    )


COUNTED = (
    "captioned_videos",
    "frames",
    "dead_videos",
    "dead_frames",
    "superseded_letters",
    "splits",
    "void_splits",
    "objects",
    "uncommitted",
    "uncovered",
    "duplicates",
    "orphans",
    "invalid",
)


def read_all(job: Job, ledger: Ledger, *, gap: Callable[[ShardTask], None] = lambda _: None) -> Tallies:
    """Go through all families of a job beside its plan, both in the order of shards; committed shards with gaps are handed to `gap`."""
    tallies, strange = Tallies(), list[str]()

    def stray(meta: ObjectMeta) -> None:
        tallies.find("orphans", f"{meta.key} lies where the fleet puts no object of this job: see what it is, and remove it")

    def uncovered(task: ShardTask, gaps: list[Gap]) -> None:
        for one in gaps:
            tallies.find("uncovered", f"{one.video.uri} of shard {task.shard_id}: {frames_of(one)} neither captioned nor dead")
        gap(task)

    with closing(Once(EXAMPLES)) as once, Overtaken(ledger) as overtaken, closing(Doubts(job, uncovered)) as doubts:
        overtaken.read()  # while memory holds nothing else
        for family, task in beside(families(job, stray=stray), planned_once(ledger)):
            if family is not None:
                whole = doubts.reread(family, task)
                count_objects(tallies, whole)
                once.count(whole)
                if task is None:
                    strange.append(family.root)
                else:
                    count_family(tallies, whole, task)
                    count_letters(
                        tallies, whole, {key: letter for key, letter in whole.live_letters().items() if not overtaken.has(letter)}
                    )
            if task is not None and (family is None or task.shard_id not in family.committed):
                tallies.find("uncommitted", f"shard {task.shard_id} has no object")
        for words in once.findings(ledger):
            tallies.find("duplicates", words)
    for root in unplanned(strange, job.ledger()):
        tallies.find("orphans", f"shard {root} is not in the plan")
    return tallies


def unplanned(roots: Iterable[str], ledger: Ledger) -> Iterator[str]:
    """Which of these shards, given in their order, a plan does not hold: a newer one may have some that a producer has added meanwhile."""
    for prefix, some in groupby(roots, key=lambda root: root[:SLICE_DIGITS]):
        planned = {task.shard_id for task in ledger.planned(prefix)}
        yield from (root for root in some if root not in planned)


def planned_once(ledger: Ledger) -> Iterator[ShardTask]:
    """Every planned shard, in the order of their ids."""
    planned = (task for prefix in ledger.prefixes() for task in ledger.planned(prefix))
    return (next(same) for _, same in groupby(planned, key=attrgetter("shard_id")))


def beside(found: Iterable[Family], planned: Iterable[ShardTask]) -> Iterator[tuple[Family | None, ShardTask | None]]:
    """Pair families with their planned shards; both come in the order of shards, and either may lack its other."""
    named = merge(((family.root, family) for family in found), ((task.shard_id, task) for task in planned), key=itemgetter(0))
    for _, group in groupby(named, key=itemgetter(0)):
        both = [one for _, one in group]
        yield next((one for one in both if isinstance(one, Family)), None), next((one for one in both if isinstance(one, ShardTask)), None)


def count_letters(tallies: Tallies, family: Family, live: dict[str, DeadLetter]) -> None:
    """Count which of a family's letters stand."""
    tallies.sums["dead_videos"] += sum(letter.scope is Scope.VIDEO for letter in live.values())
    tallies.sums["dead_frames"] += sum(letter.scope is Scope.FRAME for letter in live.values())
    tallies.sums["superseded_letters"] += len(family.letters) - len(live)
    tallies.reasons.update(letter.reason.value for letter in live.values())


def count_family(tallies: Tallies, family: Family, task: ShardTask) -> None:
    """Count what one family holds, and find what is wrong with it."""
    tallies.sums["frames"] += len(family.lines)
    tallies.sums["captioned_videos"] += len({record.video.uri for _, record in family.lines})
    tallies.sums["splits"] += len(family.standing_splits())
    tallies.sums["void_splits"] += len(family.void_splits())
    hold_against_itself(tallies, family, task)
    for words in Descent(family, task).lacking():
        tallies.find("uncommitted", words)


def count_objects(tallies: Tallies, family: Family) -> None:
    """Sum up the objects that were read, whatever is in them."""
    tallies.sums["objects"] += len(family.sums[Kind.CAPTIONS])
    for kind, sums in family.sums.items():
        for key, sha256 in sums:
            tallies.digest(kind, key, sha256)


def hold_against_itself(tallies: Tallies, family: Family, task: ShardTask) -> None:
    """Find what is there twice, or wrong, or for no reason."""
    descent = Descent(family, task)
    for words in duplicates(family):
        tallies.find("duplicates", words)
    for words in family.invalid + strangers(family, task) + dead_and_captioned(family) + descent.invalid():
        tallies.find("invalid", words)
    for words in descent.orphans():
        tallies.find("orphans", words)


def frames_of(gap: Gap) -> str:
    """Say which part of a video is missing."""
    return "the video is" if gap.frames is None else f"{len(gap.frames)} of its frames are"
