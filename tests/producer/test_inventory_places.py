"""Which inventory is meant: one, the latest, one of a date, a copied one, or the one that a bucket's configuration leads to."""

import shutil
from pathlib import Path

import pytest
from builders import new_store
from inventories import FORMATS, STAMP, USUAL, Delivery, Row, causes, open_inventory, seen
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from s3_places import upload
from s3_server import S3Server

from producer.sources.inventory_places import FOREIGN_KEYS
from schemas.errors import OperatorError
from storage import open_store

LATER, LATEST = "2026-11-21T01-00Z", "2026-11-21T13-00Z"
FIELDS = ["Size", "LastModifiedDate", "ETag", "StorageClass"]


@pytest.fixture
def delivery() -> Delivery:
    return Delivery(new_store())


def test_a_manifest_means_itself(delivery: Delivery) -> None:
    manifest = delivery.deliver([Row("a.mp4")])
    delivery.deliver([Row("b.mp4")], stamp=LATER)
    assert list(causes(open_inventory(manifest))) == ["a.mp4"]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("", "c.mp4"), ("/", "c.mp4"), ("?date=2026-11-20", "a.mp4"), ("/?date=2026-11-21", "c.mp4"), (f"?date={LATER}", "b.mp4")],
)
def test_a_folder_means_its_latest_inventory_or_a_dates(delivery: Delivery, asked: str, shown: str) -> None:
    for stamp, key in {STAMP: "a.mp4", LATER: "b.mp4", LATEST: "c.mp4"}.items():
        delivery.deliver([Row(key)], stamp=stamp)
    assert list(causes(open_inventory(delivery.source + asked))) == [shown]


def test_a_date_without_an_inventory_says_which_dates_have_one(delivery: Delivery) -> None:
    delivery.deliver([Row("a.mp4")])
    with pytest.raises(OperatorError, match=f"no complete inventory of 2025-01-01: its last ones are of {STAMP}"):
        open_inventory(f"{delivery.source}?date=2025-01-01").check()


@pytest.mark.parametrize("lacking", ["json", "checksum"])
def test_an_inventory_that_is_still_delivered_is_passed_over(tmp_path: Path, lacking: str) -> None:
    delivery = Delivery(open_store(str(tmp_path)))
    delivery.deliver([Row("a.mp4")])
    late = delivery.deliver([Row("b.mp4")], stamp=LATER)
    Path(late.removeprefix("file://")).with_suffix(f".{lacking}").unlink()
    assert list(causes(open_inventory(delivery.source))) == ["a.mp4"]
    with pytest.raises(OperatorError, match="is not whole"):
        open_inventory(late).check()


def test_folders_with_other_names_are_no_inventories(delivery: Delivery) -> None:
    delivery.deliver([Row("a.mp4")])
    for name in ("2026-11-22/manifest.json", "2026/manifest.json", f"{LATER}/old/manifest.json", f"{LATER}.manifest.json", "hive/dt=2026"):
        delivery.bucket.replace(f"{delivery.folder}/{name}", b"{}")
    assert list(causes(open_inventory(delivery.source))) == ["a.mp4"]


def test_a_folder_without_inventories_says_what_to_name(delivery: Delivery) -> None:
    with pytest.raises(OperatorError, match="has no inventory: name the folder whose folders are dated"):
        open_inventory(delivery.source).check()


