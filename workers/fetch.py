"""Where a video's bytes come from, and whose fault it is when they are denied."""

from collections.abc import Callable
from itertools import islice

from schemas.errors import FatalError, PermanentError
from schemas.reasons import Reason, Stage
from schemas.task import ShardTask
from schemas.video import UNKNOWN_ETAG, VideoRef
from storage import ObjectDenied, StoreError, shared_store, split_uri
from storage.job import Job
from workers.media.costs import ReadCosts
from workers.media.ranges import StoreSource

WITNESSES = 3
"""How many other videos are asked for before a denial is called the whole fleet's."""


def open_video(
    video: VideoRef,
    *,
    costs: ReadCosts = ReadCosts(),  # noqa: B008 - a frozen value
    timed: Callable[[float], None] = lambda _: None,
) -> StoreSource:
    """Open a video for ranged reading, pinned to the etag it was planned with; `timed` is told how long each GET took.

    Raises:
        PermanentError: it is gone or denied, or appeared only after it was planned.
        TransientError: storage does not answer.
    """
    url, key = split_uri(video.uri)
    if video.etag == UNKNOWN_ETAG:
        StoreSource(shared_store(url), key, video.model_copy(update={"size_bytes": 1})).read(start=0, end=1)
        raise PermanentError(Reason.OBJECT_CHANGED, Stage.FETCH, "The object could not be looked at when it was planned, and now it can.")
    return StoreSource(shared_store(url), key, video, costs=costs, timed=timed)


def verdict(error: PermanentError, video: VideoRef, *, task: ShardTask, job: Job) -> PermanentError:
    """Tell a denied video from a denied fleet: if others can be read, it is the video's own fault.

    Raises:
        FatalError: other videos of the job are denied too.
    """
    if error.reason is not Reason.ACCESS_DENIED:
        return error
    others = [other for other in task.videos if other.uri != video.uri]
    part = job.ledger().first_part()
    planned = (other for shard in (part.shards if part else ()) for other in shard.videos if other.uri != video.uri)
    witnesses = [*others[:WITNESSES], *islice(planned, WITNESSES)]
    if witnesses and not any(_can_be_read(witness) for witness in witnesses):
        raise FatalError(
            f"Storage denies {video.uri} and every other video that was tried; give the workers' role s3:GetObject on the source."
        ) from error
    return error


def _can_be_read(video: VideoRef) -> bool:
    url, key = split_uri(video.uri)
    try:
        shared_store(url).get_range(key, start=0, end=1)
    except ObjectDenied:
        return False
    except StoreError:
        return True  # missing or slow is no denial
    return True
