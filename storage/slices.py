"""A part of the plan as bytes: sorted by shard and sliced by prefix, so that one prefix of a billion videos can be read alone.

    ┌ slice 03 ┬ slice 1f ┬  …  ┬ slice fe ┬ index ┐

Each slice is a zstd frame of JSON lines, one per shard, in the order of their ids; a slice holds the shards whose id begins with its
two hex digits. The index is a zstd frame that decompressors skip: `zstd -dc part-00000.jsonl.zst` prints every shard.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from schemas.errors import OperatorError
from schemas.job import PlanPartHeader, PlanPartSeal
from schemas.model import Model
from schemas.task import ShardId, ShardTask
from schemas.video import VideoRef
from storage.lines import zstd

SLICE_DIGITS = 2
PREFIXES: Final = tuple(f"{number:02x}" for number in range(256))
_SKIPPABLE = struct.pack("<I", 0x184D2A50)
_LENGTH = struct.Struct("<I")
_ENTRY = struct.Struct("<IIII16s")  # where a slice begins, how long it is, its shards, its videos, its digest
_END = b"framefleet-plan\n"
TAIL_BYTES = 16 << 10
"""An index is never longer: 256 entries of 32 bytes, and a header."""
_CHECKED: Mapping[int, int] = {zstd.CompressionParameter.checksum_flag: 1, zstd.CompressionParameter.compression_level: 3}


class PlannedShard(Model):
    """A line of the plan; job and recipe stand once for all."""

    shard_id: ShardId
    videos: tuple[VideoRef, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """Where the shards of one prefix stand in a part."""

    start: int
    length: int
    shards: int
    videos: int
    digest: bytes
    """The first 16 bytes of the SHA-256 of its bytes as they lie there."""


@dataclass(frozen=True, slots=True)
class PlanHead:
    """A part of the plan without its shards."""

    key: str
    header: PlanPartHeader
    index: bytes
    sha256: str
    """Of header and index."""

    def slice(self, prefix: str) -> Slice:
        """Where the shards stand whose ids begin with these two hex digits."""
        return Slice(*_ENTRY.unpack_from(self.index, int(prefix, 16) * _ENTRY.size))

    def span(self, prefix: str) -> range:
        """Which bytes the shards stand in whose ids begin so: slices follow each other; empty if there are none."""
        found = [one for one in map(self.slice, slices_below(prefix)) if one.length]
        return range(found[0].start, found[-1].start + found[-1].length) if found else range(0)

    def seal(self) -> PlanPartSeal:
        """Sum up the part for the plan's last page."""
        return PlanPartSeal(key=self.key, sha256=self.sha256, shards=self.header.shards, videos=self.header.videos)


def slices_below(prefix: str) -> tuple[str, ...]:
    """The slices that hold the shards whose ids begin so."""
    return (prefix[:SLICE_DIGITS],) if len(prefix) >= SLICE_DIGITS else tuple(name for name in PREFIXES if name.startswith(prefix))


def pack(header: PlanPartHeader, tasks: Iterable[ShardTask]) -> bytes:
    """Write a part; the bytes are the same for the same shards in any order."""
    slices, entries, start = list[bytes](), [bytes(_ENTRY.size)] * len(PREFIXES), 0
    for prefix, members in groupby(sorted(tasks, key=attrgetter("shard_id")), key=lambda task: task.shard_id[:2]):
        shards = list(members)
        body = zstd.compress(b"".join(map(_line, shards)), options=_CHECKED)
        videos = sum(len(shard.videos) for shard in shards)
        entries[int(prefix, 16)] = _ENTRY.pack(start, len(body), len(shards), videos, _digest(body))
        slices.append(body)
        start += len(body)
    said = zstd.compress(header.model_dump_json().encode() + b"\n" + b"".join(entries), options=_CHECKED)
    payload = said + _LENGTH.pack(len(said)) + _END
    return b"".join(slices) + _SKIPPABLE + _LENGTH.pack(len(payload)) + payload


def parse_head(key: str, tail: bytes) -> PlanHead:
    """Read a part's header and index out of its last TAIL_BYTES.

    Raises:
        OperatorError: it was cut or spoiled.
    """
    try:
        said = _said(tail)
        header, index = _header_and_index(zstd.decompress(said))
        return PlanHead(key, PlanPartHeader.model_validate_json(header), index, hashlib.sha256(said).hexdigest())
    except (ValueError, struct.error, zstd.ZstdError) as error:
        raise damaged(key, str(error)) from error


def _said(tail: bytes) -> bytes:
    payload, found, rest = tail.rpartition(_END)
    if not found or rest:
        raise ValueError("its end is missing")
    (length,) = _LENGTH.unpack(payload[-_LENGTH.size :])
    return payload[-_LENGTH.size - length : -_LENGTH.size]


def _header_and_index(said: bytes) -> tuple[bytes, bytes]:
    header, _, index = said.partition(b"\n")
    if len(index) != len(PREFIXES) * _ENTRY.size:
        raise ValueError("its index is cut")
    return header, index


def parse_slice(head: PlanHead, prefix: str, body: bytes, *, below: str = "") -> Iterator[PlannedShard]:
    """Parse the shards of a slice, in the order of their ids; only those whose ids begin with `below`.

    Raises:
        OperatorError: it was cut or spoiled.
    """
    if _digest(body) != head.slice(prefix).digest:
        raise damaged(head.key, f"its slice {prefix} is not what its index says")
    begin = b'{"shard_id":"' + below.encode()
    for line in zstd.decompress(body).splitlines():
        if line.startswith(begin):
            yield PlannedShard.model_validate_json(line)


def damaged(key: str, why: str) -> OperatorError:
    """Say that the plan cannot be read, and what to do."""
    return OperatorError(f"{key} of the plan is damaged ({why}); restore it from a backup, or begin the job anew elsewhere.")


def _line(task: ShardTask) -> bytes:
    return PlannedShard.model_construct(shard_id=task.shard_id, videos=task.videos).model_dump_json().encode() + b"\n"


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:16]
