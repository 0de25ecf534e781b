"""A job's lines as its readers want them: of each video those of the latest look at the sources that has any."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing

from fleet import options as o
from producer.fresh import names_of_rows
from producer.seen import Seen
from schemas.task import root_of
from storage import ObjectMeta
from storage.job import Job
from storage.ledger import Ledger


def latest_lines(job: Job) -> Iterator[bytes]:
    """Stream the lines of a job, as they were committed; those of older recipes and older versions of a video are left out.

    They come look by look, the latest first, and within one in the order of shards, in memory for one shard.
    """
    ledger = job.ledger()
    rounds = sorted({head.header.round for head in ledger.heads()}, reverse=True)
    if len(rounds) == 1:
        yield from (line for _, meta in job.committed() for line in job.lines(meta))
        return
    with closing(Seen()) as shown:
        for number in rounds:
            for prefix in ledger.prefixes():
                for lines in _of_shards(job, ledger, prefix, number):
                    yield from _not_shown(lines, shown)


def _of_shards(job: Job, ledger: Ledger, prefix: str, number: int) -> Iterator[list[tuple[str, bytes]]]:
    """The lines of a prefix's shards that were planned in a round, shard by shard, each with its video's URI; a video is in one of them."""
    commits = defaultdict[str, list[ObjectMeta]](list)
    for shard, meta in job.committed(prefix):
        commits[root_of(shard)].append(meta)
    for task in ledger.planned(prefix, rounds=frozenset({number})):
        lines = (line for meta in commits[task.shard_id] for line in job.lines(meta))
        yield [(json.loads(line)["video"]["uri"], line) for line in lines]


def _not_shown(lines: list[tuple[str, bytes]], shown: Seen) -> Iterator[bytes]:
    uris = sorted({uri for uri, _ in lines})
    met = {uri for uri, before in zip(uris, shown.add(names_of_rows(uris)), strict=True) if before}
    return (line for uri, line in lines if uri not in met)


def read(job: o.JobUrl, endpoint_url: o.Endpoint = None, profile: o.Profile = None) -> None:
    """Print a job's lines as JSONL: where videos were captioned again, only the latest of each."""
    for line in latest_lines(o.opened(job, endpoint_url, profile)):
        sys.stdout.buffer.write(line + b"\n")
