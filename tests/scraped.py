"""Reads /metrics as Prometheus does."""

from collections.abc import Iterable
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from schemas.metrics import Metric


@dataclass(frozen=True)
class Scrape:
    """What one look at /metrics showed."""

    kinds: dict[str, str]
    """Of each metric, by its whole name."""
    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]

    def by(self, label: str, name: str) -> dict[str, float]:
        """A metric's values by one of its labels, in sum, without zeros."""
        found: dict[str, float] = {}
        for (sample, labels), value in self.values.items():
            if sample == name and value:
                found[dict(labels)[label]] = found.get(dict(labels)[label], 0) + value
        return found

    def empty(self) -> set[str]:
        """Metrics that are named and have no value."""
        told = {sample.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for sample, _ in self.values}
        return {name for name in self.kinds if name not in told and name not in {sample for sample, _ in self.values}}


def parsed(text: str) -> Scrape:
    families = list(text_string_to_metric_families(text))
    kinds = {f"{one.name}_total" if one.type == "counter" else one.name: one.type for one in families}
    samples = [sample for one in families for sample in one.samples]
    return Scrape(kinds, {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples})


def scrape(port: int) -> Scrape:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    assert answer.status_code == 200
    return parsed(answer.text)


def serves(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5)
    except httpx.TransportError:
        return False
    return True


def kinds_of(rows: Iterable[Metric]) -> dict[str, str]:
    return {row.name: row.kind.value for row in rows}
