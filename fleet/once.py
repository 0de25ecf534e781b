"""Finding videos that more than one planned shard has captioned, in memory that does not grow with the job."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

from fleet.family import Family
from producer.fresh import names_of_rows
from producer.seen import Seen
from storage.ledger import Ledger

AT_ONCE = 20_000
MEMORY_BYTES = 32 << 20


@dataclass(slots=True)
class Once:
    """Remembers which version of which video has lines of which recipe, as a name on disk; to be closed."""

    examples: int
    """How many of those that are there twice can be named."""
    twice: int = 0
    named: list[str] = field(default_factory=list)
    """Their URIs, as far as they can be named."""
    _rows: list[tuple[str, str, str]] = field(default_factory=list)
    _seen: Seen = field(default_factory=lambda: Seen(MEMORY_BYTES))

    def count(self, family: Family) -> None:
        """Take in the videos that a family has lines of."""
        self._rows += {(record.video.uri, record.video.etag, record.recipe_id) for _, record in family.lines}
        if len(self._rows) >= AT_ONCE:
            self._settle()

    def _settle(self) -> None:
        met = self._seen.add(names_of_rows(*zip(*self._rows, strict=True))) if self._rows else ()
        found = [row[0] for row, again in zip(self._rows, met, strict=True) if again]
        self.twice += len(found)
        self.named += found[: self.examples - len(self.named)]
        self._rows = []

    def findings(self, ledger: Ledger) -> Iterator[str]:
        """Say which videos are captioned twice, and where; to be asked once, at the end."""
        self._settle()
        if not self.twice:
            return
        shards = _planned_in(ledger, set(self.named))
        for uri in sorted(self.named):
            yield f"{uri} is captioned in shards {' and '.join(shards[uri])}"
        yield from repeat("one more video is captioned in two shards", self.twice - len(self.named))

    def close(self) -> None:
        """Give back the disk."""
        self._seen.close()


def _planned_in(ledger: Ledger, uris: set[str]) -> defaultdict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for prefix in ledger.prefixes():
        for task in ledger.planned(prefix):
            for uri in uris & {video.uri for video in task.videos}:
                found[uri].append(task.shard_id)
    return found
