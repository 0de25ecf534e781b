"""An S3 Inventory of the films in Parquet, as S3 itself writes it, made file by file from ranges of numbers.

inventories/videos/all/2026-11-21T01-00Z/manifest.json     names, sizes and MD5 of the data files
                                         manifest.checksum
                       data/00000.parquet …                one row per object, `FILE_ROWS` in each
"""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from producer_films import CLASSES, Bytes, archived, etags, names, sizes
from s3_stand_in import BUCKET

INVENTORIES = "inventories"
FOLDER = f"{BUCKET}/all"
MADE = "2026-11-21T01-00Z"
SOURCE = f"inventory+s3://{INVENTORIES}/{FOLDER}/{MADE}/manifest.json"
FILE_ROWS = 1_000_000
GROUP_ROWS = 100_000
MODIFIED_MS = 1_793_534_400_000
SCHEMA = (
    "message s3.inventory { required binary bucket (STRING); required binary key (STRING); optional binary version_id (STRING);"
    " optional boolean is_latest; optional boolean is_delete_marker; optional int64 size;"
    " optional int64 last_modified_date (TIMESTAMP(MILLIS,true)); optional binary e_tag (STRING); optional binary storage_class (STRING); }"
)


def write_inventory(folder: Path, *, films: int, listed: int, file_rows: int = FILE_ROWS) -> int:
    """Lay an inventory of the first so many films into a stand-in's folder; returns the bytes of its data."""
    bucket = folder / INVENTORIES
    bucket.mkdir()
    place = partial(_place, bucket)
    files = list(_files(bucket, films=films, listed=listed, file_rows=file_rows))
    manifest = json.dumps(_manifest(files)).encode()
    place(f"{FOLDER}/{MADE}/manifest.json").write_bytes(manifest)
    place(f"{FOLDER}/{MADE}/manifest.checksum").write_bytes(hashlib.md5(manifest).hexdigest().encode())  # noqa: S324 - S3's own choice
    return sum(int(file["size"]) for file in files)


def _files(bucket: Path, *, films: int, listed: int, file_rows: int) -> Iterator[dict[str, str | int]]:
    for number, first in enumerate(range(0, listed, file_rows)):
        key = f"{FOLDER}/data/{number:05}.parquet"
        path = _place(bucket, key)
        pq.write_table(rows(np.arange(first, min(listed, first + file_rows)), count=films), path, row_group_size=GROUP_ROWS)
        with path.open("rb") as file:
            yield {"key": key, "size": path.stat().st_size, "MD5checksum": hashlib.file_digest(file, "md5").hexdigest()}


def rows(numbers: NDArray[np.int64], *, count: int) -> pa.Table:
    """The rows of an inventory for these films."""
    always = partial(pa.repeat, size=len(numbers))
    return pa.table(
        {
            "bucket": always(BUCKET),
            "key": strings(names(numbers, count=count)),
            "version_id": pa.nulls(len(numbers), pa.string()),
            "is_latest": always(True),
            "is_delete_marker": always(False),
            "size": sizes(numbers),
            "last_modified_date": always(pa.scalar(MODIFIED_MS, pa.timestamp("ms", "UTC"))),
            "e_tag": strings(etags(numbers)),
            "storage_class": pa.array(CLASSES).take(pa.array(archived(numbers).astype(np.int8))),
        }
    )


def strings(rows: Bytes) -> pa.StringArray:
    """Rows of bytes as an Arrow column."""
    count, width = rows.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows))])


def _manifest(files: list[dict[str, str | int]]) -> dict[str, object]:
    return {
        "sourceBucket": BUCKET,
        "destinationBucket": f"arn:aws:s3:::{INVENTORIES}",
        "version": "2016-11-30",
        "creationTimestamp": "1795222800000",
        "fileFormat": "Parquet",
        "fileSchema": SCHEMA,
        "files": files,
    }


def _place(bucket: Path, key: str) -> Path:
    return bucket / quote(key, safe="")
