"""Reads what lies under a job, with a parser of its own: the checker must not believe the code that it checks."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class Objects(Protocol):
    """What is asked of a bucket."""

    def keys(self, prefix: str) -> list[str]:
        """List the objects under a prefix."""

    def get(self, key: str) -> bytes:
        """Read an object."""

    def writes(self, prefix: str) -> list[str]:
        """List the keys under a prefix, each as often as it was written or deleted."""


@dataclass(frozen=True, slots=True)
class Committed:
    """One object with captions."""

    shard: str
    rows: tuple[Mapping[str, Any], ...]
    broken: str = ""
    """What is wrong with its bytes; empty if they are whole lines of JSON."""


@dataclass(slots=True)
class Record:
    """All that lies under one job."""

    plan: dict[str, list[str]] = field(default_factory=dict)
    """The names of each planned shard's videos."""
    sealed: bool = False
    """Whether the plan says that it is complete."""
    committed: list[Committed] = field(default_factory=list)
    letters: list[Mapping[str, Any]] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    """Dead letters that are no JSON."""
    splits: set[str] = field(default_factory=set)
    """The shards that children stand for."""
    strange: list[str] = field(default_factory=list)
    """Objects of no kind that belongs under a job."""
    rewritten: list[str] = field(default_factory=list)
    """Objects that must be written once, and were written or deleted again."""


def read_record(bucket: Objects, job: str) -> Record:
    """Read everything under a job's prefix."""
    record = Record()
    for key in bucket.keys(f"{job}/"):
        _read(record, key.removeprefix(f"{job}/"), bucket.get(key))
    record.rewritten = again(key for key in bucket.writes(f"{job}/") if not key.endswith("/control.json") and "/producer/" not in key)
    return record


def _read(record: Record, key: str, body: bytes) -> None:
    match key.split("/"):
        case ["job.json" | "control.json"] | ["producer", _]:
            pass
        case ["plan", "complete.json"]:
            record.sealed = True
        case ["plan", _]:
            record.plan.update(videos_planned(body))
        case ["captions", _, name] if name.endswith(".jsonl"):
            record.committed.append(lines_of(name.partition(".jsonl")[0], body))
        case ["dead", _, _]:
            _read_letter(record, key, body)
        case ["splits", name]:
            record.splits.add(name.removesuffix(".json"))
        case _:
            record.strange.append(key)


def _read_letter(record: Record, key: str, body: bytes) -> None:
    try:
        record.letters.append(json.loads(body))
    except ValueError:
        record.torn.append(key)


def videos_planned(body: bytes) -> dict[str, list[str]]:
    """Read a part of a plan: each shard with the names of its videos."""
    shards = [json.loads(line) for line in zstd.decompress(body).splitlines()]
    return {shard["shard_id"]: [video_name(row) for row in shard["videos"]] for shard in shards}


def lines_of(shard: str, body: bytes) -> Committed:
    """Read a committed object, of which every line must be whole."""
    rows: list[Mapping[str, Any]] = []
    if body and not body.endswith(b"\n"):
        return Committed(shard, (), "its last line has no end")
    for number, line in enumerate(body.split(b"\n")[:-1], start=1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            return Committed(shard, tuple(rows), f"line {number} is no JSON")
    return Committed(shard, tuple(rows))


def video_name(video: Mapping[str, Any]) -> str:
    """The name of a video's object."""
    return str(video["uri"]).rpartition("/")[2]


def again(keys: Iterable[str]) -> list[str]:
    """The keys that come more than once."""
    seen, more = set[str](), set[str]()
    for key in keys:
        (more if key in seen else seen).add(key)
    return sorted(more)
