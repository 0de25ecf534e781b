"""The real servers of the torture: a Redis that can be killed and comes back with what it had, and an S3 server."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from broker.embedded import redis_server_path, start_child
from schemas.errors import OperatorError

START_SECONDS = 30.0
LOOK_SECONDS = 0.02


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[bytes]", *, name: str) -> None:
    """Wait until a server listens.

    Raises:
        OperatorError: it does not.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(LOOK_SECONDS)
    raise OperatorError(f"The torture's {name} did not start on this machine; is there room in the memory and on the disk?")


@dataclass(slots=True)
class Redis:
    """A redis-server that writes down all it does before it answers."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, with what it had when it died."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", os.fspath(self.folder), "--save", ""]
        self._process = start_child([redis_server_path(), *words, "--appendonly", "yes", "--appendfsync", "everysec"])
        wait_for(self.port, self._process, name="redis-server")

    def kill(self) -> None:
        """Kill it; nothing of it ends in order."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@dataclass(slots=True)
class ObjectServer:
    """An S3 server in a process of its own, which nobody kills: its objects are the record."""

    log: Path
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it."""
        with self.log.open("wb") as log:
            self._process = start_child([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], log=log.fileno())
        wait_for(self.port, self._process, name="S3 server")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.kill()
            self._process.wait()


def require_object_server() -> None:
    """Return if the S3 server is installed.

    Raises:
        OperatorError: it is not.
    """
    if importlib.util.find_spec("moto") is None:
        raise OperatorError('The torture needs an S3 server of its own: pip install "framefleet[torture]"')
