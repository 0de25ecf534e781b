"""A real HTTP server that speaks /v1/chat/completions and /v1/models, and misbehaves on request."""

import base64
import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MODEL = "tiny"


@dataclass(frozen=True)
class Request:
    """One request as it came; `question` is its JSON."""

    method: str
    path: str
    headers: dict[str, str]
    question: dict[str, Any]
    number: int
    """Counts completions from 1; zero for anything else."""

    @property
    def jpeg(self) -> bytes:
        """The picture asked about."""
        url = self.question["messages"][-1]["content"][-1]["image_url"]["url"]
        return base64.b64decode(url.removeprefix("data:image/jpeg;base64,"), validate=True)


@dataclass(frozen=True)
class Reply:
    """What to send, and how badly."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    after_seconds: float = 0.0
    """How long to keep silent before answering."""
    trickle_seconds: float = 0.0
    """Pause after every byte of the body."""
    hang_up: bool = False
    """Close the connection instead of answering."""


Script = Callable[[Request], Reply]


def completion(text: str | None, *, finish_reason: str | None = "stop", tokens: tuple[int, int] | None = None, **message: Any) -> Reply:
    """A chat completion; `tokens` are the prompt's and the answer's."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}
    usage = {"usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}} if tokens else {}
    return Reply(body=json.dumps({"object": "chat.completion", "choices": [choice]} | usage).encode())


def failure(status: int, message: str = "no", **headers: str) -> Reply:
    """An error as such servers phrase it; `Retry_After="1"` becomes a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, body=json.dumps({"error": {"message": message}}).encode(), headers=named)


def models(*names: str) -> Reply:
    """The listing of /v1/models."""
    return Reply(body=json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in names]}).encode())


def in_turn(*replies: Reply) -> Script:
    """Give these replies one after the other, the last one for ever."""
    return lambda request: replies[min(request.number, len(replies)) - 1]


class ChatServer:
    """Serves while it is entered, each connection in a thread of its own; remembers what it was asked."""

    def __init__(self, script: Script | None = None, *, listing: Reply | None = None, port: int = 0) -> None:
        self.script = script or (lambda _: completion("{}"))
        self.listing = listing or models(MODEL)
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """The base address that a client is given."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def questions(self) -> list[dict[str, Any]]:
        """What was asked of /v1/chat/completions, in order."""
        return [request.question for request in self.requests if request.number]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def reply_to(self, *, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Note the request and look its reply up in the script."""
        asks = method == "POST" and path == "/v1/chat/completions"
        with self._lock:
            number = next(self._numbers) if asks else 0
            request = Request(method, path, headers, json.loads(body or b"{}"), number)
            self.requests.append(request)
        if asks:
            return self.script(request)
        return self.listing if path == "/v1/models" else failure(404, "no such path")


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, address: tuple[str, int], chat: ChatServer) -> None:
        self.chat = chat
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.chat.connections.add(self.connection)

    def finish(self) -> None:
        self.server.chat.connections.discard(self.connection)
        super().finish()

    def do_POST(self) -> None:
        self._reply()

    def do_GET(self) -> None:
        self._reply()

    def _reply(self) -> None:
        chat = self.server.chat
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        reply = chat.reply_to(method=self.command, path=self.path, headers=dict(self.headers), body=body)
        if chat.stopping.wait(reply.after_seconds) or reply.hang_up:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        if not reply.trickle_seconds:
            self.wfile.write(reply.body)
            return
        for byte in reply.body:
            self.wfile.write(bytes([byte]))
            if self.server.chat.stopping.wait(reply.trickle_seconds):
                return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""
