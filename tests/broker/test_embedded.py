import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import redis

from broker.app import make_app
from broker.embedded import embedded_redis, start_child
from broker.queues import ShardQueue

CHECKOUT = Path(__file__).parents[2]
PARENT = """
import sys
from broker.embedded import start_child
child = start_child([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
sys.stdin.read()
"""


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually_gone(pid: int) -> bool:
    end = time.monotonic() + 30
    while not gone(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return gone(pid)


def server_of(url: str) -> tuple[Path, int]:
    """Where a private server lives, and its process."""
    socket = Path(url.removeprefix("redis+socket://"))
    with redis.Redis(unix_socket_path=str(socket)) as client:
        return socket.parent, client.info("server")["process_id"]


def test_a_private_redis_answers_and_leaves_neither_process_nor_folder() -> None:
    with embedded_redis() as url:
        folder, pid = server_of(url)
        assert ShardQueue(make_app(url)).depth() == 0
        assert folder.is_dir()
        assert not gone(pid)
    assert gone(pid)
    assert not folder.exists()


def test_an_error_in_the_block_leaves_nothing_either() -> None:
    with suppress(KeyError), embedded_redis() as url:
        folder, pid = server_of(url)
        raise KeyError
    assert gone(pid)
    assert not folder.exists()


def test_a_private_redis_is_reached_by_nobody_else() -> None:
    with embedded_redis() as url:
        folder, _ = server_of(url)
        assert folder.stat().st_mode & 0o077 == 0
        with redis.Redis(unix_socket_path=f"{folder}/redis.sock") as client:
            assert client.config_get("port") == {"port": "0"}


def test_two_private_servers_do_not_meet() -> None:
    with embedded_redis() as one, embedded_redis() as other:
        assert server_of(one) != server_of(other)


def test_a_child_dies_when_its_parent_is_killed() -> None:
    env = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen([sys.executable, "-c", PARENT], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.send_signal(signal.SIGKILL)
        assert eventually_gone(child)


def test_a_child_has_a_session_the_environment_and_the_log_it_was_given(tmp_path: Path) -> None:
    look = "import os; print(os.getsid(0) == os.getpid(), os.environ['COLOUR'], 'HOME' in os.environ)"
    with (tmp_path / "log").open("wb") as log:
        child = start_child([sys.executable, "-c", look], env={"COLOUR": "red"}, log=log.fileno())
    assert child.wait(timeout=60) == 0
    assert (tmp_path / "log").read_text().split() == ["True", "red", "False"]
