"""The fault proxy passes all through untouched, does to requests what it is told, and knows whose they are."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from fleet.torture.faults import POSSIBLE, Dice, Fault
from fleet.torture.journal import Journal
from fleet.torture.proxy import Proxy
from fleet.torture.traps import Moment, Trap, Traps
from fleet.torture.wire import read_answer, read_body, read_head

COMMIT = "/out/job/captions/aa/aaaa.jsonl"
SHARD = "out/job:aaaa"
VIDEO = "/in/clips/one.mp4"
BODY = b"0123456789" * 100


class Loaded(Dice):
    """Dice that fall as they are told."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.next: Fault | None = None

    def throw(self, method: str) -> Fault | None:  # noqa: ARG002 - as the others
        fault, self.next = self.next, None
        return fault

    def stall_seconds(self) -> float:
        return 0.2


class Objects(BaseHTTPRequestHandler):
    """A server that keeps what it is sent."""

    protocol_version = "HTTP/1.1"
    kept: dict[str, bytes]

    def do_PUT(self) -> None:
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, b"")

    def do_GET(self) -> None:
        body = self.kept.get(self.path)
        self._answer(404 if body is None else 200, body or b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Bench:
    """A proxy between a client, as worker 7, and such a server."""

    def __init__(self, upstream: ThreadingHTTPServer, kept: dict[str, bytes]) -> None:
        self.kept, self.dice, self.traps, self.journal = kept, Loaded(), Traps(), Journal()
        self.proxy = Proxy(upstream.server_port, self.dice, self.traps, self.journal)
        self.port = self.proxy.open(7)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)

    def trap(self, moment: Moment) -> list[str]:
        """Set a trap; returns the keys that went into it."""
        caught: list[str] = []
        self.traps.set(Trap(7, moment, lambda key: not caught.append(key)))  # type: ignore[func-returns-value]
        return caught

    def close(self) -> None:
        self.client.close()
        self.proxy.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    kept: dict[str, bytes] = {VIDEO: BODY}
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), type("Kept", (Objects,), {"kept": kept}))
    thread = threading.Thread(target=upstream.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    made = Bench(upstream, kept)
    yield made
    made.close()
    upstream.shutdown()
    upstream.server_close()
    thread.join()


def eventually(happens: Callable[[], object]) -> bool:
    end = time.monotonic() + 30
    while not happens() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(happens())


def test_everything_passes_on_one_connection(bench: Bench) -> None:
    assert bench.client.put(COMMIT, content=BODY).status_code == 200
    assert bench.client.get(COMMIT).content == BODY
    head = bench.client.head(COMMIT)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(BODY)), b"")
    assert bench.client.get("/nothing").status_code == 404
    assert bench.client.put("/out/empty", content=b"").status_code == 200
    assert bench.kept == {VIDEO: BODY, COMMIT: BODY, "/out/empty": b""}


def test_chunks_arrive_whole(bench: Bench) -> None:
    assert bench.client.put("/out/chunks", content=iter([b"abc", b"", b"defg"])).status_code == 200
    assert bench.kept["/out/chunks"] == b"abcdefg"


