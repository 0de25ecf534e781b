"""Metrics as the Prometheus library has them, made out of the rows of the one table."""

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from platform import python_version

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from schemas.metrics import BUCKETS, BUILD, Metric, MetricKind, named

TOTAL = "_total"

disable_created_metrics()  # type: ignore[no-untyped-call]  # or each counter would bring a second metric, which no table names


def counter(name: str, registry: CollectorRegistry) -> Counter:
    """Make the counter of a row."""
    row = named(name)
    return Counter(row.name.removesuffix(TOTAL), row.says, row.labels, registry=registry)


def histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """Make the histogram of a row."""
    row = named(name)
    return Histogram(row.name, row.says, row.labels, registry=registry, buckets=BUCKETS[row.name])


class Build(Collector):
    """Says what runs."""

    def collect(self) -> Iterator[Family]:
        """The one metric."""
        families = Families([BUILD])
        families.put_build()
        yield from families


def registry_of_process() -> CollectorRegistry:
    """Begin with what the library tells of any process, and with what runs."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Build())
    return registry


class Families:
    """Metrics that are put together when Prometheus asks; a row without a value stays empty."""

    def __init__(self, rows: Iterable[Metric]) -> None:
        """Begin with these rows, empty."""
        self._rows = {row.name: row for row in rows}
        self._families = {row.name: _family(row) for row in self._rows.values()}

    def put(self, name: str, value: float | None, **labels: str) -> None:
        """Give a row a value; None is not known and leaves it out."""
        if value is not None:
            row = self._rows[name]
            self._families[name].add_metric([labels[label] for label in row.labels], value)

    def put_build(self) -> None:
        """Say what runs."""
        self.put(BUILD.name, 1, version=version("framefleet"), python=python_version())

    def __iter__(self) -> Iterator[Family]:
        """All of them, in the order of the table."""
        return iter(self._families.values())


def _family(row: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    if row.kind is MetricKind.COUNTER:
        return CounterMetricFamily(row.name.removesuffix(TOTAL), row.says, labels=row.labels)
    return GaugeMetricFamily(row.name, row.says, labels=row.labels)
