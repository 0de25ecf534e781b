"""Shards as traces: the right tree, for whoever asks for it, and nothing for anybody else."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from contextvars import copy_context
from time import monotonic

import pytest
from builders import HandmadeJob
from fleet_runs import free_port
from span_receiver import Received, span_receiver
from structlog.contextvars import get_contextvars

from schemas.errors import HandedBackError, PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.record import Fetched
from workers.logs import about
from workers.pipeline import Outcome
from workers.records import Death
from workers.settings import TraceSettings
from workers.spans import CLOSE_SECONDS, Spans
from workers.tracing import ShardTrace, Tracing, open_tracing

CONSUMER, PRODUCER = 5, 4
"""Kinds of spans, as the protocol numbers them."""


@pytest.fixture(autouse=True)
def nothing_bound_to_later_lines() -> Iterator[None]:
    with about():
        yield


@pytest.fixture
def receiver() -> Iterator[Received]:
    with span_receiver() as received:
        yield received


@pytest.fixture
def spans(receiver: Received, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    for name, value in {"ENDPOINT": receiver.url, "COMPRESSION": "gzip"}.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    tracing = open_tracing(TraceSettings(), service="framefleet-test", instance="host:1")
    assert isinstance(tracing, Spans)
    yield tracing
    tracing.close()


def traced(tracing: Tracing, headers: dict[str, str] | None = None) -> ShardTrace:
    """The trace of a shard of two videos, its second attempt."""
    return tracing.shard(HandmadeJob().shard("a", "b"), message="0a1b:s", attempt=2, headers=headers or {})


# Who is traced


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"TRACES_EXPORTER": "otlp"}, True),
        ({"TRACES_EXPORTER": "none", "EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"SDK_DISABLED": "True", "EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
    ],
)
def test_who_is_traced_is_said_as_opentelemetry_has_it(
    environment: dict[str, str], *, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    assert TraceSettings().wanted is wanted


def test_a_worker_that_is_not_traced_loads_nothing_for_it() -> None:
    heavy = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf")  # of the rest redis-py loads what it finds
    ask = f"import sys, workers.app; print([name for name in sys.modules if name.startswith({heavy})])"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_where_the_library_is_missing_work_goes_on_and_it_is_said_what_to_install() -> None:
    lacking = "import sys; sys.modules['opentelemetry'] = None; "
    ask = "from workers.tracing import *; print(type(open_tracing(TraceSettings(), service='s', instance='i')).__name__)"
    env = {"OTEL_TRACES_EXPORTER": "otlp"}
    told = subprocess.run([sys.executable, "-c", lacking + ask], env=env, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "Tracing"
    assert "install framefleet[otel]" in told.stderr


def test_nobody_is_traced_at_the_price_of_a_call(caplog: pytest.LogCaptureFixture) -> None:
    trace = traced(open_tracing(TraceSettings(traces_exporter="none"), service="s", instance="i"))
    with trace.attempt():
        trace.at(Stage.FETCH, 0)
        trace.took(Stage.FETCH, 1.0)
    assert trace.headers == {}
    assert caplog.text == ""


# What a trace tells


def test_stages_lie_below_their_video_whichever_thread_tells_of_them(spans: Spans, receiver: Received) -> None:
    trace = traced(spans)
    with ThreadPoolExecutor(1) as pool, trace.attempt():
        for place in (0, 1):
            trace.at(Stage.FETCH, place)
            for _ in range(place + 1):
                pool.submit(copy_context().run, trace.took, Stage.FETCH, 0.0).result()
            trace.at(Stage.DECODE, place)
            trace.took(Stage.DECODE, 0.0)
        trace.judged([Outcome((), (), Fetched())] * 2)
        trace.at(Stage.COMMIT, None)
        trace.took(Stage.COMMIT, 0.0)
    spans.close()
    [root] = receiver.named("process framefleet")
    assert {name: set(below) for name, below in receiver.tree(root).items()} == {
        "a": {"fetch", "decode"},
        "b": {"fetch", "decode"},
        "commit": set(),
    }
    assert sorted(span.attributes["framefleet.stage.times"] for span in receiver.named("fetch")) == [1, 2]
    assert (root.kind, root.parent, root.links, root.failed) == (CONSUMER, "", (), False)
    told = {"framefleet.attempt": 2, "framefleet.outcome": "settled", "messaging.message.id": "0a1b:s", "messaging.system": "celery"}
    assert told.items() <= root.attributes.items()
    assert root.resource["service.name"] == "framefleet-test"


def test_lines_carry_the_span_of_the_video_that_they_are_about_or_of_the_shard(spans: Spans, receiver: Received) -> None:
    trace, carried = traced(spans), list[tuple[str, str]]()
    with trace.attempt():
        for place in (None, 0, None, 1):
            trace.at(Stage.FETCH, place)
            bound = get_contextvars()
            carried.append((bound["trace_id"], bound["span_id"]))
        trace.judged([Outcome((), (), Fetched())] * 2)
    spans.close()
    [root], videos = receiver.named("process framefleet"), receiver.named("video")
    one, other = sorted(videos, key=lambda video: str(video.attributes["framefleet.video"]))
    assert [span for _, span in carried] == [root.span_id, one.span_id, root.span_id, other.span_id]
    assert {trace for trace, _ in carried} == {root.trace_id}


def test_a_stage_lasts_from_its_first_beginning_to_its_last_end_within_its_video(spans: Spans, receiver: Received) -> None:
    trace = traced(spans)
    with trace.attempt():
        trace.at(Stage.FETCH, 0)
        trace.took(Stage.FETCH, 3600.0)
        trace.judged([Outcome((), (), Fetched())])
    spans.close()
    [video], [fetch] = receiver.named("video"), receiver.named("fetch")
    assert video.began_ns <= fetch.began_ns <= fetch.ended_ns <= video.ended_ns
    assert fetch.attributes["framefleet.stage.seconds"] == 3600.0


def test_a_dead_video_fails_its_stage_with_the_reason_and_not_the_shard(spans: Spans, receiver: Received) -> None:
    trace = traced(spans)
    death = Death(0, HandmadeJob().shard("a").videos[0], PermanentError(Reason.CORRUPT, Stage.DECODE, "token=secret in free text"))
    with trace.attempt():
        trace.at(Stage.DECODE, 0)
        trace.judged([Outcome((), (death,), Fetched())])
    spans.close()
    [root], [video], [decode] = map(receiver.named, ("process framefleet", "video", "decode"))
    assert [(one.failed, one.says, one.attributes.get("framefleet.reason")) for one in (video, decode)] == [
        (True, "corrupt", "corrupt")
    ] * 2
    assert not root.failed
    assert "secret" not in repr(receiver.spans)


def test_an_attempt_that_fails_fails_where_it_was(spans: Spans, receiver: Received) -> None:
    trace = traced(spans)
    with suppress(TransientError), trace.attempt():
        trace.at(Stage.CAPTION, 1)
        raise TransientError("token=secret in free text")
    spans.close()
    [root], [video], [caption] = map(receiver.named, ("process framefleet", "video", "caption"))
    assert [(one.failed, one.says) for one in (root, video, caption)] == [(True, "TransientError")] * 3
    assert root.attributes["framefleet.outcome"] == "put_back"
    assert "secret" not in repr(receiver.spans)


def test_an_attempt_that_is_handed_back_has_failed_nowhere(spans: Spans, receiver: Received) -> None:
    trace = traced(spans)
    with suppress(HandedBackError), trace.attempt():
        trace.at(Stage.CAPTION, 1)
        raise HandedBackError("This worker is told to end.")
    spans.close()
    assert sorted((span.name, span.failed) for span in receiver.spans) == [("process framefleet", False), ("video", False)]
    [root] = receiver.named("process framefleet")
    assert root.attributes["framefleet.outcome"] == "handed_back"


def test_what_is_told_too_late_for_its_video_harms_nothing(spans: Spans, receiver: Received) -> None:
    trace = traced(spans)
    with trace.attempt():
        trace.at(Stage.FETCH, 0)
        context = copy_context()
        trace.judged([Outcome((), (), Fetched())])
        context.run(trace.took, Stage.FETCH, 1.0)
    context.run(trace.took, Stage.FETCH, 1.0)
    spans.close()
    assert sorted(span.name for span in receiver.spans) == ["process framefleet", "video"]


def test_a_shard_is_linked_to_what_sent_it(spans: Spans, receiver: Received) -> None:
    with spans.command("launch") as headers, traced(spans, dict(headers)).attempt():
        pass
    spans.close()
    [command_span], [root] = receiver.named("framefleet launch"), receiver.named("process framefleet")
    assert command_span.kind == PRODUCER
    assert root.links == (command_span.trace_id,)
    assert root.trace_id != command_span.trace_id


@pytest.mark.parametrize("header", ["", "nonsense", "00-0-0-01"])
def test_a_header_that_makes_no_sense_is_no_link(header: str, spans: Spans, receiver: Received) -> None:
    with traced(spans, {"traceparent": header}).attempt():
        pass
    spans.close()
    assert [span.links for span in receiver.named("process framefleet")] == [()]


def test_what_is_not_sampled_is_not_traced(receiver: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    tracing = open_tracing(TraceSettings(), service="s", instance="i")
    assert type(traced(tracing)) is ShardTrace
    tracing.close()
    assert receiver.spans == []


def test_an_operators_name_for_the_service_goes_first(receiver: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "EXPORTER_OTLP_ENDPOINT": receiver.url,
        "SERVICE_NAME": "captions",
        "RESOURCE_ATTRIBUTES": "k8s.pod.name=w-1",
    }.items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    tracing = open_tracing(TraceSettings(), service="framefleet-worker", instance="host:1")
    with traced(tracing).attempt():
        pass
    tracing.close()
    [root] = receiver.spans
    told = {"service.name": "captions", "k8s.pod.name": "w-1", "service.instance.id": "host:1"}
    assert told.items() <= root.resource.items()


@pytest.mark.parametrize("backlog", [None, 1], ids=["is away", "says nothing"])
def test_a_receiver_that_takes_no_spans_holds_up_nobody_who_leaves(backlog: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as held:
        silent = backlog and held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=backlog))
        port = silent.getsockname()[1] if silent else free_port()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
        assert CLOSE_SECONDS < seconds_to_leave() < CLOSE_SECONDS + 10


def seconds_to_leave() -> float:
    """How long a process of its own takes that leaves: what tries to send in this one for a while longer would disturb other tests."""
    began = monotonic()
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", "from test_tracing import leave; leave()"], env=env, check=True)
    return monotonic() - began


def leave() -> None:
    """Trace a shard, and end."""
    tracing = open_tracing(TraceSettings(), service="s", instance="i")
    with traced(tracing).attempt():
        pass
    tracing.close()
