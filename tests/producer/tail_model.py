"""A fleet as arithmetic: when each frame of a plan is captioned. Cost is bytes: frames are where bytes are."""

import heapq
import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import pyarrow as pa
from builders import RECIPE, new_store, spec_of

from producer.plan import plan
from producer.sources import Batch
from schemas.job import JobSpec
from schemas.recipe import KeyframePolicy
from schemas.work import Work
from storage.job import Job

SHARDS_AT_ONCE = 8


def batch_of(uris: Sequence[str], sizes: Sequence[int], *, first: int = 0, causes: Sequence[int] = ()) -> Batch:
    """Rows of a source whose cursor is their number."""
    return Batch(
        uris=pa.array(uris, pa.string()),
        etags=pa.array(["e"] * len(uris), pa.string()),
        sizes=pa.array(sizes, pa.int64()),
        causes=np.array(causes or [0] * len(uris), np.uint8),
        cursor_at=lambda row: str(first + row),
    )


class Videos:
    """A source in memory."""

    distinct = True

    def __init__(self, sizes: Sequence[int], *, at_once: int = 1000) -> None:
        self.sizes, self.at_once = sizes, at_once

    def check(self) -> None:
        assert self.sizes

    def batches(self, *, after: str = "") -> Iterator[Batch]:
        for first in range(int(after) + 1 if after else 0, len(self.sizes), self.at_once):
            sizes = self.sizes[first : first + self.at_once]
            yield batch_of([f"s3://b/{first + row}.mp4" for row in range(len(sizes))], sizes, first=first)


def lognormal(videos: int, *, giants: int = 0, seed: int = 1) -> list[int]:
    """Sizes as they are found: most small, some large, and giants anywhere, each worth 2000 ordinary ones."""
    rng = random.Random(seed)  # noqa: S311 - sizes
    sizes = [int(1000 * rng.lognormvariate(0, 1)) + 1 for _ in range(videos)]
    for place in rng.sample(range(videos), giants):
        sizes[place] = 2_000_000
    return sizes


def planned(sizes: Sequence[int], **fields: object) -> list[list[int]]:
    """The sizes of the videos in each shard, in the order of the plan, where work is bytes."""
    work = Work(frames_per_byte={".mp4": 1}, seconds_per_frame=0.001, seconds_per_video=0, seconds_per_gigabyte=0)
    recipe = RECIPE.model_copy(update={"keyframes": KeyframePolicy(max_per_video=0)})
    spec: JobSpec = spec_of(recipe, source="memory://sizes", work=work, **{"shard_seconds": 1e9} | fields)
    job = Job(new_store())
    job.create_spec(spec)
    parts = plan(job, spec, lambda: Videos(sizes))
    return [[video.size_bytes for video in task.videos] for part in parts for task in part.shards]


def in_order(sizes: Sequence[int]) -> list[list[int]]:
    """Shards that only grow with their ordinal, in the source's order."""
    groups, remaining = list[list[int]](), iter(sizes)
    while group := [size for size, _ in zip(remaining, range(min(256, 1 + len(groups) // 16)), strict=False)]:
        groups.append(group)
    return groups


def tail_share(shards: Sequence[Sequence[int]], *, workers: int) -> float:
    """The share of the whole time in which the last percent of the cost is done.

    A worker holds several shards and spends itself on the oldest; for each that ends it takes the next of the queue.
    """
    costs = [sum(shard) for shard in shards]
    held: list[list[int]] = [[] for _ in range(workers)]
    queue = iter(range(len(costs)))
    for _ in range(SHARDS_AT_ONCE):
        for mine in held:
            mine.extend([number for number in [next(queue, None)] if number is not None])
    free = [(0.0, worker) for worker in range(workers)]
    spans: list[tuple[float, float]] = []
    while free:
        now, worker = heapq.heappop(free)
        if not held[worker]:
            continue
        ends_at = now + costs[held[worker].pop(0)]
        spans.append((now, ends_at))
        held[worker].extend([number for number in [next(queue, None)] if number is not None])
        heapq.heappush(free, (ends_at, worker))
    return 1 - _done_at(spans, share=0.99) / max(end for _, end in spans)


def _done_at(spans: Sequence[tuple[float, float]], *, share: float) -> float:
    """When this share of the work is done: workers that are busy, summed over time."""
    steps = sorted([(start, +1) for start, _ in spans] + [(end, -1) for _, end in spans])
    times = [time for time, _ in steps]
    busy = list(accumulate(change for _, change in steps))
    done = [0.0, *accumulate(count * (after - before) for count, before, after in zip(busy, times, times[1:], strict=False))]
    place = bisect_left(done, share * done[-1])
    return times[place - 1] + (share * done[-1] - done[place - 1]) / busy[place - 1]
