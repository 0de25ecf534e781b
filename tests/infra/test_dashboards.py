"""Dashboards are whole: nothing of one Grafana in them, nothing overlaps, every panel says what it is, and what it asks for exists."""

import json
import re
from itertools import combinations
from typing import Any

import pytest
from queries import DASHBOARDS, Query, annotation_queries, dashboard, every_query, panel_queries, panels, recorded
from rendered import of_kind

from schemas.metrics import BUCKETS, FLEET, PROCESS, PRODUCER, WORKER, MetricKind

ROWS = {row.name: row for row in (*WORKER, *FLEET, *PRODUCER, *PROCESS)}
PARTS = {f"{name}_{part}": ROWS[name] for name in BUCKETS for part in ("bucket", "count", "sum")}
OF_THE_SCRAPE = {"fleet", "instance"}
"""Labels that Prometheus and its monitors add to each series."""
OF_PROMETHEUS = {"ALERTS"}
UNITS = {"none", "short", "percentunit", "s", "h", "bytes", "Bps", "reqps", "currencyUSD"}
COLUMNS = 24
EVERY = pytest.mark.parametrize("name", DASHBOARDS)
QUERIES = every_query()


def keys_in(value: Any) -> set[str]:
    """Every key at any depth."""
    if isinstance(value, dict):
        return {*value, *(key for one in value.values() for key in keys_in(one))}
    return {key for one in value for key in keys_in(one)} if isinstance(value, list) else set()


def variables(name: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in dashboard(name)["templating"]["list"]}


def squares(panel: dict[str, Any]) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    return {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}


def test_there_is_a_dashboard_for_each_question() -> None:
    assert set(DASHBOARDS) == {"overview", "job", "engine", "media", "reliability"}


@EVERY
def test_a_dashboard_is_named_by_its_file_and_belongs_to_no_grafana(name: str) -> None:
    board = dashboard(name)
    assert board["uid"] == f"framefleet-{name}"
    assert board["title"].startswith("Framefleet: ")
    assert "id" not in board
    assert [panel["title"] for panel in board["panels"] if "id" in panel] == []
    assert not {"__inputs", "__requires", "iteration", "gnetId"} & keys_in(board)
    assert 39 <= board["schemaVersion"] <= 42  # of Grafana 11 and 12


