"""Dashboards and alerts as files, and what their queries ask for: names of metrics, and labels."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).parents[1]
CHART = CHECKOUT / "infra" / "helm" / "framefleet"
RULES = CHART / "rules" / "framefleet.yaml"
DASHBOARDS = {path.stem: path for path in sorted((CHART / "dashboards").glob("*.json"))}

TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTED = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
SPAN = re.compile(r"\[[^\]]*\]")
WORD = re.compile(r"(?<![\w:$.])([a-zA-Z_:][\w:]*)(?!\s*\()(?![\w:])")
LABEL = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)")
OFFSET = re.compile(r"\boffset\s+\w+")
KEYWORDS = frozenset({"and", "or", "unless", "bool", "by", "on"})


@dataclass(frozen=True)
class Query:
    """A query and where it stands."""

    where: str
    text: str

    def metrics(self) -> set[str]:
        """Names of the metrics that it asks for."""
        bare = SPAN.sub("", SELECTED.sub(r"\1", GROUPING.sub("", OFFSET.sub("", TEXT.sub("", self.text)))))
        return {word for word in WORD.findall(bare) if word not in KEYWORDS}

    def labels(self) -> Iterator[tuple[str, str]]:
        """Each metric and a label that it is selected by."""
        for name, inside in SELECTED.findall(TEXT.sub("", self.text)):
            yield from ((name, label) for label in LABEL.findall(inside))

    def groupings(self) -> set[str]:
        """Labels that it groups or joins by."""
        return {label.strip() for _, inside in GROUPING.findall(TEXT.sub("", self.text)) for label in inside.split(",") if label.strip()}


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARDS[name].read_text(encoding="utf-8"))
    return found


def panels(name: str) -> list[dict[str, Any]]:
    """What shows something: rows are headings."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def panel_queries(name: str) -> list[Query]:
    """What its panels ask."""
    return [Query(f"{name}: {panel['title']}", target["expr"]) for panel in panels(name) for target in panel["targets"]]


def annotation_queries(name: str) -> list[Query]:
    """What its annotations ask."""
    return [Query(f"{name}: {one['name']}", one["expr"]) for one in dashboard(name)["annotations"]["list"]]


def rules() -> list[dict[str, Any]]:
    """All alerts and all figures that are worked out beforehand."""
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def rule_queries() -> list[Query]:
    return [Query(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]


def every_query() -> list[Query]:
    return [*rule_queries(), *(query for name in DASHBOARDS for query in (*panel_queries(name), *annotation_queries(name)))]
