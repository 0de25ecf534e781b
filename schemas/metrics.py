"""The one table of metrics: what a worker and the fleet's exporter tell Prometheus, under which names and labels, and what it means.

Code makes its metrics out of these rows, docs/metrics.md shows them, and a test holds both against what a live fleet exposes. Labels have
few values: no video, shard or frame is ever one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """What Prometheus does with a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table."""

    name: str
    kind: MetricKind
    says: str
    """What it counts or shows, for whoever reads a dashboard."""
    labels: tuple[str, ...] = ()
    unit: str = ""
    """The base unit, which the name ends with; empty where it counts things that its name says."""
    when: str = ""
    """On what it depends whether there is a value; empty if there always is one."""


def _counter(name: str, says: str, labels: str = "", unit: str = "", when: str = "") -> Metric:
    return Metric(f"framefleet_{name}_total", MetricKind.COUNTER, says, tuple(labels.split()), unit, when)


def _gauge(name: str, says: str, labels: str = "", unit: str = "", when: str = "") -> Metric:
    return Metric(f"framefleet_{name}", MetricKind.GAUGE, says, tuple(labels.split()), unit, when)


def _seconds(name: str, says: str, labels: str = "", when: str = "") -> Metric:
    return Metric(f"framefleet_{name}_seconds", MetricKind.HISTOGRAM, says, tuple(labels.split()), "seconds", when)


BUILD = _gauge("build_info", "Always 1; the labels say what runs.", "version python")

WORKER: tuple[Metric, ...] = (
    BUILD,
    _gauge("worker_info", "Always 1; the model is the last one worked with.", "worker engine model machine"),
    # What stands in storage
    _counter("frames", "Frames of committed shards: captioned, copied from a near duplicate, or dead alone.", "outcome"),
    _counter("videos", "Videos of committed shards: captioned, partial (some frames dead) or dead.", "outcome"),
    _counter("video_bytes", "Size of these videos.", "outcome", "bytes"),
    _counter("read_bytes", "Bytes that storage sent of these videos.", "outcome", "bytes"),
    _counter("read_requests", "GETs that this took.", "outcome"),
    _counter("dead_letters", "Dead letters written, for a video or a frame, by reason.", "reason scope"),
    # How work goes
    _counter("delivered_frames", "Frames captioned or copied, also of attempts that came to nothing."),
    _counter("attempts", "Attempts at shards, by how they ended.", "outcome"),
    _counter("redeliveries", "Attempts at shards that had been taken up before."),
    _gauge("leases_held", "Shards that are claimed and being worked."),
    _seconds("stage", "Latencies: of a ranged GET, a frame's decoding, its caption, its validation, a shard's commit.", "stage"),
    _seconds("queue_wait", "Age of a shard when it was claimed, since it was first queued.", when="the message says when it was queued"),
    # The engine
    _counter("rungs", "Rungs of the repair ladder climbed, by what came of them; unfit is below by field.", "rung outcome"),
    _counter("schema_failures", "Answers that did not fit the schema, by rung and first failing field.", "rung field", when="one failed"),
    _counter("engine_questions", "Questions that the engine answered."),
    _counter("engine_tokens", "Tokens: prompt, image and cached (prefix cache) ones among the prompt's, output.", "kind", when="counted"),
    _gauge("engine_ceiling_frames_per_second", "What the engine alone can do here.", when="`bench engine` measured it, or it was told"),
    _gauge("engine_efficiency_ratio", "Frames answered in the last minute of work over the ceiling.", unit="ratio", when="the same"),
    _gauge("engine_in_flight_frames", "Frames that are with the engine."),
    _gauge("engine_window_frames", "Frames that may be with the engine, as the worker found best."),
    _gauge("pictures_waiting", "Decoded pictures that wait for the engine."),
    # Cost and state
    _counter("worker_seconds", "Seconds since the worker was ready, at work or idle.", unit="seconds"),
    _counter("gpu_seconds", "Seconds with at least one shard at work; a worker counts as one GPU.", unit="seconds"),
    _gauge("worker_dollars_per_hour", "Price of this worker.", when="FRAMEFLEET_GPU_DOLLARS_PER_HOUR is set"),
    _gauge("idle_seconds", "Seconds since a shard was last at work; 0 while one is.", unit="seconds"),
    _gauge("draining", "1 once the worker is told to end."),
    _gauge("breaker_seen_open", "1 if the breaker was open when the worker last looked."),
)

FLEET: tuple[Metric, ...] = (
    BUILD,
    _gauge("broker_up", "1 if the broker answered; while 0, what it alone knows is left out."),
    _gauge("backlog_shards", "Shards that wait or are at work: what an autoscaler follows."),
    _gauge("queue_shards", "Shards that wait."),
    _gauge("in_flight_shards", "Shards that are claimed."),
    _gauge("queue_oldest_seconds", "Age of the oldest message next in line.", unit="seconds", when="one waits and says when it was queued"),
    _gauge("breaker_open", "1 while the breaker is open."),
    _gauge("redis_used_bytes", "Redis's memory in use.", unit="bytes"),
    _gauge("redis_limit_bytes", "Redis's maxmemory.", unit="bytes", when="it has one"),
    _gauge("workers", "Workers that told of themselves in the last ten seconds: busy or idle.", "state"),
    _gauge("dollars_per_million_frames", "Of all workers, since they were ready.", when="a price is known and frames are done"),
    # Each job that the exporter was given
    _gauge("job_info", "Always 1; names the job behind the short name.", "job_name url recipe recipe_id"),
    _gauge("job_up", "1 if the last look at the job in storage succeeded; else the values are older.", "job_name"),
    _gauge("job_refreshed_timestamp_seconds", "When the job was last looked at.", "job_name", "seconds", "it succeeded once"),
    _gauge("job_state", "1 for what the operator said last: running, paused or cancelled.", "job_name state"),
    _gauge("job_plan_complete", "1 once all sources are planned.", "job_name"),
    _gauge("job_producer_feeding", "1 if a producer was at it between the last two looks.", "job_name", when="it was looked at twice"),
    _gauge("job_skipped_objects", "Objects of the sources that are left out, by cause.", "job_name cause", when="some are"),
    _gauge("job_planned_shards", "Shards planned so far.", "job_name"),
    _gauge("job_planned_videos", "Videos planned so far.", "job_name"),
    _gauge("job_looked_ratio", "Share of the shards that the next three are counted on; below 1 they are estimates.", "job_name", "ratio"),
    _gauge("job_committed_shards", "Shards that have their object.", "job_name"),
    _gauge("job_committed_videos", "Videos of these shards, captioned or dead.", "job_name"),
    _gauge("job_dead_letters", "Dead letters that stand, by reason.", "job_name reason"),
    # What the broker knows of each
    _gauge("job_queue_shards", "The job's shards that wait.", "job_name"),
    _gauge("job_in_flight_shards", "The job's shards that are claimed.", "job_name"),
    _gauge("job_open_attempts", "Attempts at shards that are not settled.", "job_name"),
    _gauge("job_retried_shards", "Of them, shards that were taken up more than once.", "job_name"),
    _gauge("job_suspect_shards", "Of them, shards that must run alone.", "job_name"),
    _counter("job_frames", "Frames delivered since the broker started.", "job_name"),
    _counter("job_videos", "Videos finished since the broker started.", "job_name"),
    _counter("job_shards", "Shards finished since the broker started.", "job_name"),
    _counter("job_dead", "Dead letters written since the broker started.", "job_name"),
    _counter("job_read_bytes", "Bytes read since the broker started.", "job_name", "bytes"),
    _counter("job_read_requests", "GETs since the broker started.", "job_name"),
    # What follows from both
    _gauge("job_videos_per_second", "Videos finished, by the last ten minutes.", "job_name", when="the exporter has run for 30 s"),
    _gauge("job_eta_seconds", "Until all that is planned is done, at this pace.", "job_name", "seconds", "the pace is known"),
    _gauge("job_backlog_seconds", "Until its queued and claimed shards are done.", "job_name", "seconds", "the pace is known"),
    _gauge("job_cost_dollars", "Spent so far, at --price.", "job_name", when="--price is given"),
    _gauge("job_dollars_per_million_frames", "The same by frames delivered.", "job_name", when="--price is given and frames are done"),
    _gauge("job_audit_timestamp_seconds", "When the last kept audit ended.", "job_name", "seconds", "an audit was kept"),
    _gauge("job_audit_uncovered_videos", "Videos of committed shards that it found unaccounted for.", "job_name", when="the same"),
    _gauge("job_audit_uncommitted_shards", "Planned shards that it found without an object.", "job_name", when="the same"),
    _gauge("job_audit_clean", "1 if it found nothing twice, stray or invalid.", "job_name", when="the same"),
)

PRODUCER: tuple[Metric, ...] = (
    BUILD,
    _counter("producer_planned_shards", "Shards that it planned."),
    _counter("producer_planned_videos", "Videos in them."),
    _counter("producer_planned_bytes", "Size of these videos.", unit="bytes"),
    _counter("producer_sent_shards", "Shards that it queued and that neither waited nor were in work."),
    _counter("producer_batches", "Batches of shards sent: taken, or refused by a full broker.", "outcome"),
    _seconds("producer_stage", "Latencies: of a part's planning, from listing to writing, and of sending a batch.", "stage"),
)
"""What `framefleet launch` tells of itself while it runs."""

PROCESS: tuple[Metric, ...] = (
    Metric("process_virtual_memory_bytes", MetricKind.GAUGE, "Virtual memory, without its children's.", unit="bytes"),
    Metric("process_resident_memory_bytes", MetricKind.GAUGE, "Memory, without its children's.", unit="bytes"),
    Metric("process_start_time_seconds", MetricKind.GAUGE, "When the process began, since the epoch.", unit="seconds"),
    Metric("process_cpu_seconds_total", MetricKind.COUNTER, "CPU time, without its children's.", unit="seconds"),
    Metric("process_open_fds", MetricKind.GAUGE, "Open file descriptors."),
    Metric("process_max_fds", MetricKind.GAUGE, "How many there may be."),
)
"""What the Prometheus library tells of any process."""

BUCKETS: dict[str, tuple[float, ...]] = {
    "framefleet_stage_seconds": (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
    "framefleet_producer_stage_seconds": (0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900),
    "framefleet_queue_wait_seconds": (0.1, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 3 * 24 * 3600),
}
"""Upper bounds of the histograms' buckets."""


def named(name: str) -> Metric:
    """Find a row by its whole name."""
    return _BY_NAME[name]


_BY_NAME = {row.name: row for row in (*WORKER, *FLEET, *PRODUCER, *PROCESS)}


def markdown(rows: Iterable[Metric]) -> str:
    """Write rows as docs/metrics.md shows them."""
    return "\n".join(["| name | type | labels | unit | meaning |", "| --- | --- | --- | --- | --- |", *_lines(rows)])


def _lines(rows: Iterable[Metric]) -> Iterator[str]:
    for row in rows:
        labels = ", ".join(f"`{label}`" for label in row.labels)
        says = f"{row.says} There if {row.when}." if row.when else row.says
        yield f"| `{row.name}` | {row.kind} | {labels} | {row.unit} | {says} |"
