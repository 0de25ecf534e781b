"""How many objects a second of CPU reads: of a listing, beside boto3's paginator, and of an inventory in Parquet."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import boto3
from producer_films import FOLDERS
from producer_inventory import SOURCE, write_inventory
from producer_rates import dollars_per_billion, in_turns, ratios
from s3_listing import Lister, listed_s3
from s3_stand_in import BUCKET

from producer.sources import open_source
from schemas.job import Selection
from storage import Store, shared_store

BILLION = 1_000_000_000
CHOOSY = Selection(
    include=("videos/2026/*", "*.mp4"),
    exclude=("*/trailer-*",),
    min_size_bytes=1_000_000,
    max_size_bytes=100_000_000_000,
    modified_after=datetime(2026, 1, 1, tzinfo=UTC),
    modified_before=datetime(2026, 12, 1, tzinfo=UTC),
)
"""Every filter at once, of which none leaves out many."""
IN_FOLDER = CHOOSY.model_copy(update={"include": ("clip-*", "*.mp4")})
"""The same for a folder, whose paths are named from below it."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads a folder of the bucket, each time another one."""

    most: int
    """How many keys boto3 takes of it."""
    turns: "count[int]"
    boto: Any
    store: Store

    def folder(self) -> str:
        """The next one."""
        number = next(self.turns) * 1009 % FOLDERS
        return f"videos/2026/{1 + number // 256:02}/{number % 256:02x}"

    def by_boto(self) -> int:
        """By the library's paginator, one page after the other."""
        seen = 0
        for page in self.boto.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{self.folder()}/"):
            seen += len([(row["Key"], row["Size"], row["ETag"]) for row in page["Contents"]])
            if seen >= self.most:
                return seen
        return seen

    def by_pages(self) -> int:
        """By the store's pages, one after the other."""
        return sum(len(page.keys) for page in self.store.pages(f"{self.folder()}/"))

    def by_source(self) -> int:
        """By the producer's source, which leaves out what is no video or archived."""
        return rows_of(f"s3://{BUCKET}/{self.folder()}", Selection())

    def by_every_filter(self) -> int:
        """By the producer's source, with every filter there is."""
        return rows_of(f"s3://{BUCKET}/{self.folder()}", IN_FOLDER)


def rows_of(source: str, selection: Selection) -> int:
    """Read a source to its end; returns how many rows it showed, wanted or not."""
    return sum(len(batch.causes) for batch in open_source(source, selection).batches())


def measure_listing(*, films: int, most: int, rounds: int) -> list[dict[str, Any]]:
    """List folders of so many films by boto3 and by the fleet, in turns; boto3 takes so many of a folder's keys, being slow."""
    with tempfile.TemporaryDirectory() as folder, listed_s3(Path(folder), films=films) as s3:
        reader = Reader(most, count(), boto3.client("s3"), shared_store(f"s3://{BUCKET}"))
        ways: dict[str, Callable[[], int]] = {
            "boto3": reader.by_boto,
            "pages": reader.by_pages,
            "source": reader.by_source,
            "filtered": reader.by_every_filter,
        }
        for way in ways.values():
            way()  # what is loaded and opened once is not what is measured
        rates = in_turns(ways, rounds=rounds)
        cost = _cost(s3, reader)
    unit = {"case": "listing, keys per CPU-second", "keys": films // FOLDERS, "aim": "pages, source and filtered at least 20 times boto3"}
    return [unit | ratios(rates, to="boto3") | cost]


def _cost(s3: Lister, reader: Reader) -> dict[str, Any]:
    """What the requests of a listing come to, and how fast it is by the clock."""
    s3.requests()
    begun = time.monotonic()
    seen = reader.by_source()
    seconds, requests = time.monotonic() - begun, s3.requests()
    return {
        "keys_per_second": round(seen / seconds),
        "requests": requests,
        "dollars_per_billion": dollars_per_billion(requests, videos=seen),
    }


def measure_inventory(*, rows: int, rounds: int, file_rows: int) -> list[dict[str, Any]]:
    """Read an inventory through the filters."""
    with tempfile.TemporaryDirectory() as folder:
        data_bytes = write_inventory(Path(folder), films=BILLION, listed=rows, file_rows=file_rows)
        with listed_s3(Path(folder), films=BILLION) as s3:
            ways: dict[str, Callable[[], int]] = {
                "all_videos": lambda: rows_of(SOURCE, Selection()),
                "every_filter": lambda: rows_of(SOURCE, CHOOSY),
            }
            ways["all_videos"]()
            s3.requests()
            rates = in_turns(ways, rounds=rounds)
            requests = s3.requests()
    shown = {name: round(median(each)) for name, each in rates.items()}
    unit = {"case": "inventory, keys per CPU-second", "rows": rows, "bytes_per_row": round(data_bytes / rows, 1), "aim": "at least 1500000"}
    return [unit | shown | {"requests": requests, "dollars_per_billion": dollars_per_billion(requests, videos=2 * rounds * rows)}]
