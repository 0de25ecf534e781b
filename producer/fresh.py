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


def fresh(source: Source, *, after: str, job: Job, later: Round | None, stack: ExitStack) -> Iterator[Batch]:
    """Show a source's rows from behind a cursor on, and leave out what was planned before this round, and URIs that come again in it.

    A round for stale videos leaves out only what was planned with its own recipe.

    What has to be remembered for that lies on disk and is let go with the stack. Nothing has to be in the first round of a source
    that shows no URI twice.
    """
    batches, number, ledger = source.batches(after=after), later.number if later else 0, job.ledger()
    if later:
        earlier = stack.enter_context(Seen())
        for tasks in _planned_before(job, ledger, later):
            earlier.add(_names(tasks, with_etags=True))
        batches = _without_planned(batches, earlier)
    if not source.distinct:
        here = stack.enter_context(Seen())
        for part in (ledger.part(head) for head in ledger.heads() if head.header.round == number):
            here.add(_names(part.shards, with_etags=False))
        batches = _without_repeats(batches, here)
    return batches


def _planned_before(job: Job, ledger: Ledger, later: Round) -> Iterator[Sequence[ShardTask]]:
    """What counts as planned before a round, some shards at a time; a redrive of a video that had changed captions what was there then."""
    parts = (ledger.part(head) for head in ledger.heads() if head.header.round < later.number)
    known = chain((part.shards for part in parts), chunks(job.redrives(), REDRIVES_AT_ONCE))
    return ([task for task in tasks if later.why is Why.ADDED or task.recipe_id == later.recipe_id] for tasks in known)


def _without_planned(batches: Iterator[Batch], earlier: Seen) -> Iterator[Batch]:
    for batch in batches:
        yield _left_out(batch, earlier.has(names_of(batch.uris, batch.etags)), PLANNED_BEFORE)


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
