"""Where videos come from: a folder or prefix that is listed, or a manifest that names them."""

import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from schemas.job import Selection
from schemas.video import VideoRef

MANIFEST_SUFFIXES = (".txt", ".lst", ".jsonl", ".ndjson", ".parquet")
_MP4_KIN = {".3g2", ".3gp", ".m4v", ".mov", ".mp4"}
_OTHERS = {".asf", ".avi", ".flv", ".m2ts", ".mkv", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
VIDEO_SUFFIXES = frozenset(_MP4_KIN | _OTHERS)
"""Suffixes that make a file a video in a folder or prefix, in any case of letters."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A video as a source shows it."""

    cursor: str
    """Where the source stands after it."""
    path: str
    """What globs are matched against: the path below the source, or the whole URI of a manifest's entry."""
    video: VideoRef


class Source(Protocol):
    """Something that shows videos in an order that never changes."""

    skipped: Counter[str]
    """What was left out, by cause."""

    def check(self) -> None:
        """Look whether there is anything to caption, as far as a look is free.

        Raises:
            OperatorError: there is not, or it cannot be read; the message says what to do.
        """

    def sightings(self, *, after: str = "") -> Iterator[Sighting]:
        """Show the videos, from behind a cursor on.

        Raises:
            OperatorError: the source cannot be read; the message says what to do.
        """


def is_manifest(source: str) -> bool:
    """Whether a source names a manifest rather than a place to list."""
    return source == "-" or posixpath.splitext(source)[1].lower() in MANIFEST_SUFFIXES


def open_source(source: str, selection: Selection) -> Source:
    """Open a source by its name: `-` or a manifest's suffix, else a folder, a prefix or a single video."""
    from producer.sources.listing import Listing
    from producer.sources.manifest import Manifest

    return Manifest(source, selection) if is_manifest(source) else Listing(source, selection)
