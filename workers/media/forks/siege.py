"""Has locked children attack this process and its machine, and tells how each attack ended."""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from workers.media.forks.forkserver import ForkServer, Wear
from workers.media.forks.offspring import Child
from workers.media.lock.attacks import ATTACKS, CPU_SECONDS, MEMORY_BYTES, Target
from workers.media.lock.layers import Layers
from workers.media.wire import LENGTH, MAX_MESSAGE, Job

BESIEGED = "workers.media.child.besieged"
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attack ended."""

    attack: str
    got_through: bool
    how: str


@dataclass(frozen=True, slots=True)
class Siege:
    """What the lock is made of, and how it held."""

    layers: Layers
    outcomes: tuple[Outcome, ...]

    @property
    def breaches(self) -> tuple[Outcome, ...]:
        """The attacks that got through."""
        return tuple(outcome for outcome in self.outcomes if outcome.got_through)


def besiege(*, unlocked: bool = False, attacks: tuple[str, ...] = tuple(ATTACKS)) -> Siege:
    """Try every attack, each from a locked child of its own.

    Raises:
        FatalError: there is no child to try it from; see `ForkServer.fork`.
    """
    with contextlib.closing(ForkServer(unlocked=unlocked, module=BESIEGED, wear=Wear(signals=frozenset()))) as server:
        layers = server.layers()
        return Siege(layers, tuple(_attempt(server, attack) for attack in attacks))


def _attempt(server: ForkServer, attack: str) -> Outcome:
    with _target() as (target, harm):
        order = json.dumps([attack, asdict(target)]).encode()
        job = _job(len(order))
        with server.fork(memory_size=job.memory_size) as child:
            outcome = _watch(child, job, order, attack)
        done = harm()
    return Outcome(attack, got_through=True, how=done) if done else outcome


def _watch(child: Child, job: Job, order: bytes, attack: str) -> Outcome:
    child.conversation.settimeout(PATIENCE_SECONDS)
    try:
        _hand_over(child, job.to_json())
        if child.conversation.recv(MAX_MESSAGE):  # it asks for its order
            _hand_over(child, order)
            if words := child.conversation.recv(MAX_MESSAGE):
                said = json.loads(words)
                return Outcome(attack, got_through=said["got_through"], how=said["how"])
    except TimeoutError:
        return Outcome(attack, got_through=True, how="nothing ended it")
    except ConnectionError:
        pass
    return _obituary(child, attack)


def _obituary(child: Child, attack: str) -> Outcome:
    status = child.reap()
    if status is None or not os.WIFSIGNALED(status):
        return Outcome(attack, got_through=True, how=f"the child left with wait status {status}")
    return Outcome(attack, got_through=False, how=signal.Signals(os.WTERMSIG(status)).name)


def _hand_over(child: Child, body: bytes) -> None:
    child.memory.put(body)
    child.conversation.send(LENGTH.pack(len(body)))


def _job(size_bytes: int) -> Job:
    return Job(
        size_bytes=size_bytes,
        min_gap_seconds=0,
        max_per_video=0,
        max_width=64,
        max_height=64,
        only_frames=None,
        cpu_seconds=CPU_SECONDS,
        memory_bytes=MEMORY_BYTES,
        max_pixels=1,
        max_duration_seconds=1,
    )


@contextlib.contextmanager
def _target() -> Iterator[tuple[Target, Callable[[], str]]]:
    """Hold something out to every attack; the function tells what harm was done, if any."""
    secret = ctypes.create_string_buffer(b"secret")
    abstract_name = f"framefleet-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder, _listener(("127.0.0.1", 0)) as tcp, _listener(f"\0{abstract_name}") as abstract:
        canary, new_file = Path(folder, "canary"), Path(folder, "new")
        canary.write_bytes(b"\n")
        port = tcp.getsockname()[1]
        with _listener(("127.0.0.1", port), kind=socket.SOCK_DGRAM) as udp:
            target = Target(os.getpid(), ctypes.addressof(secret), port, abstract_name, str(canary), str(new_file))
            yield target, lambda: _harm(new_file, tcp, abstract, udp)


def _listener(address: str | tuple[str, int], *, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, kind)
    listener.bind(address)
    if kind is socket.SOCK_STREAM:
        listener.listen()
    return listener


def _harm(new_file: Path, *listeners: socket.socket) -> str:
    if new_file.exists():
        return "it created a file"
    poll = select.poll()
    for one in listeners:
        poll.register(one, select.POLLIN)
    return "a listener heard it" if poll.poll(0) else ""
