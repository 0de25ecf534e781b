"""The proof, from storage alone: every planned frame has exactly one line or a dead letter."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from fleet.contradictions import dead_and_captioned, duplicates, strangers
from fleet.descent import Descent
from fleet.family import Family, families
from fleet.placement import Kind
from schemas.model import Model
from schemas.record import Scope
from schemas.task import ShardTask
from storage import ObjectMeta
from storage.job import Job
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
    """Letters that are void: a later redrive has answered them."""
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
    captioned: dict[str, str] = field(default_factory=dict)
    """The planned shard whose family has lines of a video, by its URI."""
    sums: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)
    incomplete: list[ShardTask] = field(default_factory=list)
    """Committed shards with gaps, for who wants to heal them."""

    def find(self, kind: str, words: str) -> None:
        """Count a finding, and keep its words while there are few of its kind."""
        self.sums[kind] += 1
        if self.sums[kind] <= EXAMPLES:
            self.words.append(f"{kind}: {words}")

    def digest(self, kind: Kind, key: str, sha256: str) -> None:
        """Take an object's content into the sum over all of its kind."""
        self.digests[kind].update(f"{key} {sha256}\n".encode())


def audit(job: Job) -> AuditReport:
    """Read all that lies under a job and hold it against the plan."""
    planned = plan_of(job)
    tallies = read_all(job, planned)
    complete = job.plan_complete()
    whole = complete is not None and complete.parts == tuple(job.seals())
    if complete is not None and not whole:
        tallies.words.append("plan: its parts are not those that complete.json sealed")
    return AuditReport(
        job=job.url,
        plan_complete=whole,
        shards=len(planned),
        videos=sum(len(task.videos) for task in planned.values()),
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


def plan_of(job: Job) -> dict[str, ShardTask]:
    """Every planned shard by its id."""
    return {task.shard_id: task for part in job.plan_parts() for task in part.shards}


def read_all(job: Job, planned: dict[str, ShardTask]) -> Tallies:
    """Go through all families of a job."""
    tallies, seen = Tallies(), set[str]()

    def stray(meta: ObjectMeta) -> None:
        tallies.find("orphans", f"{meta.key} lies where the fleet puts no object of this job: see what it is, and remove it")

    for family in families(job, stray=stray):
        count_objects(tallies, family)
        task = planned.get(family.root)
        if task is None:
            tallies.find("orphans", f"shard {family.root} is not in the plan")
            continue
        if family.root in family.committed:
            seen.add(family.root)
        count_family(tallies, family, task)
    for root in planned.keys() - seen:
        tallies.find("uncommitted", f"shard {root} has no object")
    return tallies


def count_family(tallies: Tallies, family: Family, task: ShardTask) -> None:
    """Count what one family holds and lacks."""
    live = family.live_letters()
    tallies.sums["frames"] += len(family.lines)
    tallies.sums["captioned_videos"] += len({record.video.uri for _, record in family.lines})
    tallies.sums["dead_videos"] += sum(letter.scope is Scope.VIDEO for letter in live.values())
    tallies.sums["dead_frames"] += sum(letter.scope is Scope.FRAME for letter in live.values())
    tallies.sums["superseded_letters"] += len(family.letters) - len(live)
    tallies.reasons.update(letter.reason.value for letter in live.values())
    tallies.sums["splits"] += len(family.standing_splits())
    tallies.sums["void_splits"] += len(family.void_splits())
    hold_against_itself(tallies, family, task)
    hold_against_plan(tallies, family, task)


def count_objects(tallies: Tallies, family: Family) -> None:
    """Sum up the objects that were read, whatever is in them."""
    tallies.sums["objects"] += len(family.sums[Kind.CAPTIONS])
    for kind, sums in family.sums.items():
        for key, sha256 in sums:
            tallies.digest(kind, key, sha256)


def hold_against_itself(tallies: Tallies, family: Family, task: ShardTask) -> None:
    """Find what is there twice, or wrong, or for no reason."""
    descent = Descent(family, task)
    for words in duplicates(family) + elsewhere(tallies, family):
        tallies.find("duplicates", words)
    for words in family.invalid + strangers(family, task) + dead_and_captioned(family) + descent.invalid():
        tallies.find("invalid", words)
    for words in descent.orphans():
        tallies.find("orphans", words)


def hold_against_plan(tallies: Tallies, family: Family, task: ShardTask) -> None:
    """Find what is missing."""
    for words in Descent(family, task).lacking():
        tallies.find("uncommitted", words)
    gaps = family.gaps(task) if family.root in family.committed else []
    for gap in gaps:
        tallies.find("uncovered", f"{gap.video.uri} of shard {family.root}: {frames_of(gap)} neither captioned nor dead")
    if gaps:
        tallies.incomplete.append(task)


def elsewhere(tallies: Tallies, family: Family) -> list[str]:
    """Videos that another planned shard's family has captioned too, in words."""
    words = []
    for uri in sorted({record.video.uri for _, record in family.lines}):
        first = tallies.captioned.setdefault(uri, family.root)
        if first != family.root:
            words.append(f"{uri} is captioned in shards {first} and {family.root}")
    return words


def frames_of(gap: Gap) -> str:
    """Say which part of a video is missing."""
    return "the video is" if gap.frames is None else f"{len(gap.frames)} of its frames are"