def test_a_folder_of_other_things_is_given_up_soon() -> None:
    store = new_store()
    for number in range(FOREIGN_KEYS + 2):
        store.replace(f"inv/2{number}", b"")
    Delivery(store, folder="inv").deliver([Row("a.mp4")], stamp="2999-11-20T01-00Z")
    with pytest.raises(OperatorError, match="has no inventory"):
        open_inventory(f"{store.url}/inv").check()


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("where", ["data", STAMP])
def test_a_copied_inventory_has_its_files_beside_the_dated_folder_or_in_it(tmp_path: Path, where: str, file_format: str) -> None:
    delivery = Delivery(open_store(str(tmp_path / "bucket")), file_format=file_format)
    delivery.deliver([Row("a b.mp4")], [Row("c.mp4")])
    copy = tmp_path / "a copy"
    shutil.copytree(tmp_path / "bucket" / delivery.folder / STAMP, copy / STAMP)
    shutil.copytree(tmp_path / "bucket" / delivery.folder / "data", copy / where, dirs_exist_ok=True)
    whole = list(seen(open_inventory(f"inventory+{copy}")))
    assert [uri for uri, *_ in whole] == ["s3://films/a b.mp4", "s3://films/c.mp4"]
    assert list(seen(open_inventory(f"inventory+{copy}"), after=whole[0][-1])) == whole[1:]


class Configured:
    """A bucket of films, with inventories that are configured and delivered."""

    def __init__(self, server: S3Server, films: str) -> None:
        self.server, self.films = server, films
        self.name = films.removeprefix("s3://")
        self.reports = open_store(f"{films}-reports")
        server.create_bucket(f"{self.name}-reports")

    def configure(
        self, name: str, *, fields: list[str] = FIELDS, prefix: str = "", enabled: bool = True, file_format: str = "Parquet"
    ) -> Delivery:
        bucket = f"arn:aws:s3:::{self.name}-reports"
        said = {
            "Id": name,
            "IsEnabled": enabled,
            "IncludedObjectVersions": "Current",
            "Destination": {"S3BucketDestination": {"Bucket": bucket, "Format": file_format, "Prefix": "inv/all"}},
            "Schedule": {"Frequency": "Daily"},
            "OptionalFields": fields,
        }
        filtered = {"Filter": {"Prefix": prefix}} if prefix else {}
        self.server.client().put_bucket_inventory_configuration(Bucket=self.name, Id=name, InventoryConfiguration=said | filtered)
        kept = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self.name].inventory_configs[name]
        kept.optional_fields = fields  # which it would tell with the XML's element around them
        return Delivery(self.reports, folder=f"inv/all/{self.name}/{name}", file_format=file_format)

    def deliver(self, delivery: Delivery, *keys: str, stamp: str = STAMP) -> None:
        delivery.deliver([Row(key, bucket=self.name) for key in keys], stamp=stamp, source_bucket=self.name)

    def shown(self, below: str = "", **selection) -> dict[str, str]:
        source = open_inventory(f"inventory+{self.films}{below}", **selection)
        return {uri.removeprefix(f"{self.films}/"): cause for uri, _, _, cause, _ in seen(source)}


@pytest.fixture
def configured(s3_server: S3Server, s3_bucket: str) -> Configured:
    return Configured(s3_server, s3_bucket)


def test_a_bucket_leads_to_its_latest_inventory(configured: Configured) -> None:
    daily = configured.configure("daily")
    configured.deliver(daily, "a.mp4")
    configured.deliver(daily, "a.mp4", "b c.mp4", stamp=LATER)
    assert configured.shown() == {"a.mp4": "", "b c.mp4": ""}
    assert configured.shown(f"?date={STAMP[:10]}") == {"a.mp4": ""}


def test_a_prefix_shows_what_is_below_it_and_globs_see_it_so(configured: Configured) -> None:
    configured.deliver(configured.configure("daily"), "cats/a.mp4", "cats/old/b.mp4", "catsuit.mp4", "dogs/a.mp4")
    expected = {"cats/a.mp4": "", "cats/old/b.mp4": "excluded", "catsuit.mp4": "elsewhere", "dogs/a.mp4": "elsewhere"}
    assert configured.shown("/cats", exclude=("old/*",)) == configured.shown("/cats/", exclude=("old/*",)) == expected


def test_a_prefix_is_still_known_when_reading_goes_on(configured: Configured) -> None:
    configured.deliver(configured.configure("daily"), "cats/a.mp4", "dogs/a.mp4", "cats/b.mp4")
    whole = list(seen(open_inventory(f"{configured.films}/cats")))
    assert list(seen(open_inventory(f"{configured.films}/cats"), after=whole[0][-1])) == whole[1:]
    assert [cause for *_, cause, _ in whole] == ["", "elsewhere", ""]


