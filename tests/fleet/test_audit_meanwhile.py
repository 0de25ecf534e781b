"""Auditing a job while others are at it."""

from collections.abc import Iterator

import pytest
from builders import HandmadeJob, WatchedStore, line

from fleet.audit import audit
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
