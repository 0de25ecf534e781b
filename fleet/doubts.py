"""Shards that seem to have gaps are looked at again: whoever commits writes the lines first, and then the letters of what they lack."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.family import Family, family_of
from schemas.task import ShardTask
from storage.job import Job
from workers.coverage import Gap

SETTLED_SECONDS = 2.0
"""How long a worker may take from its commit to the last letter before a gap is believed."""
AT_ONCE = 1000
"""Doubtful shards in memory."""


@dataclass(slots=True)
class Doubts:
    """What is not believed yet; gaps that are still there are handed to `found`."""

    job: Job
    found: Callable[[ShardTask, list[Gap]], None]
    wait: Callable[[float], None] = time.sleep
    _tasks: list[ShardTask] = field(default_factory=list)

    def reread(self, family: Family, task: ShardTask | None) -> Family:
        """Doubt a committed shard with gaps; as it is now, since its letters may have been listed before its lines were committed."""
        if task is None or not _has_gaps(family, task):
            return family
        anew = family_of(self.job, family.root)
        if _has_gaps(anew, task):
            self._tasks.append(task)
        if len(self._tasks) >= AT_ONCE:
            self.close()
        return anew

    def close(self) -> None:
        """Wait once for all that are doubted, and look a last time."""
        if self._tasks:
            self.wait(SETTLED_SECONDS)
        for task in self._tasks:
            if gaps := family_of(self.job, task.shard_id).gaps(task):
                self.found(task, gaps)
        self._tasks.clear()


def _has_gaps(family: Family, task: ShardTask) -> bool:
    return family.root in family.committed and bool(family.gaps(task))
