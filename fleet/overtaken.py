"""What later looks at a job's sources have planned again: a letter about it is history, and a redrive would caption it twice.

A look plans a video again once it has changed, or for another recipe. What became of it then is told by that look's own lines and letters.
"""

from math import inf
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from producer.fresh import names_of_rows
from producer.seen import Seen
from schemas.record import DeadLetter
from schemas.task import ShardTask, root_of
from storage.ledger import Ledger

MEMORY_BYTES = 16 << 20


class Overtaken:
    """Remembers the videos and shards of all looks but the first, as names on disk. Where there was one look it reads and holds nothing."""

    def __init__(self, ledger: Ledger, *, most: float = inf) -> None:
        """Ask this plan, which is read once something is asked; nothing counts as overtaken if later looks have more videos than `most`."""
        self._ledger = ledger
        few = most == inf or sum(head.header.videos for head in ledger.heads() if head.header.round) <= most
        self._rounds = [found.number for found in ledger.rounds()] if few else []
        self._seen: Seen | None = None

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give back the disk."""
        if self._seen is not None:
            self._seen.close()

    def read(self) -> None:
        """Read what the later looks have planned, unless that is done."""
        if self._seen is None and self._rounds:
            self._seen = Seen(MEMORY_BYTES)
            for head in self._ledger.heads_from(self._rounds[0], 0):
                _remember(self._seen, str(head.header.round), self._ledger.part(head).shards)

    def _met(self, *columns: list[str]) -> NDArray[np.bool_]:
        self.read()
        return np.zeros(len(columns[0]), np.bool_) if self._seen is None else self._seen.has(names_of_rows(*columns))

    def has(self, letter: DeadLetter) -> bool:
        """Whether a look after that of the letter's shard has planned its video again."""
        rounds = [str(number) for number in self._rounds]
        own = np.flatnonzero(self._met([root_of(letter.shard_id)] * len(rounds), rounds))
        return bool(self._met([letter.video.uri] * len(rounds), rounds)[own[-1] + 1 if len(own) else 0 :].any())

    def captions(self, redrive: ShardTask) -> bool:
        """Whether a shard of a later look captions the very version that a redrive of another shard would."""
        version = [[value] for value in (redrive.videos[0].uri, redrive.videos[0].etag, redrive.recipe_id)]
        return bool(self._met(*version)[0] and not self._met(*version, [root_of(redrive.shard_id)])[0])


def _remember(seen: Seen, number: str, tasks: tuple[ShardTask, ...]) -> None:
    """Keep which shards and which videos a look has planned, and which version of a video in which shard."""
    rows = [(video.uri, video.etag, task.recipe_id, task.shard_id) for task in tasks for video in task.videos]
    uris, etags, recipes, shards = zip(*rows, strict=True)
    seen.add(names_of_rows([task.shard_id for task in tasks], [number] * len(tasks)))
    for columns in ((uris, [number] * len(uris)), (uris, etags, recipes), (uris, etags, recipes, shards)):
        seen.add(names_of_rows(*columns))
