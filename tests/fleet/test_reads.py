import io

import pytest
from builders import HandmadeJob, letter, line
from rich.console import Console

from fleet.reads import VideoReads, per_video, reads_of
from fleet.report import print_reads
from fleet.status import BrokerStatus
from schemas.record import Fetched

READ = Fetched(bytes_read=500, requests=3)


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


def test_each_video_is_told_with_what_reading_it_took(handmade: HandmadeJob) -> None:
    shard = handmade.shard("a.mp4", "b.mp4")
    handmade.commit(shard, *(line(shard, place=0, index=index, of=2).model_copy(update={"fetched": READ}) for index in range(2)))
    handmade.bury(letter(shard, place=1).model_copy(update={"fetched": Fetched(bytes_read=7, requests=1)}))
    one, other = reads_of(handmade.job)
    assert (one.uri, one.bytes_read, one.requests, one.frames) == (shard.videos[0].uri, 500, 3, 2)
    assert (other.uri, other.bytes_read, other.requests, other.frames) == (shard.videos[1].uri, 7, 1, 0)


def test_reads_are_printed_with_their_sum() -> None:
    said = io.StringIO()
    videos = [VideoReads(uri=name, size_bytes=4_000_000, bytes_read=1_000_000, requests=5, frames=2) for name in "ab"]
    print_reads(Console(file=said), videos)
    assert said.getvalue().splitlines()[1:] == ["4.00 MB\t1.00 MB\t25.0%\t5\t2\tb", "8.00 MB\t2.00 MB\t25.0%\t10\t4\tall"]


def test_what_workers_counted_is_told_on_average() -> None:
    status = BrokerStatus(waiting=0, in_work=0, frames=9, videos=2, bytes_read=3_000_000, requests=8, object_bytes=9_000_000, faults=())
    assert per_video(status) == "3.00 MB of 9.00 MB in 8 requests, 1.50 MB a video"
