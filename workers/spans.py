"""Shards as OpenTelemetry spans, made of what the stages are timed by anyway.

    process framefleet          a message: one attempt at its shard, linked to what sent it
     ├ video                    from its first byte to its last caption
     │  ├ fetch                 a stage: from when it first began to when it last ended; how often, and for how many seconds in all
     │  ├ decode  caption  validate
     └ commit

Names are few, and no span holds free text: reasons come from closed lists. A library of OpenTelemetry's reads how spans are sampled
and sent from its own variables.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from time import time_ns

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from broker import QUEUE
from broker.messages import short_name
from schemas.reasons import Stage
from schemas.task import ShardTask
from workers.figures import LEASE_LOST, SETTLED, end_of, outcome_of
from workers.logs import note
from workers.pipeline import Outcome
from workers.tracing import UNTRACED, ShardTrace, Tracing

CLOSE_SECONDS = 3.0
"""How long a worker that leaves waits for whoever takes its spans; it leaves without their thanks."""
NANOSECONDS = 1_000_000_000
NO_FAULT = frozenset({LEASE_LOST, "dropped", "handed_back", "passed_on"})
"""Ends of an attempt that nobody is to blame for."""
W3C = TraceContextTextMapPropagator()

_place: ContextVar[int | None] = ContextVar("place", default=None)
"""Which video of its shard a thread is at; threads that work for it have a copy."""


class Spans(Tracing):
    """Sends spans by OTLP over HTTP, from a thread of its own."""

    def __init__(self, *, service: str, instance: str) -> None:
        """Begin to send, as `OTEL_*` variables say."""
        own = {"service.name": service, "service.version": version("framefleet"), "service.instance.id": instance}
        resource = Resource.create(own).merge(OTELResourceDetector().detect())  # an operator's words go first
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("framefleet")

    def shard(self, task: ShardTask, *, message: str, attempt: int, headers: Mapping[str, str]) -> ShardTrace:
        """Trace an attempt at a shard, as a trace of its own: a job may be of a billion videos."""
        sender = get_current_span(W3C.extract(headers, Context())).get_span_context()
        span = self._tracer.start_span(
            f"process {QUEUE}",
            Context(),
            kind=SpanKind.CONSUMER,
            links=[Link(sender)] if sender.is_valid else [],
            attributes={
                "messaging.system": "celery",
                "messaging.operation.type": "process",
                "messaging.operation.name": "process",
                "messaging.destination.name": QUEUE,
                "messaging.message.id": message,
                "framefleet.job": short_name(task.job),
                "framefleet.job.url": task.job,
                "framefleet.shard": task.shard_id,
                "framefleet.videos": len(task.videos),
                "framefleet.attempt": attempt,
            },
        )
        return TracedShard(self._tracer, span, task) if span.is_recording() else UNTRACED

    @contextmanager
    def command(self, name: str) -> Iterator[Mapping[str, str]]:
        """Trace a command, from its first word to its end."""
        with self._tracer.start_as_current_span(f"framefleet {name}", kind=SpanKind.PRODUCER, record_exception=False) as span:
            yield _headers(span)

    def close(self) -> None:
        """Send what is left, within moments: whoever takes the spans may be away."""
        sending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        sending.start()
        sending.join(CLOSE_SECONDS)


@dataclass(slots=True)
class Clock:
    """A stage of one video: when it first began and last ended."""

    began_ns: int
    ended_ns: int = 0
    seconds: float = 0.0
    times: int = 0

    def add(self, *, ended_ns: int, seconds: float) -> None:
        """Add something that has just ended."""
        self.began_ns = min(self.began_ns, ended_ns - int(seconds * NANOSECONDS))
        self.ended_ns = max(self.ended_ns, ended_ns)
        self.seconds += seconds
        self.times += 1


@dataclass(slots=True)
class TracedVideo:
    """A video under way, or the shard as a whole where it is no video's."""

    span: Span
    stages: dict[Stage, Clock] = field(default_factory=dict)
    began_ns: int = field(default_factory=time_ns)
    ended_ns: int = 0
    ended: bool = False

    def took(self, stage: Stage, seconds: float) -> None:
        """Add something of a stage."""
        now = self.ended_ns = time_ns()
        self.stages.setdefault(stage, Clock(now)).add(ended_ns=now, seconds=seconds)

    def end(self, tracer: Tracer, *, failures: Mapping[Stage, str]) -> None:
        """End the span, and make those of its stages; `failures` are reasons by the stage that they befell."""
        self.ended = True
        ends_ns = time_ns() if failures else self.ended_ns or time_ns()  # what fails takes time that no stage is told of
        for stage in failures:
            self.stages.setdefault(stage, Clock(self.began_ns)).ended_ns = ends_ns
        for stage, clock in self.stages.items():
            self._end_stage(tracer, stage, clock, failures.get(stage))
        if failures:
            _fail(self.span, next(iter(failures.values())))
        self.span.end(ends_ns)

    def _end_stage(self, tracer: Tracer, stage: Stage, clock: Clock, failure: str | None) -> None:
        told = {"framefleet.stage.times": clock.times, "framefleet.stage.seconds": clock.seconds}
        above = set_span_in_context(self.span)
        span = tracer.start_span(stage.value, above, attributes=told, start_time=max(clock.began_ns, self.began_ns))
        if failure:
            _fail(span, failure)
        span.end(clock.ended_ns)


