"""What an exporter makes of one job: pace, outlook and cost, out of storage and of what the broker says."""

import math
import threading
from dataclasses import dataclass, field

import pytest
from builders import AT, HandmadeJob
from vital_signs import vitals

from broker.progress import Tally
from fleet.audit import audit
from fleet.followed import FollowedJob, keep_refreshing
from fleet.proof import Proof, proof_of
from fleet.proven import FOLDER, keep_proof, latest_proof
from schemas.control import ControlState
from schemas.tenure import Tenure
from storage.control import CONTROL_KEY, set_control
from storage.tenure import key


@dataclass
class Story:
    """A job of ten shards with one video each, of which nothing is done, and a clock."""

    handmade: HandmadeJob = field(default_factory=HandmadeJob)
    now: float = 1000.0

    def __post_init__(self) -> None:
        for number in range(10):
            self.handmade.shard(f"v{number}")
        self.handmade.complete()
        self.followed = FollowedJob(self.handmade.job, clock=lambda: self.now)

    def pass_by(self, seconds: float, *, videos: int, frames: int = 0) -> None:
        """Let time pass, after which the job's counters say so many."""
        self.now += seconds
        self.followed.note(Tally(videos=videos, frames=frames), [vitals("host:1", frames=frames)])


@pytest.fixture
def story() -> Story:
    return Story()


def test_nothing_is_known_before_the_first_look(story: Story) -> None:
    job = story.followed
    assert (job.up, job.seen, job.eta_seconds, job.backlog_seconds(3), job.videos_per_second) == (False, None, None, None, None)


def test_what_stands_in_storage_is_seen(story: Story) -> None:
    story.followed.refresh()
    assert story.followed.up
    assert story.followed.seen is not None
    assert (story.followed.seen.at_seconds, story.followed.seen.status.videos, story.followed.seen.proof) == (1000.0, 10, None)


def test_the_outlook_follows_the_pace(story: Story) -> None:
    story.followed.refresh()
    story.pass_by(0, videos=0)
    story.pass_by(20, videos=1)
    assert story.followed.eta_seconds is None  # too soon to tell
    story.followed.refresh()
    story.pass_by(20, videos=4)
    assert story.followed.videos_per_second == pytest.approx(0.1)
    assert story.followed.eta_seconds == pytest.approx(70)  # ten less the three since storage was looked at, where none was committed yet
    assert story.followed.backlog_seconds(5) == pytest.approx(50)


def test_what_was_done_before_anybody_looked_is_no_pace(story: Story) -> None:
    story.pass_by(0, videos=5)
    story.followed.refresh()
    for _ in range(4):
        story.pass_by(10, videos=5)
    assert story.followed.videos_per_second == 0
    assert story.followed.eta_seconds == math.inf
    assert story.followed.backlog_seconds(0) == 0.0


def test_workers_time_is_the_jobs_cost(story: Story) -> None:
    story.followed.refresh()
    story.pass_by(0, videos=0)
    story.pass_by(60, videos=1, frames=600)
    assert story.followed.meter is not None
    assert story.followed.meter.spent.worker_seconds == pytest.approx(60)
    assert story.followed.meter.spent.frames == 600


def test_while_storage_fails_what_was_seen_stands(story: Story) -> None:
    story.followed.refresh()
    seen = story.followed.seen
    set_control(story.handmade.job, ControlState.PAUSED, by="ann")
    story.handmade.job.store.replace(CONTROL_KEY, b"nonsense")
    story.followed.refresh()
    assert (story.followed.up, story.followed.seen) == (False, seen)
    set_control(story.handmade.job, ControlState.PAUSED, by="ann")
    story.followed.refresh()
    assert story.followed.up
    assert story.followed.seen is not None
    assert story.followed.seen.status.control.state is ControlState.PAUSED


def test_the_last_audit_that_was_kept_is_known(story: Story) -> None:
    job = story.handmade.job
    assert latest_proof(job) is None
    proof = proof_of(job, audit(job))
    keep_proof(job, proof.model_copy(update={"at": AT, "clean": False}))
    assert keep_proof(job, proof).startswith(FOLDER)
    assert latest_proof(job) == Proof.model_validate_json(proof.model_dump_json())
    assert audit(job).clean  # what is kept there is no stray object


def producer(story: Story, *, number: int = 1, beat: int, released: bool = False) -> None:
    """Have a producer write what it writes of itself, and look some time later."""
    told = {"who": "ann", "host": "box", "pid": 12, "process": "", "token": "t", "begun_at": AT}
    tenure = Tenure(number=number, beat=beat, released=released, **told)
    story.handmade.job.store.replace(key(number), tenure.model_dump_json().encode())
    story.followed.refresh()


def test_a_producer_is_at_the_job_while_its_beat_goes_on(story: Story) -> None:
    story.followed.refresh()
    assert story.followed.fed is False  # nobody ever was
    producer(story, beat=4)
    assert story.followed.fed is True
    story.now += 30
    producer(story, beat=4)
    assert story.followed.fed is True  # beats are written now and then
    story.now += 30
    producer(story, beat=4)
    assert story.followed.fed is False
    producer(story, number=2, beat=0)
    assert story.followed.fed is True  # another took over
    producer(story, number=2, beat=1, released=True)
    assert story.followed.fed is False


def test_nobody_can_tell_from_one_look_whether_a_producer_is_alive(story: Story) -> None:
    producer(story, beat=7)
    assert story.followed.fed is None
    story.now += 61
    producer(story, beat=7)
    assert story.followed.fed is False


def test_looking_ends_when_it_is_over(story: Story) -> None:
    over = threading.Event()
    thread = threading.Thread(target=keep_refreshing, args=([story.followed],), kwargs={"every_seconds": 0.01, "over": over})
    thread.start()
    over.set()
    thread.join(30)
    assert not thread.is_alive()
