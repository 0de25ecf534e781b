"""`framefleet metrics`: tells Prometheus of a fleet's broker and of jobs, whoever works on them."""

import threading
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from broker.app import App, make_app
from broker.look import BrokerLook, TrialCounts, look_at
from broker.progress import Progress
from broker.vitals import Vitals, all_vitals
from fleet import options as o
from fleet.efficiency import AT_WORK_SECONDS, dollars_per_million, efficiency_of
from fleet.followed import FollowedJob, keep_refreshing
from fleet.report import say as say_to
from fleet.running import err
from fleet.stop import Stop, listening
from fleet.watching import WorkerPrice
from schemas.control import ControlState
from schemas.errors import OperatorError
from schemas.estimate import Prices
from schemas.metrics import FLEET
from schemas.reasons import Reason
from storage.job import open_job
from workers.exporter import Exporter
from workers.families import Families

Jobs = Annotated[list[str] | None, typer.Option("--job", metavar="JOB", help="A job's output prefix; may be repeated.")]
Port = Annotated[int, typer.Option(help="Where Prometheus asks.", min=1, max=65535)]
Address = Annotated[str, typer.Option(help="On which of this machine's addresses.")]
Every = Annotated[float, typer.Option(help="Seconds between looks at jobs in storage; more where a look takes long.", min=1)]


class FleetCollector(Collector):
    """Puts the fleet's metrics together: of the broker when Prometheus asks, of jobs as they were last looked at."""

    def __init__(self, app: App, jobs: Sequence[FollowedJob], *, price: float | None = None) -> None:
        """Ask this broker about these jobs; `price` is in dollars for an hour of a worker."""
        self._app, self._jobs, self._price = app, jobs, price
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Family]:
        """All families; what the broker alone knows is left out while it is away."""
        families = Families(FLEET)
        families.put_build()
        with self._lock:  # two who ask at once would each count the same seconds
            look = self._asked(families)
            for job in self._jobs:
                put_job(families, job)
                put_stored(families, job)
                put_cost(families, job, self._price)
                if look:
                    put_queue(families, job, look)
        yield from families

    def _asked(self, families: Families) -> BrokerLook | None:
        try:
            look = look_at(self._app, [job.url for job in self._jobs])
            workers = all_vitals(self._app)
            for job in self._jobs:
                job.note(Progress(self._app, job.url).tally(), workers)
        except OperatorError:
            families.put("framefleet_broker_up", 0)
            return None
        families.put("framefleet_broker_up", 1)
        put_broker(families, look)
        put_workers(families, workers, self._price)
        return look


def put_broker(families: Families, look: BrokerLook) -> None:
    """Show the queue of all jobs, and what it lies in."""
    families.put("framefleet_backlog_shards", look.queued + look.in_flight)
    families.put("framefleet_queue_shards", look.queued)
    families.put("framefleet_in_flight_shards", look.in_flight)
    families.put("framefleet_queue_oldest_seconds", look.oldest_seconds)
    families.put("framefleet_breaker_open", look.breaker_open)
    families.put("framefleet_redis_used_bytes", look.used_bytes)
    families.put("framefleet_redis_limit_bytes", look.limit_bytes)


def put_workers(families: Families, workers: Sequence[Vitals], price: float | None) -> None:
    """Show who is there, and what a million frames cost with them."""
    busy = sum(one.seconds_at_work > 0 and one.idle_seconds < AT_WORK_SECONDS for one in workers)
    families.put("framefleet_workers", busy, state="busy")
    families.put("framefleet_workers", len(workers) - busy, state="idle")
    found = efficiency_of(workers)
    dollars = found.dollars_per_million_frames
    if price is not None and found.gpu_seconds_per_frame is not None:
        dollars = dollars_per_million(found.gpu_seconds_per_frame, dollars_per_hour=price)
    families.put("framefleet_dollars_per_million_frames", dollars)


def put_job(families: Families, job: FollowedJob) -> None:
    """Show whether the job is known, and how it was when it was last looked at."""
    families.put("framefleet_job_up", job.up, job_name=job.name)
    if job.seen is None:
        return
    status = job.seen.status
    families.put("framefleet_job_info", 1, job_name=job.name, url=job.url, recipe=status.recipe, recipe_id=status.recipe_id)
    families.put("framefleet_job_refreshed_timestamp_seconds", job.seen.at_seconds, job_name=job.name)
    for state in ControlState:
        families.put("framefleet_job_state", status.control.state is state, job_name=job.name, state=state.value)
    for reason in Reason:
        families.put("framefleet_job_dead_letters", status.dead_by_reason.get(reason.value, 0), job_name=job.name, reason=reason.value)


