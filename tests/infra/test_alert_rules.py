"""Every alert says what happens, has a heading in the runbook and is shown firing and not firing; the chart ships them as they are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from queries import CHECKOUT, RULES, alerts, recorded, rules
from rendered import SPECIAL, manifests_in, of_kind, render

ALERTS = alerts()
RUNBOOK = CHECKOUT / "docs" / "operations.md"
UNIT_TESTS = sorted((CHECKOUT / "tests" / "ship" / "alerts").glob("*.yaml"))
SUBJECT = re.compile(r'(?:fleet|job_name|reason)="(\w+)"')
EVERY = pytest.mark.parametrize("name", ALERTS)
ASKED_FOR = {"QueueStuck", "NoProgress", "BreakerOpen", "DeadLetterRate", "NewDeadReason", "EfficiencyDrop", "RedeliveryStorm"}
ASKED_FOR |= {"RedisMemory", "AuditGap"}


def headings() -> list[str]:
    """Alerts that the runbook has a heading for."""
    section = re.split(r"^## ", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    [found] = [text for text in section if text.startswith("When an alert fires\n")]
    return re.findall(r"^### (\w+)$", found, flags=re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """A moment of a unit test: how many fire, of how many fleets or jobs that the test has."""

    firing: int
    subjects: int


def cases(name: str) -> Iterator[Case]:
    """What an alert's unit tests expect."""
    for test in (test for path in UNIT_TESTS for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]):
        subjects = {tuple(SUBJECT.findall(one["series"])) for one in test["input_series"]}
        for case in test.get("alert_rule_test", []):
            if case["alertname"] == name:
                yield Case(len(case["exp_alerts"]), len(subjects))


def test_there_is_an_alert_for_whatever_an_operator_must_hear_of() -> None:
    assert {f"Framefleet{name}" for name in ASKED_FOR} <= set(ALERTS)


@EVERY
def test_an_alert_says_how_bad_it_is_what_happens_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]
    assert re.fullmatch(r"Framefleet[A-Z][A-Za-z]+", name)
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"docs/operations.md#{name.lower()}"
    assert re.search(r"\d", notes["description"]) or "$value" in notes["description"]
    assert notes["description"].endswith(".")
    assert "$labels.fleet" in notes["summary"]


@EVERY
def test_an_alert_survives_a_scrape_that_fails_and_a_pod_that_moves(name: str) -> None:
    """What it fires for is a fleet, a job or a reason: an address in its labels would make it another alert after each restart."""
    first = re.match(r"[\s(]*(?:\w+\()?[\s(]*(sum|max|min|avg|time|fleet:)", ALERTS[name]["expr"])
    assert first, ALERTS[name]["expr"]


def test_no_name_is_given_twice() -> None:
    assert len(ALERTS) + len(recorded()) == len(rules())


def test_every_alert_has_a_heading_in_the_runbook_and_every_heading_an_alert() -> None:
    assert sorted(headings()) == sorted(ALERTS)


@EVERY
def test_every_alert_is_shown_firing_and_shown_silent(name: str) -> None:
    found = list(cases(name))
    assert [case for case in found if case.firing]
    assert [case for case in found if case.firing < case.subjects]


# How the chart ships them


def shipped(values: dict[str, Any]) -> list[dict[str, Any]]:
    [rule] = [one for one in manifests_in(render(values)) if one["kind"] == "PrometheusRule"]
    groups: list[dict[str, Any]] = rule["spec"]["groups"]
    return groups


def test_the_chart_ships_the_rules_as_they_are() -> None:
    assert shipped(SPECIAL["everything"]) == yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]


def test_links_lead_to_the_runbook_that_an_operator_names() -> None:
    values = {"monitoring": {"rules": True, "runbookUrl": "https://runbooks.example/framefleet"}}
    links = [rule["annotations"]["runbook_url"] for group in shipped(values) for rule in group["rules"] if "alert" in rule]
    assert sorted(links) == sorted(f"https://runbooks.example/framefleet#{name.lower()}" for name in ALERTS)


@pytest.mark.parametrize(("kind", "endpoints"), [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")])
def test_monitors_say_of_which_fleet_a_series_is(kind: str, endpoints: str) -> None:
    [monitor] = of_kind("everything", kind)
    for endpoint in monitor["spec"][endpoints]:
        assert endpoint["relabelings"] == [{"targetLabel": "fleet", "replacement": "captions/fleet"}]