def test_who_expects_to_be_told_to_go_on_is_told(bench: Bench) -> None:
    with socket.create_connection(("127.0.0.1", bench.port), timeout=30) as caller:
        caller.sendall(b"PUT /out/late HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert caller.recv(100).startswith(b"HTTP/1.1 100 ")
        caller.sendall(b"body")
        assert caller.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert bench.kept["/out/late"] == b"body"


def test_a_refused_commit_leaves_nothing(bench: Bench) -> None:
    bench.dice.next = Fault.SLOW_DOWN
    answer = bench.client.put(COMMIT, content=BODY)
    assert (answer.status_code, "SlowDown" in answer.text) == (503, True)
    assert COMMIT not in bench.kept
    assert bench.client.put(COMMIT, content=BODY).status_code == 200, "the connection stays whole"


def test_a_reset_commit_leaves_nothing(bench: Bench) -> None:
    bench.dice.next = Fault.RESET
    with pytest.raises(httpx.NetworkError):
        bench.client.put(COMMIT, content=BODY)
    assert COMMIT not in bench.kept


def test_a_commit_is_there_though_its_answer_says_that_it_failed(bench: Bench) -> None:
    bench.dice.next = Fault.ERROR_AFTER_COMMIT
    assert bench.client.put(COMMIT, content=BODY).status_code == 500
    assert bench.kept[COMMIT] == BODY


def test_a_commit_is_there_though_its_answer_is_lost(bench: Bench) -> None:
    bench.dice.next = Fault.LOST_ANSWER
    with pytest.raises(httpx.RemoteProtocolError):
        bench.client.put(COMMIT, content=BODY)
    assert bench.kept[COMMIT] == BODY


@pytest.mark.parametrize(("fault", "error"), [(Fault.TRUNCATED, httpx.RemoteProtocolError), (Fault.RESET, httpx.ReadError)])
def test_half_a_video_is_never_taken_for_a_whole_one(bench: Bench, fault: Fault, error: type[Exception]) -> None:
    bench.dice.next = fault
    with pytest.raises(error):
        bench.client.get(VIDEO)
    assert bench.client.get(VIDEO).content == BODY


def test_a_stall_ends(bench: Bench) -> None:
    bench.dice.next = Fault.STALL
    begin = time.monotonic()
    assert bench.client.get(VIDEO).content == BODY
    assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize(
    ("moment", "objects"),
    [(Moment.BEFORE_PUT, [VIDEO]), (Moment.MID_PUT, [VIDEO]), (Moment.COMMITTED, [VIDEO, COMMIT])],
)
def test_whoever_dies_in_its_commit_hears_no_answer(bench: Bench, moment: Moment, objects: list[str]) -> None:
    caught = bench.trap(moment)
    with pytest.raises(httpx.RemoteProtocolError):
        bench.client.put(COMMIT, content=BODY)
    assert caught == [COMMIT.lstrip("/")]
    assert list(bench.kept) == objects
    assert bench.client.put(COMMIT, content=BODY).status_code == 200, "a trap is good for one"
    assert len(caught) == 1


def test_whoever_dies_behind_its_commit_was_answered(bench: Bench) -> None:
    caught = bench.trap(Moment.ANSWERED)
    assert bench.client.put("/out/job/dead/aa/aaaa-0.json", content=BODY).status_code == 200
    assert caught == [], "a letter is no commit"
    assert bench.client.put(COMMIT, content=BODY).status_code == 200
    assert eventually(lambda: caught == [COMMIT.lstrip("/")])


def test_whoever_dies_in_its_fetch_has_half_a_video(bench: Bench) -> None:
    caught = bench.trap(Moment.MID_GET)
    with pytest.raises(httpx.RemoteProtocolError):
        bench.client.get(VIDEO)
    assert caught == [VIDEO.lstrip("/")]


def test_a_trap_that_declines_lets_the_request_go_on(bench: Bench) -> None:
    for moment in (Moment.MID_GET, Moment.MID_PUT, Moment.BEFORE_PUT):
        bench.traps.set(Trap(7, moment, lambda _key: False))
    assert bench.client.get(VIDEO).content == BODY
    assert bench.client.put(COMMIT, content=BODY).status_code == 200
    assert bench.kept[COMMIT] == BODY


def test_a_shard_is_taken_up_when_its_object_is_looked_for_and_not_when_its_own_commit_is(bench: Bench) -> None:
    bench.client.head(COMMIT)
    assert bench.journal.at_work_on(7) == [SHARD]
    bench.client.put(COMMIT, content=BODY)
    bench.client.head(COMMIT)
    assert bench.journal.taken == {SHARD: 1}
    assert bench.journal.at_work_on(7) == []


def test_a_recovery_lasts_from_the_kill_to_the_next_who_takes_the_shard_up(bench: Bench) -> None:
    bench.client.head(COMMIT)
    bench.journal.killed(7, told=False)
    assert bench.journal.recoveries(told=False) == []
    time.sleep(0.1)
    bench.client.head(COMMIT)
    [seconds] = bench.journal.recoveries(told=False)
    assert bench.journal.recoveries(told=True) == []
    assert 0.1 <= seconds < 30
    assert (bench.journal.taken[SHARD], bench.journal.times_hit(SHARD)) == (2, 1)


def test_a_shard_is_taken_again_when_another_claim_on_it_is_seen(bench: Bench) -> None:
    bench.journal.sighted(SHARD, by=(7, "first"))
    bench.client.head(COMMIT)
    bench.journal.killed(7, told=True)
    bench.journal.sighted(SHARD, by=(7, "first"))
    assert bench.journal.recoveries(told=True) == []
    bench.journal.sighted(SHARD, by=(8, "second"))
    assert len(bench.journal.recoveries(told=True)) == 1


def test_the_same_seed_throws_the_same_faults_and_none_without_a_storm() -> None:
    calm, first, second = Dice(3), Dice(3, rate=0.5), Dice(3, rate=0.5)
    assert [calm.throw("PUT") for _ in range(50)] == [None] * 50
    thrown = [first.throw("PUT") for _ in range(200)]
    assert thrown == [second.throw("PUT") for _ in range(200)]
    assert {fault for fault in thrown if fault} == set(POSSIBLE["PUT"])
    assert 60 < first.thrown.total() < 140


def test_an_answer_without_a_size_lasts_to_the_end_of_the_connection() -> None:
    async def read(sent: bytes, *, method: str = "GET") -> tuple[int, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        head, body = await read_answer(reader, method=method)
        return head.status, body

    assert asyncio.run(read(b"HTTP/1.1 200 OK\r\n\r\nall of it")) == (200, b"all of it")
    assert asyncio.run(read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")) == (204, b"")
    with pytest.raises(ConnectionError):
        asyncio.run(read(b""))


def test_trailers_behind_chunks_are_read_past() -> None:
    async def read() -> tuple[bytes, object]:
        reader = asyncio.StreamReader()
        reader.feed_data(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n0\r\nCheck: 1\r\n\r\n")
        reader.feed_eof()
        head = await read_head(reader)
        assert head is not None
        return await read_body(reader, head), await read_head(reader)

    assert asyncio.run(read()) == (b"abc", None)