def put_stored(families: Families, job: FollowedJob) -> None:
    """Show how far it is, and what its last audit found."""
    if job.seen is None:
        return
    status, proof = job.seen.status, job.seen.proof
    families.put("framefleet_job_plan_complete", status.plan_complete, job_name=job.name)
    families.put("framefleet_job_producer_feeding", job.fed, job_name=job.name)
    for cause, count in status.skipped.items():
        families.put("framefleet_job_skipped_objects", count, job_name=job.name, cause=cause)
    families.put("framefleet_job_planned_shards", status.shards, job_name=job.name)
    families.put("framefleet_job_planned_videos", status.videos, job_name=job.name)
    families.put("framefleet_job_looked_ratio", status.looked_at, job_name=job.name)
    families.put("framefleet_job_committed_shards", status.committed_shards, job_name=job.name)
    families.put("framefleet_job_committed_videos", status.committed_videos, job_name=job.name)
    if proof is not None:
        families.put("framefleet_job_audit_timestamp_seconds", proof.at.timestamp(), job_name=job.name)
        families.put("framefleet_job_audit_uncovered_videos", proof.counts.get("uncovered"), job_name=job.name)
        families.put("framefleet_job_audit_uncommitted_shards", proof.counts.get("uncommitted"), job_name=job.name)
        families.put("framefleet_job_audit_clean", proof.clean, job_name=job.name)


def put_queue(families: Families, job: FollowedJob, look: BrokerLook) -> None:
    """Show what the broker knows of the job."""
    queued, in_flight = look.queued_of.get(job.name, 0), look.in_flight_of.get(job.name, 0)
    trials = look.trials_of.get(job.url, TrialCounts())
    families.put("framefleet_job_queue_shards", queued, job_name=job.name)
    families.put("framefleet_job_in_flight_shards", in_flight, job_name=job.name)
    families.put("framefleet_job_open_attempts", trials.attempts, job_name=job.name)
    families.put("framefleet_job_retried_shards", trials.retried, job_name=job.name)
    families.put("framefleet_job_suspect_shards", trials.suspects, job_name=job.name)
    families.put("framefleet_job_backlog_seconds", job.backlog_seconds(queued + in_flight), job_name=job.name)
    if job.tally is not None:
        families.put("framefleet_job_frames_total", job.tally.frames, job_name=job.name)
        families.put("framefleet_job_videos_total", job.tally.videos, job_name=job.name)
        families.put("framefleet_job_shards_total", job.tally.shards, job_name=job.name)
        families.put("framefleet_job_dead_total", job.tally.dead, job_name=job.name)
        families.put("framefleet_job_read_bytes_total", job.tally.bytes_read, job_name=job.name)
        families.put("framefleet_job_read_requests_total", job.tally.requests, job_name=job.name)


def put_cost(families: Families, job: FollowedJob, price: float | None) -> None:
    """Show how fast the job is, when it will be done, and what it costs."""
    families.put("framefleet_job_videos_per_second", job.videos_per_second, job_name=job.name)
    families.put("framefleet_job_eta_seconds", job.eta_seconds, job_name=job.name)
    if price is None or job.meter is None:
        return
    spent = job.meter.spent
    dollars = spent.dollars(Prices(accelerator_hour=price))
    families.put("framefleet_job_cost_dollars", dollars, job_name=job.name)
    families.put("framefleet_job_dollars_per_million_frames", 1e6 * dollars / spent.frames if spent.frames else None, job_name=job.name)


def metrics(
    broker: o.Broker,
    job: Jobs = None,
    port: Port = 9100,
    address: Address = "0.0.0.0",  # noqa: S104 - Prometheus asks from another machine; what is told is no secret
    price: WorkerPrice = None,
    every: Every = 120.0,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Serve /metrics of the broker and of jobs until told to stop. It answers also while the broker or storage is away."""
    o.use_storage(endpoint_url, profile)
    jobs = [FollowedJob(open_job(o.absolute(url))) for url in job or []]
    registry = CollectorRegistry()
    registry.register(FleetCollector(make_app(broker), jobs, price=price))
    ProcessCollector(registry=registry)
    stop = Stop(thrown=2)
    with listening(stop):
        exporter = opened(registry, address=address, port=port)
        say_to(err, f"Serving http://{address}:{port}/metrics; Ctrl-C or SIGTERM ends it.")
        serve(jobs, every_seconds=every, stop=stop)
        exporter.close()


def opened(registry: CollectorRegistry, *, address: str, port: int) -> Exporter:
    """Begin to serve.

    Raises:
        OperatorError: the port or the address cannot be had.
    """
    try:
        return Exporter(registry, address=address, port=port)
    except OSError as error:
        raise OperatorError(f"Nothing can be served at {address}:{port} ({error.strerror}): name another --port or --address.") from error


def serve(jobs: Sequence[FollowedJob], *, every_seconds: float, stop: Stop) -> None:
    """Look at jobs from a thread of its own until told to stop."""
    over = threading.Event()
    thread = threading.Thread(target=keep_refreshing, args=(jobs,), kwargs={"every_seconds": every_seconds, "over": over}, daemon=True)
    thread.start()
    while not stop():
        stop.sleep(3600)
    over.set()
