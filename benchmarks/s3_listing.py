"""A stand-in for S3 that lists: a bucket of any number of objects that exist by arithmetic, and buckets that are folders of this machine.

A process of its own, so that serving is not in the CPU of those that ask. A page of a thousand keys takes it less than a millisecond.
The bucket `videos` is `producer_films.Films`; every other is a folder, written by PUT (also `If-None-Match: *`), see
`producer_buckets.py`. It counts requests by kind, and waits a latency before each answer.
"""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, unquote, urlsplit

from producer_buckets import Folder, Question, listed_films, page
from producer_films import Films
from s3_stand_in import BUCKET, CONTROL, RANGE, Connection, StandIn
from s3_stand_in import MODIFIED as MODIFIED_HTTP
from s3_stand_in import Server as Counting

from storage import shared_store

SHA256 = "x-amz-meta-sha256"


class Server(Counting):
    """The buckets."""

    def __init__(self, folder: Path, films: int) -> None:
        super().__init__(folder)
        self.RequestHandlerClass = Answers
        self.films = Films(films)
        self.folders: dict[str, Folder] = {}
        self.opening = Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no fault to be told of."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def bucket(self, name: str) -> Folder:
        """A bucket that is a folder, which comes to be when it is first named."""
        with self.opening:
            if name not in self.folders:
                self.folders[name] = Folder(self.folder / name)
            return self.folders[name]


class Answers(Connection):
    """Answers on one connection until the client hangs up."""

    server: Server

    def handle(self) -> None:
        """Answer one request after the other."""
        while request := self.rfile.readline().decode():
            method, target, _ = request.split()
            fields = dict(self._fields())
            if target.startswith(CONTROL):
                self._obey(urlsplit(target).query)
                continue
            body = self.rfile.read(int(fields.get("content-length", 0)))
            place = urlsplit(target)
            bucket, _, key = unquote(place.path).lstrip("/").partition("/")
            time.sleep(self.server.line.latency_seconds)
            match method, key:
                case "GET", "":
                    self.server.count("LIST", requests=1)
                    self._list(bucket, Question.of(parse_qs(place.query, keep_blank_values=True)))
                case "PUT", _:
                    self.server.count("PUT", requests=1, body_bytes=len(body))
                    self._put(bucket, key, body, fields)
                case _:
                    self.server.count(method, requests=1)
                    self._get(bucket, key, fields, with_body=method == "GET")

    def _put(self, bucket: str, key: str, body: bytes, fields: dict[str, str]) -> None:
        written = self.server.bucket(bucket).put(key, body, fields.get(SHA256, ""), only_new="if-none-match" in fields)
        etag = f'ETag: "{len(body):x}"\r\n' if written else ""
        self._head(HTTPStatus.OK if written else HTTPStatus.PRECONDITION_FAILED, 0, etag)

    def _get(self, bucket: str, key: str, fields: dict[str, str], *, with_body: bool) -> None:
        folder = self.server.bucket(bucket)
        try:
            with folder.file(key).open("rb", buffering=0) as file:
                self._get_from(file.fileno(), fields, sha256=folder.sums.get(key, ""), with_body=with_body)
        except FileNotFoundError:
            self._missing(with_body=with_body)

    def _missing(self, *, with_body: bool) -> None:
        body = b"<Error><Code>NoSuchKey</Code><Message>There is no such key.</Message></Error>" if with_body else b""
        self._head(HTTPStatus.NOT_FOUND, len(body))
        self.wfile.write(body)

    def _get_from(self, file: int, fields: dict[str, str], *, sha256: str, with_body: bool) -> None:
        status = os.fstat(file)
        size, asked = status.st_size, RANGE.match(fields.get("range", ""))
        start, end = (int(asked[1]), min(size, int(asked[2]) + 1)) if asked else (0, size)
        told = f'ETag: "{status.st_mtime_ns:x}"\r\nLast-Modified: {MODIFIED_HTTP}\r\n' + (f"{SHA256}: {sha256}\r\n" if sha256 else "")
        told += f"Content-Range: bytes {start}-{end - 1}/{size}\r\n" if asked else ""
        self._head(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK, end - start, told)
        if with_body:
            self._send(file, start, end, "GET")

    def _list(self, bucket: str, asked: Question) -> None:
        found, rows = listed_films(self.server.films, asked) if bucket == BUCKET else self.server.bucket(bucket).listed(asked)
        body = page(bucket, asked, found, rows)
        self._head(HTTPStatus.OK, len(body), "Content-Type: application/xml\r\n")
        self.wfile.write(body)


@dataclass(frozen=True, slots=True)
class Lister(StandIn):
    """The stand-in, as a benchmark sees it."""

    pid: int
    environment: dict[str, str]
    """What a client needs to find it."""

    def requests(self) -> dict[str, int]:
        """How often each kind of request came since this was last asked."""
        asked = defaultdict[str, int](int)
        for kind, tally in self.take().items():
            asked[kind] += tally.requests
        return dict(asked)


@contextmanager
def listed_s3(folder: Path, *, films: int) -> Iterator[Lister]:
    """Serve `s3://videos` with so many objects, and a folder's folders as buckets, to this process and its children."""
    command = [sys.executable, __file__, str(folder), str(films)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        ours = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}
        before = dict(os.environ)
        os.environ.update(ours)
        shared_store.cache_clear()  # it may hold a bucket of this name at another stand-in's address
        try:
            yield Lister(endpoint, process.pid, ours)
        finally:
            os.environ.clear()
            os.environ.update(before)
            process.terminate()


def main(folder: str, films: str) -> None:
    """Serve, and say where."""
    with Server(Path(folder), int(films)) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
