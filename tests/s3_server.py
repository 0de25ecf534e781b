"""An S3 server for tests: moto's, in this process, with faults that a test can ask for."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class S3Server:
    """One server with many buckets. Objects are named by their URIs, `s3://bucket/key`; `s3://bucket` means its listing."""

    def __init__(self) -> None:
        self.denied: set[str] = set()
        """Answered with 403."""
        self.fail: dict[str, int] = {}
        """How many times more an object is answered with 503 before its request is served."""
        self.conflict: dict[str, int] = {}
        """How many times more an object is answered with 409, as a writer is whose rival is not done yet."""
        self.lose_answer: dict[str, int] = {}
        """How many times more a request for an object is served, but answered with 500."""
        self.requests: list[tuple[str, str]] = []
        """What was asked since the last `forget`: method and URI."""
        self._clients: dict[str, Any] = {}
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._server: BaseWSGIServer | None = None

    @property
    def url(self) -> str:
        assert self._server is not None, "the server is not started"
        return f"http://127.0.0.1:{self._server.port}"

    def start(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True, name="s3-server").start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def forget(self) -> None:
        """Drop the faults asked for and the requests seen."""
        for memory in (self.denied, self.fail, self.conflict, self.lose_answer, self.requests):
            memory.clear()

    def client(self, region: str = "us-east-1") -> Any:
        """A boto3 client that may do everything."""
        if region not in self._clients:
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            self._clients[region] = boto3.session.Session().client("s3", endpoint_url=self.url, region_name=region, **keys)
        return self._clients[region]

    def create_bucket(self, name: str, region: str = "us-east-1") -> None:
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.client(region).create_bucket(Bucket=name, **where)

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        uri = "s3:/" + environ["PATH_INFO"].encode("latin-1").decode().rstrip("/")
        with self._lock:
            self.requests.append((environ["REQUEST_METHOD"], uri))
            fault = self._fault(uri)
        if fault:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return _refuse(environ, start_response, *fault)
        if _take(self.lose_answer, uri):
            list(self._moto(environ, _ignore))
            return _refuse(environ, start_response, "500 Internal Server Error", "InternalError")
        return self._moto(environ, start_response)

    def _fault(self, uri: str) -> tuple[str, str] | None:
        if uri in self.denied:
            return "403 Forbidden", "AccessDenied"
        if _take(self.fail, uri):
            return "503 Service Unavailable", "SlowDown"
        if _take(self.conflict, uri):
            return "409 Conflict", "ConditionalRequestConflict"
        return None


def _take(counts: dict[str, int], uri: str) -> bool:
    """Whether there was one left, which is now taken."""
    left = counts.get(uri, 0)
    counts[uri] = max(0, left - 1)
    return left > 0


def _refuse(environ: Environ, start_response: StartResponse, status: str, code: str) -> list[bytes]:
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _ignore(*_: object, **__: object) -> Callable[[bytes], None]:
    return lambda _: None
