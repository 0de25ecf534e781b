"""The proof, from storage alone: every planned frame has exactly one line or a dead letter."""

from collections import Counter
from dataclasses import dataclass, field

from fleet.family import Family, families
from schemas.model import Model
from schemas.record import Scope
from schemas.task import ShardTask
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
    """Letters that a later redrive has answered."""
    uncommitted: int
    """Planned shards without an object."""
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
        **{name: tallies.sums[name] for name in COUNTED},
    )


COUNTED = (
    "captioned_videos",
    "frames",
    "dead_videos",
    "dead_frames",
    "superseded_letters",
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
    for family in families(job):
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
    for words in family.duplicates():
        tallies.find("duplicates", words)
    for words in family.invalid + strangers(family, task):
        tallies.find("invalid", words)
    gaps = family.gaps(task) if family.root in family.committed else []
    for gap in gaps:
        tallies.find("uncovered", f"{gap.video.uri} of shard {family.root}: {frames_of(gap)} neither captioned nor dead")
    if gaps:
        tallies.incomplete.append(task)


def strangers(family: Family, task: ShardTask) -> list[str]:
    """Lines of videos that the shard was never given, of another recipe, copied from none, or dead and captioned in one shard; in words."""
    uris = {video.uri for video in task.videos}
    dead = {(letter.shard_id, letter.video.uri, letter.frame_index) for letter in family.letters.values()}
    words = [f"a line of {record.video.uri} lies in shard {shard}" for shard, record in family.lines if record.video.uri not in uris]
    words += [f"a line in {shard} is of recipe {record.recipe_id}" for shard, record in family.lines if record.recipe_id != task.recipe_id]
    words += [
        f"frame {record.frame_index} of {record.video.uri} is both captioned and dead in shard {shard}"
        for shard, record in family.lines
        if {(shard, record.video.uri, record.frame_index), (shard, record.video.uri, None)} & dead
    ]
    own = {(shard, record.video, record.frame_id): record.annotation for shard, record in family.lines if record.copied_from is None}
    words += [
        f"frame {record.frame_index} of {record.video.uri} in shard {shard} is no copy of frame {record.copied_from}"
        for shard, record in family.lines
        if record.copied_from is not None and own.get((shard, record.video, record.copied_from)) != record.annotation
    ]
    return words


def frames_of(gap: Gap) -> str:
    """Say which part of a video is missing."""
    return "the video is" if gap.frames is None else f"{len(gap.frames)} of its frames are"
