"""What a bucket says of its inventories."""

from typing import Any

import pytest
from s3_server import S3Server

from storage import ObjectDenied, ObjectMissing
from storage.inventory_config import InventoryPlace, _configurations, inventories_of


class Paged:
    """A client whose bucket has more inventories than go into one answer."""

    def list_bucket_inventory_configurations(self, *, Bucket: str, ContinuationToken: str = "0") -> dict[str, Any]:  # noqa: N803
        assert Bucket == "films"
        number = int(ContinuationToken)
        page = {"InventoryConfigurationList": [{"Id": number}], "IsTruncated": number < 2}
        return page | ({"NextContinuationToken": str(number + 1)} if number < 2 else {})


def test_every_page_of_inventories_is_read() -> None:
    assert [found["Id"] for found in _configurations(Paged(), "films")] == [0, 1, 2]


@pytest.mark.parametrize(("prefix", "folder"), [("", ""), ("inv/all", "inv/all/"), ("inv/", "inv/")])
def test_an_inventory_says_where_it_is_delivered_and_what_it_lists(s3_server: S3Server, s3_bucket: str, prefix: str, folder: str) -> None:
    name = s3_bucket.removeprefix("s3://")
    to = {"Bucket": "arn:aws:s3:::reports", "Format": "ORC"} | ({"Prefix": prefix} if prefix else {})
    said = {
        "Id": "daily",
        "IsEnabled": True,
        "IncludedObjectVersions": "All",
        "Destination": {"S3BucketDestination": to},
        "Schedule": {"Frequency": "Daily"},
        "Filter": {"Prefix": "cats/"},
    }
    s3_server.client().put_bucket_inventory_configuration(Bucket=name, Id="daily", InventoryConfiguration=said)
    expected = InventoryPlace(
        name="daily",
        url=f"s3://reports/{folder}{name}/daily",
        prefix="cats/",
        fields=frozenset(),
        all_versions=True,
        file_format="ORC",
        enabled=True,
    )
    assert inventories_of(name) == [expected]


def test_a_bucket_without_inventories_has_none(s3_bucket: str) -> None:
    assert inventories_of(s3_bucket.removeprefix("s3://")) == []


def test_a_bucket_that_is_missing_or_denied_says_so(s3_server: S3Server, s3_bucket: str) -> None:
    with pytest.raises(ObjectMissing):
        inventories_of(f"{s3_bucket.removeprefix('s3://')}-nowhere")
    s3_server.denied.add(s3_bucket)
    with pytest.raises(ObjectDenied):
        inventories_of(s3_bucket.removeprefix("s3://"))
