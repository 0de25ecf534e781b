"""Manifests written for tests, and their rows as tests compare them."""

import gzip
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from producer.sources import CAUSES
from producer.sources.manifest import Manifest
from schemas.job import Selection
from schemas.video import VideoRef
from storage.lines import zstd


def write_lines(folder: Path, *lines: str, name: str = "list.txt") -> str:
    """Write a manifest of lines, compressed as its name says; returns its path."""
    body = "".join(f"{line}\n" for line in lines).encode()
    (folder / name).write_bytes({".gz": gzip.compress, ".zst": zstd.compress}.get(Path(name).suffix, bytes)(body))
    return str(folder / name)


def write_parquet(folder: Path, *, row_group_size: int = 1 << 20, **columns) -> str:
    """Write a manifest in Parquet; returns its path."""
    pq.write_table(pa.table(columns), folder / "m.parquet", row_group_size=row_group_size, write_page_checksum=True)
    return str(folder / "m.parquet")


def source_of(name: str, **selection) -> Manifest:
    return Manifest(name, Selection(**selection))


def rows(source: Manifest, *, after: str = "") -> list[tuple[VideoRef, str, str]]:
    """Every row: the video, why it is left out, and the cursor behind it."""
    return [
        (VideoRef(uri=uri, etag=etag, size_bytes=size), CAUSES[cause], batch.cursor_at(row))
        for batch in source.batches(after=after)
        for row, (uri, etag, size, cause) in enumerate(
            zip(batch.uris.to_pylist(), batch.etags.to_pylist(), batch.sizes.to_pylist(), batch.causes.tolist(), strict=True)
        )
    ]


def videos(source: Manifest, *, after: str = "") -> list[VideoRef]:
    """The videos that are wanted."""
    return [video for video, cause, _ in rows(source, after=after) if not cause]


def skipped(source: Manifest) -> dict[str, int]:
    """How many rows are left out, by cause."""
    return sum((batch.skipped(len(batch.uris)) for batch in source.batches()), start=Counter())


def known(number: int) -> dict[str, object]:
    """A row that costs no look."""
    return {"uri": f"s3://nowhere/{number}.mp4", "etag": f"e{number}", "size_bytes": number}


def columns_of(numbers: range) -> dict[str, list[object]]:
    """Such rows, column by column."""
    return {name: [known(number)[name] for number in numbers] for name in known(0)}
