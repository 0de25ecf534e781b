"""The fault proxy between workers and the store: a port for each worker, so that it knows whose request it spoils."""

import asyncio
import socket
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote

from fleet.torture.faults import Dice, Fault
from fleet.torture.journal import Journal, shard_in
from fleet.torture.traps import Moment, Traps
from fleet.torture.wire import Head, read_answer, read_body, read_head

REFUSALS = {503: ("Service Unavailable", "SlowDown"), 500: ("Internal Server Error", "InternalError")}
MOST_BYTES = 1 << 20
"""What is read ahead of one connection."""
HALVED = frozenset({Fault.RESET, Fault.TRUNCATED})
CUT = (ConnectionError, asyncio.IncompleteReadError, ValueError)
"""What reading or writing ends with when one side is gone, or was killed in mid-word."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, read whole."""

    slot: int
    head: Head
    body: bytes

    @property
    def method(self) -> str:
        """GET, PUT or another."""
        return self.head.words[0]

    @property
    def key(self) -> str:
        """Bucket and key."""
        return unquote(self.head.words[1].partition("?")[0]).lstrip("/")

    @property
    def commits(self) -> bool:
        """Whether it commits a shard."""
        return self.method == "PUT" and bool(shard_in(self.key))

    @property
    def fetches(self) -> bool:
        """Whether it reads a video."""
        return self.method == "GET" and self.key.endswith(".mp4")


class GoneError(ConnectionError):
    """The proxy has ended the connection by itself."""


class Proxy:
    """Passes everything through, save what the dice and the traps ask for."""

    def __init__(self, upstream_port: int, dice: Dice, traps: Traps, journal: Journal) -> None:
        """Speak to the server at this local port."""
        self.dice, self.traps, self.journal = dice, traps, journal
        self._upstream_port = upstream_port
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()

    def open(self, slot: int) -> int:
        """Listen for one worker; returns the port."""
        listener = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.start_server(lambda reader, writer: self._serve(slot, reader, writer), sock=listener, limit=MOST_BYTES)
        self._servers.append(self._run(serving))
        return int(listener.getsockname()[1])

    def close(self) -> None:
        """Stop answering."""
        self._run(_end(self._servers))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _serve(self, slot: int, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(*CUT, asyncio.CancelledError), ended(writer):  # only closing the proxy cancels
            while (head := await read_head(reader)) is not None:
                if head.get("expect"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await self._answer(await self._request(slot, head, reader), writer)

    async def _request(self, slot: int, head: Head, reader: StreamReader) -> Request:
        request = Request(slot, head, b"")
        size = int(head.get("content-length") or 0)
        if not (request.commits and size and self.traps.awaits(slot, Moment.MID_PUT)):
            return Request(slot, head, await read_body(reader, head))
        body = await reader.readexactly(size // 2)
        if self.traps.spring(slot, Moment.MID_PUT, request.key):
            raise GoneError
        return Request(slot, head, body + await reader.readexactly(size - size // 2))

    async def _answer(self, request: Request, writer: StreamWriter) -> None:
        if request.commits and self.traps.spring(request.slot, Moment.BEFORE_PUT, request.key):
            raise GoneError
        fault = self.dice.throw(request.method)
        if fault is Fault.SLOW_DOWN:
            await self._send(request, writer, *refusal(503))
            return
        if fault is Fault.RESET and request.method != "GET":
            reset(writer)
        if fault is Fault.STALL:
            await asyncio.sleep(self.dice.stall_seconds())
        head, body = await self._pass_on(request)
        if request.commits and self.traps.spring(request.slot, Moment.COMMITTED, request.key):
            raise GoneError
        await self._spoil(fault, request, writer, head, body)

    async def _spoil(self, fault: Fault | None, request: Request, writer: StreamWriter, head: Head, body: bytes) -> None:
        """Send the answer, or what a fault leaves of it."""
        if fault is Fault.LOST_ANSWER:
            raise GoneError
        if fault is Fault.ERROR_AFTER_COMMIT:
            await self._send(request, writer, *refusal(500))
        elif fault in HALVED or (request.fetches and self.traps.awaits(request.slot, Moment.MID_GET)):
            await self._send_halves(fault, request, writer, head, body)
        else:
            await self._send(request, writer, head, body)

    async def _send_halves(self, fault: Fault | None, request: Request, writer: StreamWriter, head: Head, body: bytes) -> None:
        """Send half of the answer, and the rest only if nothing is to happen in between."""
        writer.write(sized(head, body).packed() + body[: len(body) // 2])
        await writer.drain()
        if fault is Fault.RESET:
            reset(writer)
        if fault in HALVED or self.traps.spring(request.slot, Moment.MID_GET, request.key):
            raise GoneError
        writer.write(body[len(body) // 2 :])
        await writer.drain()

    async def _send(self, request: Request, writer: StreamWriter, head: Head, body: bytes) -> None:
        whole = head.on_an_open_connection() if request.method == "HEAD" else sized(head, body)
        self.journal.answered(request.slot, request.method, request.key, head.status)
        writer.write(whole.packed() + (b"" if request.method == "HEAD" else body))
        await writer.drain()
        if request.commits:
            self.traps.spring(request.slot, Moment.ANSWERED, request.key)
        elif request.fetches:
            self.traps.spring(request.slot, Moment.AFTER_GET, request.key)

    async def _pass_on(self, request: Request) -> tuple[Head, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port, limit=MOST_BYTES)
        with ended(writer):
            writer.write(request.head.with_body_of(len(request.body)).plus("Connection", "close").packed() + request.body)
            await writer.drain()
            return await read_answer(reader, method=request.method)


def sized(head: Head, body: bytes) -> Head:
    """A head for a body that is sent in one piece."""
    return head.with_body_of(len(body))


def refusal(status: int) -> tuple[Head, bytes]:
    """The answer of a store that will not, or says so."""
    phrase, code = REFUSALS[status]
    body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
    return Head(f"HTTP/1.1 {status} {phrase}", (("Content-Type", "application/xml"), ("Content-Length", str(len(body))))), body


def reset(writer: StreamWriter) -> NoReturn:
    """End a connection as a machine does that has forgotten it.

    Raises:
        GoneError: always.
    """
    taken: socket.socket | None = writer.get_extra_info("socket")
    if taken is not None:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
    raise GoneError


@contextmanager
def ended(writer: StreamWriter) -> Iterator[None]:
    """Close a connection behind the block."""
    try:
        yield
    finally:
        writer.close()


async def _end(servers: Sequence[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    own = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not own]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # connections that were just closed let go of their sockets
