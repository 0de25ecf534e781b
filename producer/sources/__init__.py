"""Where videos come from: folders and prefixes that are listed, inventories of buckets, and manifests that name videos."""

import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.job import Selection

MANIFEST_SUFFIXES = (".txt", ".lst", ".jsonl", ".ndjson", ".parquet")
PACKED_SUFFIXES = (".gz", ".zst")
INVENTORY = "inventory+"
_MP4_KIN = {".3g2", ".3gp", ".m4v", ".mov", ".mp4"}
_OTHERS = {".asf", ".avi", ".flv", ".m2ts", ".mkv", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
VIDEO_SUFFIXES = frozenset(_MP4_KIN | _OTHERS)
"""Suffixes that make a file a video in a folder or prefix, in any case of letters."""

CAUSES = (
    "",
    "no video suffix",
    "not included",
    "excluded",
    "too small",
    "too large",
    "too old",
    "too new",
    "archived",
    "not the latest version",
    "delete marker",
    "repeated",
    "planned before",
    "elsewhere",
)
"""Why a row of a source is left out; the first is that of those that are wanted."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a source in its order, column by column, wanted or not."""

    uris: pa.StringArray
    etags: pa.StringArray
    sizes: pa.Int64Array
    """In bytes."""
    causes: NDArray[np.uint8]
    """For each row, where in CAUSES it says why it is left out."""
    cursor_at: Callable[[int], str]
    """Where the source stands after a row."""

    def skipped(self, upto: int) -> Counter[str]:
        """Count what is left out of the rows before this one, by cause."""
        counts = np.bincount(self.causes[:upto], minlength=1)
        return Counter({CAUSES[cause]: int(count) for cause, count in enumerate(counts) if cause and count})


class Source(Protocol):
    """Something that shows rows in an order that never changes."""

    distinct: bool
    """Whether it shows no URI twice by its nature; else whoever reads it has to look."""

    def check(self) -> None:
        """Look whether there is anything to caption, as far as a look is free.

        Raises:
            OperatorError: there is not, or it cannot be read; the message says what to do.
        """

    def batches(self, *, after: str = "") -> Iterator[Batch]:
        """Show the rows, from behind a cursor on; no batch is empty or larger than can be held in memory many times over.

        Raises:
            OperatorError: the source cannot be read; the message says what to do.
        """


def is_manifest(source: str) -> bool:
    """Whether a source names a manifest rather than a place to list; lines may be compressed."""
    stem, suffix = posixpath.splitext(source.lower())
    if suffix in PACKED_SUFFIXES:
        suffix = posixpath.splitext(stem)[1].replace(".parquet", "")
    return source == "-" or suffix in MANIFEST_SUFFIXES


def open_sources(sources: Sequence[str], selection: Selection) -> Source:
    """Open sources by their names, to be read one after the other."""
    from producer.sources.several import Several, refuse_twins

    refuse_twins(sources)
    return Several({source: open_source(source, selection) for source in sources})


def open_source(source: str, selection: Selection) -> Source:
    """Open a source by its name: `inventory+s3://…`, `-` or a manifest's suffix, else a folder, a prefix or a single video."""
    if source.startswith(INVENTORY):
        from producer.sources.inventory import Inventory

        return Inventory(source.removeprefix(INVENTORY), selection)
    if is_manifest(source):
        from producer.sources.manifest import Manifest

        return Manifest(source, selection)
    from producer.sources.listing import Listing

    return Listing(source, selection)
