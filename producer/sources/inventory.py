"""Objects as an S3 Inventory lists them: a billion keys for cents, as they were when it was made."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from urllib.parse import unquote_plus

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producer.sources import Batch
from producer.sources.inventory_files import TYPES, fetched, rows_of
from producer.sources.inventory_manifest import FIELDS, InventoryManifest, read_manifest
from producer.sources.inventory_places import manifest_of, prefix_in
from producer.sources.selection import ARCHIVED, causes_of, mark
from schemas.errors import OperatorError
from schemas.job import Selection
from schemas.video import UNKNOWN_ETAG

GONE = "is gone or has changed since the plan was begun with it; put it back, or launch under another output prefix with a newer one"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an inventory is read; it names the inventory, so that a newer one does not take its place."""

    manifest: str
    md5: str
    file: int = 0
    """Files before this one are read."""
    row: int = 0
    """So many of its rows are read."""

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read what `str` wrote; a manifest's URI may have spaces."""
        manifest, md5, file, row = text.rsplit(" ", 3)
        return cls(manifest, md5, int(file), int(row))

    def __str__(self) -> str:
        """Write what `parse` reads."""
        return f"{self.manifest} {self.md5} {self.file} {self.row}"

    def at(self, file: int, before: int, row: int) -> str:
        """Stand behind a row of a batch that has so many rows of the file before it."""
        return str(Cursor(self.manifest, self.md5, file, before + row + 1))


class Inventory:
    """An S3 Inventory, read file by file; of an object's versions only the latest counts."""

    distinct = True

    def __init__(self, source: str, selection: Selection) -> None:
        """Read the inventory that is meant by a manifest, a folder of dated inventories (`?date=2026-11-20`), or a bucket that has one."""
        self._source = source
        self._selection = selection

    def check(self) -> None:
        """Look whether the inventory is there, lists anything and says what is needed."""
        manifest, _ = self._newest
        if not manifest.files:
            raise OperatorError(f"The inventory {self._source} lists no objects.")

    def batches(self, *, after: str = "") -> Iterator[Batch]:
        """Show the rows behind a cursor, of the inventory that the cursor names."""
        manifest, start = self._begun(Cursor.parse(after)) if after else self._newest
        unasked = {"last_modified_date"} - self._needs()
        columns = [column for column in TYPES if column in manifest.columns and column not in unasked]
        prefix = prefix_in(self._source, start.manifest)
        with closing(fetched(start.manifest, manifest.files[start.file :])) as files:
            for number, body in enumerate(files, start.file):
                with body, _named(manifest, start.manifest, number):
                    for before, rows in rows_of(body, manifest, columns=columns, after=start.row if number == start.file else 0):
                        yield self._batch(rows, manifest, prefix, partial(start.at, number, before))

    @cached_property
    def _newest(self) -> tuple[InventoryManifest, Cursor]:
        uri = manifest_of(self._source, needs=self._needs())
        manifest, md5 = read_manifest(uri)
        self._check_columns(uri, manifest)
        return manifest, Cursor(uri, md5)

    def _begun(self, cursor: Cursor) -> tuple[InventoryManifest, Cursor]:
        manifest, md5 = read_manifest(cursor.manifest, if_missing=GONE)
        if md5 != cursor.md5:
            raise OperatorError(f"The inventory {cursor.manifest} {GONE}.")
        return manifest, cursor

    def _needs(self) -> frozenset[str]:
        dated = self._selection.modified_after or self._selection.modified_before
        return frozenset({"key", "size", "e_tag"} | ({"last_modified_date"} if dated else set()))

    def _check_columns(self, uri: str, manifest: InventoryManifest) -> None:
        if missing := ", ".join(sorted(FIELDS[column] for column in self._needs() - set(manifest.columns))):
            raise OperatorError(
                f"The inventory {uri} lacks {missing}: add what is missing to the fields of its configuration and wait for the next one, "
                "or list the bucket itself."
            )

    def _batch(self, rows: pa.RecordBatch, manifest: InventoryManifest, prefix: str, cursor_at: "partial[str]") -> Batch:
        keys = _keys(rows, manifest)
        return Batch(
            uris=pc.binary_join_element_wise(f"s3://{manifest.source_bucket}/", keys, ""),
            etags=_etags(rows["e_tag"]),
            sizes=pc.fill_null(rows["size"], 0),
            causes=_causes(rows, keys, prefix, self._selection),
            cursor_at=cursor_at,
        )


@contextmanager
def _named(manifest: InventoryManifest, uri: str, number: int) -> Iterator[None]:
    """Tell an operator which file is none."""
    try:
        yield
    except ValueError as error:
        raise OperatorError(
            f"{manifest.files[number].key} of the inventory {uri} is no {manifest.file_format} as the manifest has it ({error}): "
            "use another date's inventory."
        ) from error


def _causes(rows: pa.RecordBatch, keys: pa.StringArray, prefix: str, selection: Selection) -> NDArray[np.uint8]:
    causes = np.zeros(rows.num_rows, np.uint8)
    if prefix:
        mark(causes, "elsewhere", pc.invert(pc.starts_with(keys, pattern=prefix)))
    if "is_latest" in rows.schema.names:
        mark(causes, "not the latest version", pc.invert(rows["is_latest"]))
    if "is_delete_marker" in rows.schema.names:
        mark(causes, "delete marker", rows["is_delete_marker"])
    mark(causes, "no video suffix", pc.ends_with(keys, pattern="/"))
    of_selection = causes_of(
        paths=pc.utf8_slice_codeunits(keys, start=len(prefix)) if prefix else keys,
        sizes=rows["size"],
        modified=_column(rows, "last_modified_date"),
        classes=_classes(rows),
        selection=selection,
        by_suffix=not selection.all_files,
    )
    return np.where(causes, causes, of_selection)


def _keys(rows: pa.RecordBatch, manifest: InventoryManifest) -> pa.StringArray:
    """Raw keys; CSV has them as forms encode them."""
    keys = rows["key"]
    if keys.null_count:
        raise ValueError("a row has no key")
    if manifest.file_format != "CSV":
        return keys
    encoded = pc.match_substring_regex(keys, pattern="[%+]")
    decoded = [unquote_plus(key, errors="strict") for key in keys.filter(encoded).to_pylist()]
    return pc.replace_with_mask(keys, encoded, pa.array(decoded, pa.string()))


def _etags(etags: pa.StringArray) -> pa.StringArray:
    """Etags as listings have them, in quotes; a video whose inventory does not say its etag will be known by none."""
    bare = pc.ascii_trim(etags, characters='"')
    return pc.fill_null(pc.binary_join_element_wise('"', bare, '"', ""), UNKNOWN_ETAG)


def _classes(rows: pa.RecordBatch) -> pa.StringArray | None:
    """Storage classes, or the tier of an object that is archived by it."""
    classes, tiers = _column(rows, "storage_class"), _column(rows, "intelligent_tiering_access_tier")
    if classes is None or tiers is None:
        return classes if tiers is None else tiers
    return pc.if_else(pc.is_in(tiers, value_set=pa.array(ARCHIVED)), tiers, classes)


def _column(rows: pa.RecordBatch, name: str) -> pa.Array | None:
    return rows[name] if name in rows.schema.names else None
