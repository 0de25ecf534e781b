import pytest
from builders import HandmadeJob, film, new_store, overwrite

from schemas.errors import FatalError, PermanentError
from schemas.reasons import Reason, Stage
from schemas.task import ShardTask
from schemas.video import UNKNOWN_ETAG, VideoRef
from storage import open_store
from workers.fetch import open_video, verdict

DENIED = PermanentError(Reason.ACCESS_DENIED, Stage.FETCH, "denied")


def read(video: VideoRef) -> bytes:
    source = open_video(video)
    return source.read(start=0, end=source.size_bytes)


def died_of(video: VideoRef) -> Reason:
    with pytest.raises(PermanentError) as caught:
        read(video)
    assert caught.value.stage is Stage.FETCH
    return caught.value.reason


def test_a_video_is_read_as_it_was_planned() -> None:
    video = film(new_store(), "a b/ü.mp4", b"0123456789")
    assert read(video) == b"0123456789"
    assert open_video(video).read(start=3, end=5) == b"34"


def test_a_video_that_is_gone_is_dead() -> None:
    assert died_of(VideoRef(uri=f"{new_store().url}/a.mp4", etag="e", size_bytes=1)) is Reason.OBJECT_GONE


def test_a_video_that_was_overwritten_is_dead() -> None:
    store = new_store()
    video = film(store, "a.mp4", b"old")
    overwrite(store, "a.mp4", b"new")
    assert died_of(video) is Reason.OBJECT_CHANGED


def test_a_video_planned_as_missing_is_still_gone() -> None:
    assert died_of(VideoRef(uri=f"{new_store().url}/a.mp4", etag=UNKNOWN_ETAG, size_bytes=0)) is Reason.OBJECT_GONE


@pytest.mark.parametrize("body", [b"here", b""])
def test_a_video_planned_as_missing_that_came_is_changed_and_never_read_unpinned(body: bytes) -> None:
    store = new_store()
    store.create("a.mp4", body)
    assert died_of(VideoRef(uri=f"{store.url}/a.mp4", etag=UNKNOWN_ETAG, size_bytes=0)) is Reason.OBJECT_CHANGED


@pytest.fixture
def shard(s3_bucket: str) -> tuple[HandmadeJob, ShardTask]:
    """A shard of two videos on S3, and a job with one more shard."""
    handmade, store = HandmadeJob(), open_store(s3_bucket)
    task = handmade.task(film(store, "a.mp4"), film(store, "b.mp4"))
    handmade.plan(task, handmade.task(film(store, "c.mp4")))
    return handmade, task


def test_a_denied_video_is_dead(shard, s3_server) -> None:
    _, task = shard
    s3_server.denied.add(task.videos[0].uri)
    assert died_of(task.videos[0]) is Reason.ACCESS_DENIED


def test_a_denied_video_among_others_is_its_own_fault(shard, s3_server) -> None:
    handmade, task = shard
    s3_server.denied.add(task.videos[0].uri)
    assert verdict(DENIED, task.videos[0], task=task, job=handmade.job) is DENIED


def test_a_denied_shard_among_others_is_its_own_fault(shard, s3_server) -> None:
    handmade, task = shard
    s3_server.denied |= {video.uri for video in task.videos}
    assert verdict(DENIED, task.videos[0], task=task, job=handmade.job) is DENIED


def test_when_all_videos_are_denied_the_worker_is_unfit(shard, s3_server) -> None:
    handmade, task = shard
    s3_server.denied |= {video.uri for part in handmade.job.ledger().parts() for other in part.shards for video in other.videos}
    with pytest.raises(FatalError, match="s3:GetObject"):
        verdict(DENIED, task.videos[0], task=task, job=handmade.job)


def test_the_only_video_of_a_job_bears_its_own_fault(s3_server, s3_bucket: str) -> None:
    handmade = HandmadeJob()
    task = handmade.task(film(open_store(s3_bucket), "a.mp4"))
    handmade.plan(task)
    s3_server.denied.add(task.videos[0].uri)
    assert verdict(DENIED, task.videos[0], task=task, job=handmade.job) is DENIED


def test_other_faults_ask_no_witnesses(shard, s3_server) -> None:
    handmade, task = shard
    s3_server.requests.clear()
    error = PermanentError(Reason.CORRUPT, Stage.DECODE, "broken")
    assert verdict(error, task.videos[0], task=task, job=handmade.job) is error
    assert s3_server.requests == []
