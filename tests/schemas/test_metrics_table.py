"""The table of metrics keeps Prometheus's conventions, and the docs show it as it is."""

import re
from itertools import combinations
from pathlib import Path

import pytest

from schemas.metrics import BUCKETS, FLEET, PROCESS, PRODUCER, WORKER, Metric, MetricKind, markdown, named

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
OWN = (*WORKER, *FLEET, *PRODUCER)
BOUNDED = {
    *("outcome", "reason", "scope", "stage", "rung", "field", "kind", "state", "cause", "job_name", "url", "recipe", "recipe_id"),
    *("version", "python", "worker", "engine", "model", "machine"),
}
"""Labels with few values each: nothing of a video, a shard or a frame."""


@pytest.mark.parametrize("rows", [WORKER, FLEET, PRODUCER, PROCESS])
def test_the_docs_show_the_table_as_it_is(rows: tuple[Metric, ...]) -> None:
    assert markdown(rows) in DOCS.read_text(encoding="utf-8")


def test_the_docs_name_no_metric_that_is_not_in_the_table() -> None:
    words = set(re.findall(r"\b(?:framefleet|process)_[a-z_]+\b", DOCS.read_text(encoding="utf-8")))
    known = {row.name for row in (*OWN, *PROCESS)}
    parts = {f"{name}_{part}" for name in BUCKETS for part in ("bucket", "count", "sum")}
    assert words <= known | parts


@pytest.mark.parametrize("row", OWN, ids=lambda row: row.name)
def test_names_follow_the_conventions(row: Metric) -> None:
    assert re.fullmatch(r"framefleet_[a-z][a-z0-9_]*", row.name)
    assert row.name.endswith("_total") == (row.kind is MetricKind.COUNTER)
    assert row.name.removesuffix("_total").endswith(row.unit)
    assert set(row.labels) <= BOUNDED
    assert not {"job", "instance"} & set(row.labels)  # Prometheus's own: a scrape would rename ours
    assert row.says.endswith(".")
    assert (row.name in BUCKETS) == (row.kind is MetricKind.HISTOGRAM)


def test_a_name_means_one_thing_in_one_process() -> None:
    kinds = [{row.name for row in rows} for rows in (WORKER, FLEET, PRODUCER)]
    assert [len(names) for names in kinds] == [len(rows) for rows in (WORKER, FLEET, PRODUCER)]
    assert {name for one, other in combinations(kinds, 2) for name in one & other} == {"framefleet_build_info"}
    assert all(named(row.name) == row for row in OWN)


def test_the_full_address_of_a_job_stands_in_one_metric_only() -> None:
    assert [row.name for row in OWN if "url" in row.labels] == ["framefleet_job_info"]
