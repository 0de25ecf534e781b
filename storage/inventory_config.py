"""Which S3 Inventories a bucket has delivered about itself, and where to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from storage import StoreError, StoreUnavailable
from storage.s3 import _MEANINGS, _connect


@dataclass(frozen=True, slots=True)
class InventoryPlace:
    """One configured S3 Inventory."""

    name: str
    url: str
    """The folder that its dated folders are delivered to."""
    prefix: str
    """It lists the keys that begin with this."""
    fields: frozenset[str]
    """Optional fields as S3 names them, such as ETag."""
    all_versions: bool
    file_format: str
    """Parquet, ORC or CSV."""
    enabled: bool


def inventories_of(bucket: str) -> list[InventoryPlace]:
    """Ask a bucket for its inventories.

    Raises:
        StoreError: the bucket is missing, does not tell (s3:GetInventoryConfiguration), or cannot be asked now.
    """
    try:
        return [_place(bucket, found) for found in _configurations(_connect(bucket)[1], bucket)]
    except (ClientError, BotoCoreError) as error:
        message = f"s3://{bucket}: {error}"
        raise _meaning(error)(message) from error


def _meaning(error: Exception) -> type[StoreError]:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"] if isinstance(error, ClientError) else None
    return _MEANINGS.get(status, StoreUnavailable) if status else StoreUnavailable


def _configurations(client: Any, bucket: str) -> Iterator[dict[str, Any]]:
    """All pages; boto3 has no paginator for them."""
    asked = {"Bucket": bucket}
    while True:
        page = client.list_bucket_inventory_configurations(**asked)
        yield from page.get("InventoryConfigurationList", [])
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def _place(bucket: str, found: dict[str, Any]) -> InventoryPlace:
    to = found["Destination"]["S3BucketDestination"]
    folders = [to["Bucket"].rpartition(":")[2], to.get("Prefix", "").strip("/"), bucket, found["Id"]]
    return InventoryPlace(
        name=found["Id"],
        url="s3://" + "/".join(folder for folder in folders if folder),
        prefix=found.get("Filter", {}).get("Prefix", ""),
        fields=frozenset(found.get("OptionalFields", ())),
        all_versions=found["IncludedObjectVersions"] == "All",
        file_format=found["Destination"]["S3BucketDestination"]["Format"],
        enabled=found["IsEnabled"],
    )
