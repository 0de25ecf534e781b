"""Serves a worker's /metrics: what it counts, and what its pulse shows at the moment Prometheus asks."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from broker.breaker import Breaker, BreakerState
from broker.vitals import Vitals
from schemas.annotation import FIELDS
from schemas.metrics import WORKER
from workers.families import Families
from workers.figures import COUNTED, Figures
from workers.machine import machine_words
from workers.pulse import Pulse
from workers.settings import WorkerSettings

MISFITS = frozenset({*FIELDS, "json", "duplicate_key", "other_key", "shape"})
OWN_FIELD = "field:"
"""What the ladder puts before a property of a recipe's own schema."""

log = logging.getLogger(__name__)


class SeenBreaker(Breaker):
    """The breaker, which remembers whether it was open when somebody last looked."""

    open = False

    def state(self) -> BreakerState | None:
        """Why it is open, or None while it is closed."""
        found = super().state()
        self.open = found is not None
        return found


@dataclass(frozen=True, slots=True)
class WorkerCollector(Collector):
    """Puts a worker's metrics together out of its meters; nothing is counted for this, and no other machine is asked."""

    figures: Figures
    vitals: Callable[[], Vitals]
    ready_seconds: Callable[[], float]
    """Time since the worker was ready."""
    draining: Callable[[], bool]
    breaker_open: Callable[[], bool]

    def collect(self) -> Iterator[Family]:
        """The families that are not counted already."""
        families = Families(row for row in WORKER if row.name not in COUNTED)
        families.put_build()
        self._put_state(families)
        vitals = self.vitals()
        put_work(families, vitals)
        put_engine(families, vitals)
        yield from families

    def _put_state(self, families: Families) -> None:
        families.put("framefleet_leases_held", self.figures.leases_held)
        families.put("framefleet_worker_seconds_total", self.ready_seconds())
        families.put("framefleet_draining", self.draining())
        families.put("framefleet_breaker_seen_open", self.breaker_open())


def put_work(families: Families, vitals: Vitals) -> None:
    """Show how work goes, and what it costs."""
    info = {"worker": vitals.worker, "engine": vitals.engine, "model": vitals.model, "machine": machine_words()}
    families.put("framefleet_worker_info", 1, **info)
    families.put("framefleet_delivered_frames_total", vitals.frames)
    families.put("framefleet_gpu_seconds_total", vitals.seconds_at_work)
    families.put("framefleet_worker_dollars_per_hour", vitals.dollars_per_hour)
    families.put("framefleet_idle_seconds", vitals.idle_seconds)
    families.put("framefleet_engine_in_flight_frames", vitals.in_flight)
    families.put("framefleet_engine_window_frames", vitals.window)
    families.put("framefleet_pictures_waiting", vitals.pictures_waiting)


def put_engine(families: Families, vitals: Vitals) -> None:
    """Show what the engine did and could do."""
    ceiling = vitals.ceiling_frames_per_second
    families.put("framefleet_engine_questions_total", vitals.questions)
    families.put("framefleet_engine_ceiling_frames_per_second", ceiling)
    if ceiling and vitals.recent_seconds:
        families.put("framefleet_engine_efficiency_ratio", vitals.recent_captioned / vitals.recent_seconds / ceiling)
    for kind, count in vitals.tokens.items():
        families.put("framefleet_engine_tokens_total", count, kind=kind)
    for rung, ends in vitals.rungs.items():
        put_rung(families, rung, ends)


def put_rung(families: Families, rung: str, ends: Mapping[str, int]) -> None:
    """Show what came of a rung; answers that did not fit by the field that failed."""
    unfit = {cause: count for cause, count in ends.items() if cause in MISFITS or cause.startswith(OWN_FIELD)}
    for outcome, count in ends.items():
        if outcome not in unfit:
            families.put("framefleet_rungs_total", count, rung=rung, outcome=outcome)
    if unfit:
        families.put("framefleet_rungs_total", sum(unfit.values()), rung=rung, outcome="unfit")
    for cause, count in unfit.items():
        families.put("framefleet_schema_failures_total", count, rung=rung, field=cause.removeprefix(OWN_FIELD))


class Exporter:
    """A web server for one process's metrics."""

    def __init__(self, registry: CollectorRegistry, *, address: str, port: int) -> None:
        """Serve from a thread of its own.

        Raises:
            OSError: the port is taken, or the address is not this machine's.
        """
        self._server, self._thread = start_http_server(port, address, registry)

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_worker(
    settings: WorkerSettings,
    pulse: Pulse,
    figures: Figures,
    *,
    draining: Callable[[], bool],
    breaker_open: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> Exporter | None:
    """Serve the metrics of a worker that is ready now, unless its port is 0.

    Where that fails the worker goes on: its work does not depend on who watches it.
    """
    began = clock()
    figures.registry.register(WorkerCollector(figures, pulse.vitals, lambda: clock() - began, draining, breaker_open))
    ProcessCollector(registry=figures.registry)
    if settings.metrics_port == 0:
        return None
    try:
        exporter = Exporter(figures.registry, address=settings.metrics_address, port=settings.metrics_port)
    except OSError as error:
        log.warning("/metrics is not served (%s): give this worker a port of its own in FRAMEFLEET_METRICS_PORT, or 0 for none", error)
        return None
    log.info("/metrics is served at %s:%d", settings.metrics_address, settings.metrics_port)
    return exporter
