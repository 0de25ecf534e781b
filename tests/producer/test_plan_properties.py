"""Whatever a source shows in whatever batches, however often the producer dies: each video is in one shard, and the plan is the same."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from builders import new_store, spec_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tail_model import batch_of

from producer.plan import plan
from producer.sources import CAUSES, Batch
from schemas.job import Selection
from storage.job import Job

ROWS = st.lists(
    st.tuples(
        st.integers(0, 400), st.sampled_from([0, 0, 0, 0, CAUSES.index("excluded"), CAUSES.index("archived")]), st.integers(0, 10**10)
    ),
    max_size=300,
)


@dataclass
class Rows:
    """Rows with repeats and causes, shown in batches of any size."""

    rows: list[tuple[int, int, int]]
    at_once: int
    distinct = False

    def check(self) -> None: ...

    def batches(self, *, after: str = "") -> Iterator[Batch]:
        for first in range(int(after) + 1 if after else 0, len(self.rows), self.at_once):
            rows = self.rows[first : first + self.at_once]
            uris = [f"s3://b/{name}.mp4" for name, _, _ in rows]
            yield batch_of(uris, [size for _, _, size in rows], first=first, causes=[cause for _, cause, _ in rows])


@settings(max_examples=150, deadline=None)
@given(
    rows=ROWS,
    batch=st.integers(1, 400),
    other_batch=st.integers(1, 400),
    limit=st.one_of(st.just(0), st.integers(1, 300)),
    per_shard=st.sampled_from([0, 0, 1, 5]),
    kills=st.lists(st.booleans(), max_size=30),
)
def test_every_video_is_planned_once_and_the_plan_depends_on_nothing_but_its_source(
    *, rows: list[tuple[int, int, int]], batch: int, other_batch: int, limit: int, per_shard: int, kills: list[bool]
) -> None:
    spec = spec_of(selection=Selection(limit=limit), videos_per_shard=per_shard)
    whole, broken = Job(new_store()), Job(new_store())
    for _ in plan(whole, spec, lambda: Rows(rows, batch)):
        pass
    for dies in kills:
        parts = plan(broken, spec, lambda: Rows(rows, other_batch))
        next(parts, None) if dies else list(parts)
        parts.close()
    for _ in plan(broken, spec, lambda: Rows(rows, other_batch)):
        pass
    wanted, first_cause = expected(rows, limit)
    planned = Counter(video.uri for part in broken.ledger().parts() for task in part.shards for video in task.videos)
    assert planned == Counter(wanted)
    assert bodies(broken) == bodies(whole)
    assert broken.plan_complete().skipped == dict(first_cause)


def bodies(job: Job) -> dict[str, bytes]:
    return {meta.key: job.store.get(meta.key) for meta in job.store.list("plan/")}


def expected(rows: list[tuple[int, int, int]], limit: int) -> tuple[list[str], Counter[str]]:
    """Row by row, as an operator would say it; what comes behind the last video that a limit allows is not counted."""
    wanted, skipped, met = list[str](), Counter[str](), set[int]()
    for name, cause, _ in rows:
        if limit and len(wanted) == limit:
            break
        if cause or name in met:
            skipped[CAUSES[cause or CAUSES.index("repeated")]] += 1
        else:
            wanted.append(f"s3://b/{name}.mp4")
            met.add(name)
    return wanted, skipped