@EVERY
def test_a_data_source_is_whatever_the_operator_chooses(name: str) -> None:
    sources = [one["datasource"] for one in (*panels(name), *dashboard(name)["annotations"]["list"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert variables(name)["datasource"]["type"] == "datasource"


@EVERY
def test_panels_lie_side_by_side(name: str) -> None:
    found = dashboard(name)["panels"]
    overlapping = [(one["title"], other["title"]) for one, other in combinations(found, 2) if squares(one) & squares(other)]
    assert overlapping == []
    assert [one["title"] for one in found if one["gridPos"]["x"] + one["gridPos"]["w"] > COLUMNS] == []


@EVERY
def test_every_panel_says_what_it_shows_in_which_unit_and_what_to_do(name: str) -> None:
    found = panels(name)
    assert len({panel["title"] for panel in found}) == len(found)
    for panel in found:
        assert len(panel["title"]) < 60
        assert re.fullmatch(r"[A-Z0-9$`].{20,}\.", panel["description"]), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@EVERY
def test_lines_of_one_panel_can_be_told_apart(name: str) -> None:
    for panel in panels(name):
        if panel["type"] != "table":
            legends = [target["legendFormat"] for target in panel["targets"]]
            assert all(legends)
            assert len(set(legends)) == len(legends), panel["title"]


@EVERY
def test_variables_are_there_and_are_used(name: str) -> None:
    asked = "\n".join([one.text for one in (*panel_queries(name), *annotation_queries(name))])
    asked += "\n".join(one.get("definition", "") for one in variables(name).values())
    used = set(re.findall(r"\$\{?(\w+)", asked)) - {"__rate_interval", "__range"}
    assert used == set(variables(name)) - {"datasource"}


@EVERY
def test_lists_of_labels_are_asked_of_metrics_that_have_them(name: str) -> None:
    for one in variables(name).values():
        if one["type"] == "query":
            [(metric, label)] = re.findall(r"^label_values\((framefleet_\w+)(?:\{.*\})?, (\w+)\)$", one["definition"])
            assert one["query"]["query"] == one["definition"]
            assert label in {*ROWS[metric].labels, *OF_THE_SCRAPE}


@EVERY
def test_dashboards_lead_to_each_other_and_show_when_the_breaker_opened_and_workers_drained(name: str) -> None:
    board = dashboard(name)
    assert [(link["type"], link["tags"], link["includeVars"], link["keepTime"]) for link in board["links"]] == [
        ("dashboards", ["framefleet"], True, True)
    ]
    assert board["tags"] == ["framefleet"]
    assert [metric for one in annotation_queries(name) for metric in one.metrics()] == ["framefleet_breaker_open", "framefleet_draining"]


@EVERY
def test_the_chart_ships_a_dashboard_as_it_is(name: str) -> None:
    [shipped] = [one for one in of_kind("everything", "ConfigMap") if one["metadata"]["name"] == f"fleet-framefleet-dashboard-{name}"]
    assert shipped["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(shipped["data"][f"{name}.json"]) == dashboard(name)


# What dashboards and alerts ask for


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_every_metric_that_is_asked_for_is_in_the_table(query: Query) -> None:
    assert query.metrics()
    assert query.metrics() - set(ROWS) - set(PARTS) - recorded() - OF_PROMETHEUS == set()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_every_label_that_is_asked_for_is_one_of_its_metric(query: Query) -> None:
    for metric, label in query.labels():
        if row := ROWS.get(metric) or PARTS.get(metric):
            assert label in {*row.labels, *OF_THE_SCRAPE}, metric
    known = {label for row in ROWS.values() for label in row.labels} | OF_THE_SCRAPE | {"le", "alertname", "severity"}
    assert query.groupings() <= known


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_counters_are_asked_for_as_rates_and_gauges_are_not(query: Query) -> None:
    rated = set(re.findall(r"\b(?:rate|increase)\(([\w:]+)", query.text))
    counters = {name for name in query.metrics() if name in PARTS or (name in ROWS and ROWS[name].kind is MetricKind.COUNTER)}
    assert rated == counters


def test_every_metric_of_the_table_is_shown_somewhere() -> None:
    shown = {name for query in QUERIES for name in query.metrics()}
    told = {name for name in ROWS if name in shown or {f"{name}_{part}" for part in ("bucket", "count", "sum")} & shown}
    of_no_use_alone = {"process_virtual_memory_bytes", "process_open_fds", "process_max_fds"}
    assert set(ROWS) - told == of_no_use_alone


# The reader of queries, which the tests above rely on


def test_names_and_labels_are_read_out_of_a_query() -> None:
    rated = 'sum by (le, stage) (rate(a_bucket{stage="x",fleet=~"$fleet"}[$__rate_interval]))'
    query = Query("here", f"{rated} / on (b) group_left (c) (d offset 1d > bool 2) or e:f:g")
    assert query.metrics() == {"a_bucket", "d", "e:f:g"}
    assert list(query.labels()) == [("a_bucket", "stage"), ("a_bucket", "fleet")]
    assert query.groupings() == {"le", "stage", "b", "c"}


@EVERY
def test_a_figure_is_of_now_and_not_the_last_that_somebody_told(name: str) -> None:
    figures = [panel for panel in panels(name) if panel["type"] in {"stat", "bargauge"}]
    assert figures
    late = [panel["title"] for panel in figures for one in panel["targets"] if (one.get("instant"), one.get("range")) != (True, False)]
    assert late == []  # over a range Grafana shows the latest value there is: an exporter that died would look well for hours
    assert {panel["options"].get("graphMode", "none") for panel in figures} == {"none"}  # which a single value would not fill


def test_a_bad_night_begins_with_what_fires() -> None:
    tables = sorted((panel["gridPos"]["y"], panel["title"]) for panel in panels("overview") if panel["type"] == "table")
    assert [title for _, title in tables] == ["Alerts that fire", "Jobs"]
    assert tables[0][0] == 4  # right below the figures
