"""A real receiver of OTLP over HTTP, which keeps the spans that it is sent."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass(frozen=True)
class Seen:
    """A span as it came."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent: str
    links: tuple[str, ...]
    """Traces that it is linked to."""
    began_ns: int
    ended_ns: int
    failed: bool
    says: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Received:
    """What a receiver was sent so far."""

    url: str
    spans: list[Seen] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def tree(self, root: Seen) -> dict[str, Any]:
        """The names below a span, videos by theirs, with those below each."""
        return {
            str(span.attributes.get("framefleet.video", "")).rpartition("/")[2] or span.name: self.tree(span) for span in self.below(root)
        }

    def below(self, parent: Seen) -> list[Seen]:
        return [span for span in self.spans if (span.trace_id, span.parent) == (parent.trace_id, parent.span_id)]


@contextmanager
def span_receiver() -> Iterator[Received]:
    """Receive on a free port while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.received = Received(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.received  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        asked = ExportTraceServiceRequest.FromString(gzip.decompress(body) if packed else body)
        received: Received = self.server.received  # type: ignore[attr-defined]
        received.headers.append(dict(self.headers))
        received.spans.extend(_spans(asked))
        reply = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def _spans(asked: ExportTraceServiceRequest) -> Iterator[Seen]:
    for group in asked.resource_spans:
        resource = _values(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Seen(
                    span.name,
                    span.kind,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    tuple(link.trace_id.hex() for link in span.links),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == span.status.STATUS_CODE_ERROR,
                    span.status.message,
                    _values(span.attributes),
                    resource,
                )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one) for one in attributes}


def _value(one: KeyValue) -> Any:
    value: AnyValue = one.value
    return getattr(value, value.WhichOneof("value") or "string_value")
