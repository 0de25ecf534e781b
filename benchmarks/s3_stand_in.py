"""A stand-in for S3 on this machine's loopback: GET with ranges and If-Match, HEAD, and a tally of what was asked and sent.

A process of its own, so that serving is not in the CPU of those that read. It serves a folder as one bucket, waits the latency before
each answer, and may hold each connection to a bandwidth.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Lock
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import urlopen

from storage import shared_store

BUCKET = "videos"
CONTROL = "/-/"
"""Below it lies what S3 does not have: the benchmark's own questions, answered at once."""
RANGE = re.compile(r"bytes=(\d+)-(\d+)$")
MODIFIED = "Sat, 01 Nov 2025 12:00:00 GMT"
CHUNK_BYTES = 256 * 1024


@dataclass(slots=True)
class Tally:
    """What was asked of an object, or of all, and sent."""

    requests: int = 0
    body_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """How slow the line to the store is; zero lifts a limit."""

    latency_seconds: float = 0.0
    bytes_per_second: float = 0.0
    """Of each connection."""


class Server(ThreadingTCPServer):
    """The folder, and what was asked of it."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.folder = folder
        self.line = Line()
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.counting = Lock()

    def count(self, key: str, *, requests: int = 0, body_bytes: int = 0) -> None:
        """Note what was asked or sent."""
        with self.counting:
            self.tallies[key].requests += requests
            self.tallies[key].body_bytes += body_bytes

    def taken(self) -> dict[str, Tally]:
        """Hand out the tallies, and begin anew."""
        with self.counting:
            tallies, self.tallies = dict(self.tallies), defaultdict(Tally)
        return tallies


class Connection(StreamRequestHandler):
    """Answers on one connection until the client hangs up. Parses by hand: the standard library's way takes ten times the CPU."""

    server: Server
    disable_nagle_algorithm = True  # else a head would wait for the acknowledgement of the body before it

    def handle(self) -> None:
        """Answer one request after the other."""
        while request := self.rfile.readline().decode():
            method, target, _ = request.split()
            fields = dict(self._fields())
            if target.startswith(CONTROL):
                self._obey(urlsplit(target).query)
            else:
                self._answer(Path(unquote(urlsplit(target).path)).name, fields, with_body=method == "GET")

    def _fields(self) -> Iterator[tuple[str, str]]:
        while (line := self.rfile.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            yield name.lower(), value.strip()

    def _answer(self, key: str, fields: dict[str, str], *, with_body: bool) -> None:
        self.server.count(key, requests=1)
        time.sleep(self.server.line.latency_seconds)
        try:
            with (self.server.folder / key).open("rb", buffering=0) as file:
                self._answer_from(file.fileno(), key, fields, with_body=with_body)
        except FileNotFoundError:
            self._head(HTTPStatus.NOT_FOUND, 0)

    def _answer_from(self, file: int, key: str, fields: dict[str, str], *, with_body: bool) -> None:
        status = os.fstat(file)
        size, etag, asked = status.st_size, f'"{status.st_mtime_ns:x}"', RANGE.match(fields.get("range", ""))
        start, end = (int(asked[1]), min(size, int(asked[2]) + 1)) if asked else (0, size)
        if fields.get("if-match", etag) != etag:
            self._head(HTTPStatus.PRECONDITION_FAILED, 0)
        elif asked and start >= size:
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0)
        else:
            where = f"Content-Range: bytes {start}-{end - 1}/{size}\r\n" if asked else ""
            self._head(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK, end - start, f"ETag: {etag}\r\n{where}")
            if with_body:
                self._send(file, start, end, key)

    def _head(self, status: HTTPStatus, length: int, fields: str = "") -> None:
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: {length}\r\nLast-Modified: {MODIFIED}\r\n{fields}\r\n"
        self.wfile.write(head.encode())

    def _send(self, file: int, start: int, end: int, key: str) -> None:
        rate = self.server.line.bytes_per_second
        place, begun = start, time.monotonic()
        while place < end:
            sent = os.sendfile(self.connection.fileno(), file, place, min(end - place, CHUNK_BYTES if rate else end))
            self.server.count(key, body_bytes=sent)
            place += sent
            if rate:
                time.sleep(max(0.0, begun + (place - start) / rate - time.monotonic()))

    def _obey(self, query: str) -> None:
        if query:
            self.server.line = Line(*(float(part.partition("=")[2]) for part in query.split("&")))
        body = json.dumps({key: asdict(tally) for key, tally in self.server.taken().items()}).encode()
        self._head(HTTPStatus.OK, len(body))
        self.wfile.write(body)


@dataclass(frozen=True, slots=True)
class StandIn:
    """The stand-in, as the benchmark sees it."""

    endpoint: str

    def take(self) -> dict[str, Tally]:
        """Read the tallies by key, and begin anew."""
        return self._ask("tally")

    def slow_down(self, line: Line) -> None:
        """Set how slow the line is, and begin new tallies."""
        self._ask(f"line?{urlencode(asdict(line))}")

    def _ask(self, question: str) -> dict[str, Tally]:
        with urlopen(f"{self.endpoint}{CONTROL}{question}") as answer:  # noqa: S310 - our own server's address
            return {key: Tally(**tally) for key, tally in json.load(answer).items()}


@contextmanager
def s3_stand_in(folder: Path) -> Iterator[StandIn]:
    """Serve a folder's files as `s3://videos/NAME`, for as long as the block runs, to this process alone."""
    command = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        ours = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}
        before = dict(os.environ)
        os.environ.update(ours)
        shared_store.cache_clear()  # it may hold this bucket at another stand-in's address
        try:
            yield StandIn(endpoint)
        finally:
            os.environ.clear()
            os.environ.update(before)
            process.terminate()


def main(folder: str) -> None:
    """Serve, and say where."""
    with Server(Path(folder)) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
