"""The producer's benchmarks run and give the figures that they promise; what they come to is not for a test to say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))  # its files are scripts; behind everything else, so that no name of theirs hides another

import producer_buckets  # noqa: E402
import producer_films  # noqa: E402

TINY = ("--scale", "0.005", "--rounds", "1")


def told(script: str, *words: str, folder: Path) -> dict:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"TMPDIR": str(folder)})
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> dict[str, dict]:
    found = told("producer.py", *TINY, folder=tmp_path_factory.mktemp("table"))["cases"]
    return {case["case"].partition(",")[0]: case for case in found}


def test_listing_is_weighed_against_the_librarys_paginator(cases):
    listing = cases["listing"]
    assert listing["source_over_boto3"] > 0
    assert listing["boto3"] > 0 < listing["pages"]
    assert listing["keys"] == 5_000_000 // 3072
    assert listing["requests"]["LIST"] >= 2


def test_an_inventory_is_read_with_the_filter_of_videos_and_with_all(cases):
    inventory = cases["inventory"]
    assert inventory["all_videos"] > 0 < inventory["every_filter"]
    assert inventory["rows"] == 20_000


def test_a_plan_has_every_video_that_can_be_read_and_says_what_it_cost(cases):
    plan = cases["inventory to plan"]
    assert plan["videos"] == producer_films.wanted(40_000)
    assert 0 < plan["plan_bytes_per_video"] < 200
    assert plan["requests"]["PUT"] >= plan["parts"]
    assert plan["dollars_per_billion"] > 0


def test_shards_are_weighed_against_a_message_per_video(cases):
    assert cases["publishing"]["shards_over_celery"] > 1
    assert cases["publishing"]["redis_bytes_per_video"] > 0


def test_a_run_shows_memory_over_time_and_what_a_billion_would_cost(tmp_path):
    run = told("producer_billion.py", "--videos", "20000", "--file-rows", "10000", folder=tmp_path)["run"]
    assert run["ended_by"] == "the end of the source"
    assert run["videos_planned"] == run["inventory_videos"] == producer_films.wanted(20_000)
    assert 0 < run["rss_mb_last"] <= run["rss_mb_peak"]
    assert 0 < run["redis_mb_last"] <= run["redis_mb_peak"]
    assert run["for_a_billion"]["dollars"] > 0


def test_a_killed_producer_of_a_large_plan_goes_on(tmp_path):
    words = ("--resume-at", "0.002", "--shards-per-part", "16", "--file-rows", "20000", "--latency-ms", "1")
    (resumed,) = told("producer_billion.py", *words, folder=tmp_path)["resume"]
    assert resumed["as_of_videos"] >= 2_000_000
    assert resumed["seconds_to_next_message"] > 0 < resumed["seconds_with_an_empty_redis"]
    assert resumed["requests"]["LIST"] < resumed["requests_with_an_empty_redis"]["LIST"]


def test_a_built_job_passes_the_audit_whose_memory_is_shown(tmp_path):
    (audited,) = told("producer_audit.py", "--videos", "3000", "--frames", "2", folder=tmp_path)["audits"]
    assert audited["videos"] == 3000
    assert audited["frames"] == 6000
    assert audited["peak_rss_mb"] > 0


@pytest.mark.parametrize("count", [50, 4000, 1_000_000_000])
def test_the_bucket_of_films_is_in_the_order_of_its_names(count):
    films = producer_films.Films(count)
    numbers = np.unique(np.linspace(0, count - 1, 50).astype(np.int64))
    assert [row.tobytes().decode() for row in producer_films.names(numbers, count=count)] == [films[int(one)] for one in numbers]
    assert sorted(films[int(one)] for one in numbers) == [films[int(one)] for one in numbers]


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("prefix", ["", "videos/2026/0", "videos/2026/03/", "videos/2026/03/40/clip-00000", "w"])
def test_pages_of_a_listing_put_together_are_the_whole(prefix, delimiter):
    films = producer_films.Films(5000)
    below = [name for name in films if name.startswith(prefix)]
    folded = [prefix + rest[: rest.find("/") + 1] if delimiter and "/" in (rest := name[len(prefix) :]) else name for name in below]
    found, after = list[str](), ""
    while True:
        page = producer_buckets.find(films, producer_buckets.Question(prefix, after, 7 if delimiter else 999, delimiter))
        found += sorted([*(films[place] for place in page.places), *page.prefixes])
        if not (after := page.next_after):
            break
    assert found == list(dict.fromkeys(folded))
