"""Videos of a job whose latest record has another recipe, read from what the job has committed."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from producer.seen import Seen, names_of
from producer.sources import Batch
from schemas.task import ShardTask, root_of
from schemas.video import VideoRef
from storage import ObjectMeta
from storage.job import Job
from storage.ledger import Ledger

READS_AT_ONCE = 16


class Stale:
    """What a job's rounds have captioned, the latest round first; a video belongs to the latest that has a record of it.

    Its cursor is a round, a shard and a URI. Who goes on behind one has the rows before it read again, for that is how it is known
    which videos have been shown.
    """

    distinct = True

    def __init__(self, job: Job, *, recipe_id: str, before: int) -> None:
        """Look for records of other recipes than this in the rounds before one."""
        self._job, self._recipe_id, self._before = job, recipe_id, before

    def check(self) -> None:
        """There may be nothing stale, which is no fault."""

    def batches(self, *, after: str = "") -> Iterator[Batch]:
        """Show stale videos, in the order of rounds backwards, then of shards, then of URIs."""
        behind = _position(after)
        with Seen() as decided, ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="stale") as pool:
            for cursors, videos, stale in self._groups(pool):
                uris = pa.array([video.uri for video in videos], pa.string())
                fresh = ~decided.add(names_of(uris))
                rows = [row for row in np.flatnonzero(fresh) if stale and _position(cursors[row]) > behind]
                if rows:
                    yield _batch([videos[row] for row in rows], [cursors[row] for row in rows])

    def _groups(self, pool: ThreadPoolExecutor) -> Iterator[tuple[list[str], list[VideoRef], bool]]:
        """Recorded videos of one prefix of one round, with their cursors, and whether that round's recipe is another."""
        ledger = self._job.ledger()
        recipes = {head.header.round: head.header.recipe_id for head in ledger.heads() if head.header.round < self._before}
        for number in sorted(recipes, reverse=True):
            for prefix in ledger.prefixes():
                found = list(self._recorded(ledger, prefix, number, pool))
                cursors = [f"{self._before - number} {shard} {video.uri}" for shard, video in found]
                if found:
                    yield cursors, [video for _, video in found], recipes[number] != self._recipe_id

    def _recorded(self, ledger: Ledger, prefix: str, number: int, pool: ThreadPoolExecutor) -> Iterator[tuple[str, VideoRef]]:
        commits = defaultdict[str, list[ObjectMeta]](list)
        for shard, meta in self._job.committed(prefix):
            commits[root_of(shard)].append(meta)
        tasks = [task for task in ledger.planned(prefix, rounds=frozenset({number})) if task.shard_id in commits]
        for task, videos in zip(tasks, pool.map(lambda task: self._videos(task, commits[task.shard_id]), tasks), strict=True):
            yield from ((task.shard_id, video) for video in videos)

    def _videos(self, task: ShardTask, metas: Iterable[ObjectMeta]) -> list[VideoRef]:
        """The videos of a shard and its descendants that have a line, as they were when they were captioned."""
        found = {}
        for meta in metas:
            for line in self._job.lines(meta):
                video = json.loads(line)["video"]
                found[video["uri"]] = video
        known = {video.uri: video for video in task.videos}
        return [known[uri] if found[uri]["etag"] == known[uri].etag else VideoRef(**found[uri]) for uri in sorted(found) if uri in known]


def _position(cursor: str) -> tuple[int, str, str]:
    number, _, rest = cursor.partition(" ")
    shard, _, uri = rest.partition(" ")
    return int(number or 0), shard, uri


def _batch(videos: list[VideoRef], cursors: list[str]) -> Batch:
    return Batch(
        uris=pa.array([video.uri for video in videos], pa.string()),
        etags=pa.array([video.etag for video in videos], pa.string()),
        sizes=pa.array([video.size_bytes for video in videos], pa.int64()),
        causes=np.zeros(len(videos), np.uint8),
        cursor_at=lambda row: cursors[row],
    )