def test_of_several_inventories_one_that_covers_the_prefix_and_has_the_fields_is_chosen(configured: Configured) -> None:
    for name, said in {
        "1-poor": {"fields": ["Size"]},
        "2-off": {"enabled": False},
        "3-dogs": {"prefix": "dogs/"},
        "4-csv": {"file_format": "CSV"},
        "5-classless": {"fields": FIELDS[:3]},
        "6-good": {},
        "7-cats": {"prefix": "cats/"},
    }.items():
        configured.deliver(configured.configure(name, **said), f"cats/{name}.mp4")
    configured.configure("8-cats-not-delivered", prefix="cats/")
    assert configured.shown() == {"cats/6-good.mp4": ""}
    assert configured.shown("/cats") == {"cats/7-cats.mp4": ""}
    assert configured.shown("/cats/sub") == {"cats/7-cats.mp4": "elsewhere"}


def test_an_etag_is_that_of_a_listing(configured: Configured) -> None:
    upload(configured.server, configured.films, {"a.mp4": b"bytes", "b.mp4": b"more"})
    listed = {f"{configured.films}/{meta.key}": (meta.etag, meta.size_bytes) for meta in open_store(configured.films).list()}
    daily = configured.configure("daily")
    rows = [Row(uri.rpartition("/")[2], e_tag=etag.strip('"'), size=size) for uri, (etag, size) in listed.items()]
    daily.deliver(rows, source_bucket=configured.name)
    assert {uri: (etag, size) for uri, etag, size, *_ in seen(open_inventory(configured.films))} == listed
    for uri, (etag, _) in listed.items():
        assert open_store(configured.films).get_range(uri.rpartition("/")[2], start=0, end=1, etag=etag)


def test_a_bucket_without_an_inventory_says_what_to_do(configured: Configured) -> None:
    with pytest.raises(OperatorError, match=r"no S3 Inventory that lists it is configured: configure one .* or list s3://"):
        configured.shown()


def test_inventories_that_do_not_do_are_named(configured: Configured) -> None:
    configured.configure("off", enabled=False)
    configured.configure("dogs", prefix="dogs/")
    with pytest.raises(OperatorError, match=r"configured \(dogs lists dogs/; off is disabled\)|\(off is disabled; dogs lists dogs/\)"):
        configured.shown("/cats")


def test_a_configuration_that_lacks_a_field_is_named_with_it(configured: Configured) -> None:
    configured.configure("poor", fields=["Size", "StorageClass"])
    with pytest.raises(OperatorError, match=r"poor lacks ETag\): add the fields"):
        configured.shown()
    with pytest.raises(OperatorError, match=r"poor lacks ETag, LastModifiedDate\)"):
        configured.shown(modified_after="2026-01-01")


def test_an_inventory_that_is_not_delivered_yet_says_so(configured: Configured) -> None:
    configured.configure("daily")
    with pytest.raises(OperatorError, match=r"is delivered yet .* 48 hours"):
        configured.shown()


def test_a_bucket_that_does_not_tell_says_what_to_grant(configured: Configured) -> None:
    configured.server.denied.add(configured.films)
    with pytest.raises(OperatorError, match="grant s3:"):
        configured.shown()


def test_a_bucket_that_is_not_there_is_missing(s3_bucket: str) -> None:
    with pytest.raises(OperatorError, match="is not there"):
        open_inventory(f"{s3_bucket}-nowhere").check()


def test_dated_folders_in_s3_need_no_configuration(configured: Configured) -> None:
    delivery = Delivery(configured.reports, folder="copied", fields=USUAL)
    delivery.deliver([Row("a.mp4")])
    assert causes(open_inventory(delivery.source)) == {"a.mp4": ""}
