"""What was read of each video: bytes and requests, out of a job's lines and letters."""

from collections.abc import Iterable, Iterator

from fleet.status import BrokerStatus
from schemas.model import Model
from schemas.record import DeadLetter, FrameRecord
from storage.job import Job


class VideoReads(Model):
    """What reading one video took, by one attempt at it."""

    uri: str
    size_bytes: int
    bytes_read: int
    requests: int
    frames: int
    """Lines it gave; zero if it is dead as a whole."""

    @property
    def share(self) -> float:
        """Bytes read of those there are."""
        return self.bytes_read / self.size_bytes if self.size_bytes else 0.0


def reads_of(job: Job) -> Iterator[VideoReads]:
    """Stream the videos of a job, shard by shard, each with what reading it took; a redrive's reading stands by itself."""
    for shard, _ in job.committed():
        records = [record for record in job.records(shard) if record.shard_id == shard]
        letters = [letter for _, letter in job.letters(shard) if letter.shard_id == shard]
        by_uri: dict[str, list[FrameRecord | DeadLetter]] = {}
        both: list[FrameRecord | DeadLetter] = [*records, *letters]
        for one in both:
            by_uri.setdefault(one.video.uri, []).append(one)
        yield from map(_summed, by_uri.values())


def _summed(all_of_one: list[FrameRecord | DeadLetter]) -> VideoReads:
    """Sum up what was written of one video: each line and letter says what all of it took."""
    one = all_of_one[0]
    return VideoReads(
        uri=one.video.uri,
        size_bytes=one.video.size_bytes,
        bytes_read=one.fetched.bytes_read,
        requests=one.fetched.requests,
        frames=sum(isinstance(each, FrameRecord) for each in all_of_one),
    )


def with_total(reads: Iterable[VideoReads]) -> Iterator[VideoReads]:
    """Pass videos on, and after them the sum of all."""
    total = VideoReads(uri="all", size_bytes=0, bytes_read=0, requests=0, frames=0)
    for one in reads:
        total = VideoReads(uri="all", **{name: count + getattr(one, name) for name, count in total if name != "uri"})
        yield one
    yield total


def per_video(status: BrokerStatus) -> str:
    """Say what reading took on average, as the workers count it."""
    videos = max(1, status.videos)
    read = f"{megabytes(status.bytes_read)} of {megabytes(status.object_bytes)} in {status.requests} requests"
    return f"{read}, {megabytes(status.bytes_read / videos)} a video"


def megabytes(size_bytes: float) -> str:
    """Write a number of bytes in units of a million."""
    return f"{size_bytes / 1e6:.2f} MB"
