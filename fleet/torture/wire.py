"""HTTP/1.1 as a proxy needs it: heads and bodies of requests and answers, read whole from a stream."""

from asyncio import IncompleteReadError, StreamReader
from dataclasses import dataclass

LONGEST_HEAD_BYTES = 64 * 1024
BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a request or an answer, and its headers as they came."""

    line: str
    headers: tuple[tuple[str, str], ...]

    @property
    def words(self) -> list[str]:
        """The first line's three parts: method, target and version, or version, status and phrase."""
        return self.line.split(" ", 2)

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.words[1])

    def get(self, name: str) -> str:
        """The value of a header; empty if it is not there."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def with_body_of(self, size_bytes: int) -> "Head":
        """The same for a body of known size that is sent in one piece, on a connection that stays open."""
        return self.without("content-length", "transfer-encoding", "connection").plus("Content-Length", str(size_bytes))

    def on_an_open_connection(self) -> "Head":
        """The same for an answer that has no body, whatever the size that it tells."""
        return self.without("transfer-encoding", "connection")

    def without(self, *names: str) -> "Head":
        """The same without some headers."""
        return Head(self.line, tuple((key, value) for key, value in self.headers if key.lower() not in names))

    def plus(self, name: str, value: str) -> "Head":
        """The same with one header more."""
        return Head(self.line, (*self.headers, (name, value)))

    def packed(self) -> bytes:
        """The bytes to send."""
        lines = [self.line, *(f"{key}: {value}" for key, value in self.headers)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


async def read_head(reader: StreamReader) -> Head | None:
    """Read a head; None if the other side has closed instead of sending one."""
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except IncompleteReadError as error:
        if error.partial:
            raise
        return None
    line, *rest = text[:-4].split("\r\n")
    pairs = (header.partition(":") for header in rest)
    return Head(line, tuple((key.strip(), value.strip()) for key, _, value in pairs))


async def read_body(reader: StreamReader, head: Head) -> bytes:
    """Read the body that a head announces, whether its size is told or it comes in chunks."""
    if "chunked" in head.get("transfer-encoding").lower():
        return await _read_chunks(reader)
    return await reader.readexactly(int(head.get("content-length") or 0))


async def read_answer(reader: StreamReader, *, method: str) -> tuple[Head, bytes]:
    """Read an answer; one that tells no size lasts until the connection is closed."""
    head = await read_head(reader)
    if head is None:
        raise ConnectionError("the server closed the connection before it answered")
    if head.status == 100:  # noqa: PLR2004 - "go on" before the answer proper
        return await read_answer(reader, method=method)
    if method == "HEAD" or head.status in BODILESS:
        return head, b""
    if head.get("content-length") or head.get("transfer-encoding"):
        return head, await read_body(reader, head)
    return head, await reader.read()


async def _read_chunks(reader: StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readline()).strip():
        pass  # trailers say nothing that anybody here wants
    return body
