"""What an S3 Inventory says of itself: its files, their checksums and their columns."""

import hashlib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import OperatorError
from storage import ObjectDenied, ObjectMissing, StoreError, shared_store, split_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

CSV_COLUMNS = {
    "Bucket": "bucket",
    "Key": "key",
    "IsLatest": "is_latest",
    "IsDeleteMarker": "is_delete_marker",
    "Size": "size",
    "LastModifiedDate": "last_modified_date",
    "ETag": "e_tag",
    "StorageClass": "storage_class",
    "IntelligentTieringAccessTier": "intelligent_tiering_access_tier",
}
"""Columns as CSV inventories name them, and as Parquet and ORC do."""

FIELDS = {column: field for field, column in CSV_COLUMNS.items()}
"""Columns, and the fields that an inventory's configuration knows them by."""


class DataFile(BaseModel):
    """One file of an inventory."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    size: int = Field(ge=0)
    md5: str = Field(alias="MD5checksum")


class InventoryManifest(BaseModel):
    """An inventory's `manifest.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source_bucket: str = Field(alias="sourceBucket", min_length=1)
    file_format: Literal["Parquet", "ORC", "CSV"] = Field(alias="fileFormat")
    file_schema: str = Field(alias="fileSchema")
    files: tuple[DataFile, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in the files' order, named as Parquet and ORC name them."""
        match self.file_format:
            case "CSV":
                return tuple(CSV_COLUMNS.get(field.strip(), field.strip()) for field in self.file_schema.split(","))
            case "ORC":
                return tuple(re.findall(r"(\w+):", self.file_schema))
            case "Parquet":
                return tuple(re.findall(r"(?:required|optional)\s+\w+\s+(\w+)", self.file_schema))


NOT_WHOLE = "is not whole; wait until it is delivered, or use another date's"


def read_manifest(uri: str, *, if_missing: str = NOT_WHOLE) -> tuple[InventoryManifest, str]:
    """Read a `manifest.json` that its `manifest.checksum` vouches for; returns it with its MD5.

    Raises:
        OperatorError: it cannot be read, or is not what was delivered.
    """
    with told(f"The inventory {uri}", if_missing=if_missing):
        body, checksum = _get(uri), _get(f"{uri.removesuffix('.json')}.checksum")
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    if md5 != checksum.decode(errors="replace").strip():
        raise OperatorError(f"The inventory {uri} is damaged: manifest.checksum does not fit it. Copy it again, or use another date's.")
    try:
        return InventoryManifest.model_validate_json(body), md5
    except ValidationError as error:
        first = error.errors()[0]
        said = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise OperatorError(f"{uri} is no manifest of an S3 Inventory ({said}).") from error


@contextmanager
def told(what: str, *, if_missing: str = NOT_WHOLE) -> "Iterator[None]":
    """Tell an operator what became of a part of an inventory."""
    try:
        yield
    except ObjectMissing as error:
        raise OperatorError(f"{what} {if_missing} ({error}).") from error
    except ObjectDenied as error:
        raise OperatorError(
            f"{what} may not be read with these credentials ({error}): grant s3:GetObject and s3:ListBucket where inventories are "
            "delivered, and s3:GetInventoryConfiguration on the bucket that they are of."
        ) from error
    except StoreError as error:
        raise OperatorError(f"{what} cannot be read now ({error}); run the same command again to go on from here.") from error


def _get(uri: str) -> bytes:
    url, key = split_uri(uri)
    return shared_store(url).get(key)
