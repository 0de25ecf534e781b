"""Auditing a job while others are at it."""

from collections.abc import Iterator

import pytest
from builders import HandmadeJob, WatchedStore, letter, line

from fleet.audit import audit
from fleet.doubts import Doubts
from fleet.family import families
from schemas.task import ShardTask
from storage import ObjectMeta
from storage.job import Job


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


class GrowingStore(WatchedStore):
    """A store in which a producer plans a shard and comes to its end, and a worker commits it, while somebody begins to list."""

    def __init__(self, handmade: HandmadeJob) -> None:
        super().__init__(handmade.job.store, [])
        self._handmade = handmade

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        if prefix == "captions/":
            late = self._handmade.shard("late.mp4")
            self._handmade.commit(late, line(late))
            self._handmade.complete()
        return super().list(prefix, start_after=start_after)


def test_what_is_planned_and_done_while_lines_are_read_is_neither_damage_nor_an_orphan(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task, line(task))
    report = audit(Job(GrowingStore(handmade)))
    assert (report.findings, report.plan_complete, report.shards) == ((), False, 1)


class WorkedStore(WatchedStore):
    """A store whose listings come a page at a time, in which a worker commits a shard and buries its video between two pages of lines."""

    def __init__(self, handmade: HandmadeJob, late: ShardTask) -> None:
        super().__init__(handmade.job.store, [])
        self._handmade, self._late = handmade, late

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        found = [*super().list(prefix, start_after=start_after)]
        if prefix != "captions/":
            yield from found
            return
        yield found[0]
        self._handmade.commit(self._late)
        self._handmade.bury(letter(self._late))
        yield from super().list(prefix, start_after=found[0].key)


def test_a_shard_that_is_committed_between_two_pages_has_no_gap(handmade: HandmadeJob) -> None:
    first, dead, late = sorted((handmade.shard(f"{name}.mp4") for name in "abc"), key=lambda task: task.shard_id)
    handmade.complete()
    handmade.commit(first, line(first))
    handmade.commit(dead)
    handmade.bury(letter(dead))
    report = audit(Job(WorkedStore(handmade, late)))
    assert (report.uncovered, report.dead_videos, report.clean) == (0, 2, True)


def test_a_letter_that_is_written_soon_after_the_lines_leaves_no_gap(handmade: HandmadeJob) -> None:
    late, never = handmade.shard("a.mp4"), handmade.shard("b.mp4")
    handmade.commit(late)
    handmade.commit(never)
    found = list[str]()
    doubts = Doubts(
        handmade.job,
        lambda task, gaps: found.extend([task.shard_id] * len(gaps)),
        wait=lambda _: handmade.bury(letter(late)),
    )
    tasks = {task.shard_id: task for task in (late, never)}
    for family in families(handmade.job):
        doubts.reread(family, tasks[family.root])
    doubts.close()
    assert found == [never.shard_id]
