"""Writes inventories as S3 delivers them, in each of its formats."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_plus

import pyarrow as pa
from pyarrow import orc, parquet

from producer.sources import CAUSES, Source
from schemas.job import Selection
from storage import Store

FORMATS = ("Parquet", "ORC", "CSV")
WRITTEN = datetime(2026, 11, 1, 12, 30, 5, 250_000, tzinfo=UTC)
STAMP = "2026-11-20T01-00Z"
ODD_KEYS = (
    *("a.mp4", "with space.mp4", " lead.mp4", "plus+plus.mp4", "100%.mp4", "%41.mp4", "a%2Bb.mp4", "q?x=1&y=2#z.ts", "semi;colon.mkv"),
    *('quo"te.mp4', "'single'.mp4", "com,ma.mp4", "back\\slash.mp4", "new\nline.mp4", "carriage\rreturn.mp4", "tab\tx.mp4", "*?[a].mp4"),
    *("ünï.mov", "日本/映画.mp4", "😀.mp4", "a//b.mp4", "/lead.mp4", "./x.mp4", "NA.mp4", "NULL", "null.webm", "=1+1.mp4", "\u2028.mp4"),
)


@dataclass(frozen=True)
class Row:
    """One row of an inventory; None is what S3 leaves empty."""

    key: str
    size: int | None = 1000
    e_tag: str | None = "0123456789abcdef0123456789abcdef"
    last_modified_date: datetime | None = WRITTEN
    storage_class: str | None = "STANDARD"
    intelligent_tiering_access_tier: str | None = None
    is_latest: bool | None = True
    is_delete_marker: bool | None = False
    bucket: str = "films"


_NAMES = {
    "bucket": ("Bucket", pa.string()),
    "key": ("Key", pa.string()),
    "is_latest": ("IsLatest", pa.bool_()),
    "is_delete_marker": ("IsDeleteMarker", pa.bool_()),
    "size": ("Size", pa.int64()),
    "last_modified_date": ("LastModifiedDate", pa.timestamp("ms", tz="UTC")),
    "e_tag": ("ETag", pa.string()),
    "storage_class": ("StorageClass", pa.string()),
    "intelligent_tiering_access_tier": ("IntelligentTieringAccessTier", pa.string()),
}
USUAL = ("bucket", "key", "size", "last_modified_date", "e_tag", "storage_class")
VERSIONED = ("bucket", "key", "is_latest", "is_delete_marker", "size", "last_modified_date", "e_tag", "storage_class")
TIERED = (*USUAL, "intelligent_tiering_access_tier")


@dataclass(frozen=True)
class Delivery:
    """Where inventories are delivered, and how."""

    bucket: Store
    folder: str = "inv/films/daily"
    file_format: str = "Parquet"
    fields: Sequence[str] = USUAL

    @property
    def source(self) -> str:
        return f"inventory+{self.bucket.url}/{self.folder}"

    def deliver(self, *files: Sequence[Row], stamp: str = STAMP, source_bucket: str = "films") -> str:
        """Write an inventory with these files; returns the URI of its manifest."""
        bodies = [written(rows, self.file_format, self.fields) for rows in files]
        return self.deliver_bodies(*bodies, stamp=stamp, source_bucket=source_bucket)

    def deliver_bodies(self, *bodies: bytes, stamp: str = STAMP, source_bucket: str = "films") -> str:
        """Write an inventory whose files have these bytes."""
        listed = []
        for number, body in enumerate(bodies):
            key = f"{self.folder}/data/{stamp}-{number}.{self.file_format.lower()}"
            self.bucket.replace(key, body)
            listed.append({"key": key, "size": len(body), "MD5checksum": md5(body)})
        return self.seal({"files": listed, "sourceBucket": source_bucket}, stamp=stamp)

    def seal(self, said: dict[str, object], *, stamp: str = STAMP) -> str:
        """Write a manifest, and its checksum."""
        usual = {"destinationBucket": "arn:aws:s3:::elsewhere", "version": "2016-11-30", "creationTimestamp": "1764000000000"}
        layout = {"fileFormat": self.file_format, "fileSchema": schema_of(self.file_format, self.fields)}
        body = json.dumps(usual | layout | said, indent=2).encode()
        key = f"{self.folder}/{stamp}/manifest"
        self.bucket.replace(f"{key}.json", body)
        self.bucket.replace(f"{key}.checksum", md5(body).encode())
        return f"{self.bucket.url}/{key}.json"


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def schema_of(file_format: str, fields: Sequence[str]) -> str:
    """What a manifest says of its files' columns."""
    if file_format == "CSV":
        return ", ".join(_NAMES[field][0] for field in fields)
    if file_format == "ORC":
        return f"struct<{','.join(f'{field}:{_orc_type(field)}' for field in fields)}>"
    return f"message s3.inventory {{  {'  '.join(_parquet_field(field) for field in fields)} }}"


def _orc_type(field: str) -> str:
    return {pa.bool_(): "boolean", pa.int64(): "bigint", pa.string(): "string"}.get(_NAMES[field][1], "timestamp")


def _parquet_field(field: str) -> str:
    kinds = {pa.bool_(): f"boolean {field}", pa.int64(): f"int64 {field}", pa.string(): f"binary {field} (UTF8)"}
    kind = kinds.get(_NAMES[field][1], f"int64 {field} (TIMESTAMP_MILLIS)")
    return f"{'required' if field in ('bucket', 'key') else 'optional'} {kind};"


def written(rows: Sequence[Row], file_format: str, fields: Sequence[str] = USUAL) -> bytes:
    """The bytes of one file; Parquet has groups of three rows."""
    if file_format == "CSV":
        return _csv(rows, fields)
    out = io.BytesIO()
    table = pa.table({field: pa.array([getattr(row, field) for row in rows], _NAMES[field][1]) for field in fields})
    if file_format == "ORC":
        orc.write_table(table, out, compression="zlib")
    else:
        parquet.write_table(table, out, row_group_size=3 if len(rows) < 100 else 50_000)
    return out.getvalue()


def _csv(rows: Sequence[Row], fields: Sequence[str]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([_cell(field, getattr(row, field)) for field in fields] for row in rows)
    return gzip.compress(text.getvalue().encode())


def _cell(field: str, value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case _:
            return quote_plus(str(value), safe="/*-._") if field == "key" else str(value)


def open_inventory(source: str, **selection) -> Source:
    from producer.sources.inventory import Inventory  # noqa: PLC0415 - as the registry does

    return Inventory(source.removeprefix("inventory+"), Selection(**selection))


def seen(source: Source, *, after: str = "") -> Iterator[tuple[str, str, int, str, str]]:
    """Every row as it is shown: URI, etag, size, cause and the cursor behind it."""
    for batch in source.batches(after=after):
        assert len(batch.uris) == len(batch.etags) == len(batch.sizes) == len(batch.causes) > 0
        rows = zip(batch.uris.to_pylist(), batch.etags.to_pylist(), batch.sizes.to_pylist(), batch.causes.tolist(), strict=True)
        for number, (uri, etag, size, cause) in enumerate(rows):
            yield uri, etag, size, CAUSES[cause], batch.cursor_at(number)


def causes(source: Source) -> dict[str, str]:
    """Why each key is left out."""
    return {uri.removeprefix("s3://films/"): cause for uri, _, _, cause, _ in seen(source)}