class TracedShard(ShardTrace):
    """One attempt at a shard, with its span and those below it. Safe from many threads."""

    def __init__(self, tracer: Tracer, span: Span, task: ShardTask) -> None:
        """Trace an attempt whose span has begun."""
        self._tracer, self._task = tracer, task
        self._whole = TracedVideo(span)
        self._videos: dict[int, TracedVideo] = {}
        self._step: tuple[Stage, int | None] | None = None
        self._lock = threading.Lock()

    @property
    def headers(self) -> Mapping[str, str]:
        """Lead back to this shard."""
        return _headers(self._whole.span)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """End all spans with the block."""
        token = _place.set(None)
        _note(self._whole.span)
        try:
            yield
        except BaseException as error:
            self._close(end := end_of(error), None if end in NO_FAULT else type(error).__name__)
            raise
        else:
            self._close(SETTLED, None)
        finally:
            _place.reset(token)

    def at(self, stage: Stage, place: int | None) -> None:
        """Go to a video, or back to the shard as a whole."""
        self._step = stage, place
        _place.set(place)
        _note(self._of(place).span)

    def took(self, stage: Stage, seconds: float) -> None:
        """Add something to the video that the thread works for; what comes too late for its span is left out."""
        one = self._of(_place.get())
        with self._lock:
            if not one.ended:
                one.took(stage, seconds)

    def judged(self, outcomes: Sequence[Outcome]) -> None:
        """End the videos' spans."""
        for place, outcome in enumerate(outcomes):
            span = self._of(place).span
            span.set_attributes(
                {
                    "framefleet.outcome": outcome_of(outcome),
                    "framefleet.frames": len(outcome.records),
                    "framefleet.dead": len(outcome.deaths),
                    "framefleet.bytes": outcome.fetched.bytes_read,
                    "framefleet.requests": outcome.fetched.requests,
                }
            )
            self._end(place, {death.error.stage: death.error.reason.value for death in outcome.deaths})
        self._whole.span.set_attribute("framefleet.frames", sum(len(outcome.records) for outcome in outcomes))

    def _of(self, place: int | None) -> TracedVideo:
        if place is None:
            return self._whole
        with self._lock:
            if place not in self._videos:
                video = self._task.videos[place]
                told: Attributes = {"framefleet.video": video.uri, "framefleet.video.size": video.size_bytes}
                span = self._tracer.start_span("video", set_span_in_context(self._whole.span), attributes=told)
                self._videos[place] = TracedVideo(span)
            return self._videos[place]

    def _close(self, outcome: str, failure: str | None) -> None:
        stage, at = self._step or (None, None)
        befell = {stage: failure} if stage and failure else {}
        for place in [place for place, video in self._videos.items() if not video.ended]:
            self._end(place, befell if place == at else {})
        self._whole.span.set_attribute("framefleet.outcome", outcome)
        self._whole.ended_ns = 0
        if failure:
            _fail(self._whole.span, failure)
        self._end(None, befell if at is None else {})

    def _end(self, place: int | None, failures: Mapping[Stage, str]) -> None:
        one = self._of(place)
        with self._lock:
            one.end(self._tracer, failures=failures)


def _fail(span: Span, reason: str) -> None:
    span.set_status(StatusCode.ERROR, reason)
    span.set_attributes({"error.type": reason, "framefleet.reason": reason})


def _headers(span: Span) -> dict[str, str]:
    carrier: dict[str, str] = {}
    W3C.inject(carrier, set_span_in_context(span))
    return carrier


def _note(span: Span) -> None:
    found = span.get_span_context()
    note(trace_id=f"{found.trace_id:032x}", span_id=f"{found.span_id:016x}")
