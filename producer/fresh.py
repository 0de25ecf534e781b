"""Telling videos that are new to a job from those that it has planned, and from repeats."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from producer.seen import Seen, names_of
from producer.sources import CAUSES, Batch, Source
from schemas.job import Round, Why
from schemas.task import ShardTask
from storage.job import Job
from storage.ledger import Ledger, chunks

REDRIVES_AT_ONCE = 10_000
REPEATED, PLANNED_BEFORE = CAUSES.index("repeated"), CAUSES.index("planned before")


def rereads(source: Source, later: Round | None) -> bool:
    """Whether a round is gone on with from the source's beginning, since it takes all rows to tell which is a URI's first."""
    return later is not None and not source.distinct


def fresh(source: Source, *, after: str, job: Job, later: Round | None, stack: ExitStack) -> Iterator[Batch]:
    """Show a source's rows from behind a cursor on, and leave out what was planned before this round, and URIs that come again in it.

    A URI counts as its first row has it. A round for stale videos leaves out only what was planned with its own recipe. Where a round
    `rereads` its source, the rows before the cursor are shown too, without those that it has planned.

    What has to be remembered for that lies on disk and is let go with the stack. Nothing has to be in the first round of a source
    that shows no URI twice.
    """
    ledger, again = job.ledger(), rereads(source, later)
    batches = source.batches(after="" if again else after)
    if not source.distinct:
        here = stack.enter_context(Seen() if again else _planned_in(ledger, later.number if later else 0))
        batches = _without_repeats(batches, here)
    if later:
        earlier = stack.enter_context(Seen())
        for tasks in _planned_before(job, ledger, later):
            earlier.add(_names(tasks, with_etags=True))
        batches = _without_planned(batches, earlier)
    if later and again and after:
        batches = _without_own(batches, stack.enter_context(_planned_in(ledger, later.number)))
    return batches


def _planned_in(ledger: Ledger, number: int) -> Seen:
    """The URIs that a round has planned."""
    seen = Seen()
    for part in (ledger.part(head) for head in ledger.heads() if head.header.round == number):
        seen.add(_names(part.shards, with_etags=False))
    return seen


def _planned_before(job: Job, ledger: Ledger, later: Round) -> Iterator[Sequence[ShardTask]]:
    """What counts as planned before a round, some shards at a time; a redrive of a video that had changed captions what was there then."""
    parts = (ledger.part(head) for head in ledger.heads() if head.header.round < later.number)
    known = chain((part.shards for part in parts), chunks(job.redrives(), REDRIVES_AT_ONCE))
    return ([task for task in tasks if later.why is Why.ADDED or task.recipe_id == later.recipe_id] for tasks in known)


def _without_planned(batches: Iterator[Batch], earlier: Seen) -> Iterator[Batch]:
    for batch in batches:
        yield _left_out(batch, earlier.has(names_of(batch.uris, batch.etags)), PLANNED_BEFORE)


def _without_own(batches: Iterator[Batch], own: Seen) -> Iterator[Batch]:
    """Show nothing of the rows that this round has planned: they count as planned, and not as left out."""
    for batch in batches:
        rows = np.flatnonzero((batch.causes != 0) | ~own.has(names_of(batch.uris)))
        yield _rows(batch, rows)


def _rows(batch: Batch, rows: NDArray[np.intp]) -> Batch:
    places = pa.array(rows)
    return Batch(
        uris=batch.uris.take(places),
        etags=batch.etags.take(places),
        sizes=batch.sizes.take(places),
        causes=batch.causes[rows],
        cursor_at=lambda row: batch.cursor_at(int(rows[row])),
    )


def _without_repeats(batches: Iterator[Batch], here: Seen) -> Iterator[Batch]:
    """Only what is wanted is remembered: the rest of a source is not known any more to who goes on behind a cursor."""
    for batch in batches:
        wanted = batch.causes == 0
        again = np.zeros(len(wanted), np.bool_)
        again[wanted] = here.add(names_of(batch.uris.filter(pa.array(wanted))))
        yield _left_out(batch, again, REPEATED)


def _left_out(batch: Batch, rows: NDArray[np.bool_], cause: int) -> Batch:
    return replace(batch, causes=np.where((batch.causes == 0) & rows, np.uint8(cause), batch.causes))


def _names(tasks: Sequence[ShardTask], *, with_etags: bool) -> NDArray[np.bytes_]:
    videos = [video for task in tasks for video in task.videos]
    uris = [video.uri for video in videos]
    return names_of_rows(uris, [video.etag for video in videos]) if with_etags else names_of_rows(uris)


def names_of_rows(*columns: Sequence[str]) -> NDArray[np.bytes_]:
    """Name rows of texts, given column by column, as those of a source are named."""
    return names_of(*(pa.array(column, pa.string()) for column in columns))
