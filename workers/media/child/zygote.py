"""The fork server's process: has everything imported, holds nothing, and forks one child per video."""

import gc
import importlib
import os
import pkgutil
import select
import signal
import socket
import struct

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy would start a thread per core, and a process with threads must not fork
import av

from workers.media.child import heap, life
from workers.media.forks.requests import REQUEST_DESCRIPTORS, RETIRE
from workers.media.lock.confine import Lock, prepare
from workers.media.lock.fitting import fit
from workers.media.lock.layers import Findings

NOT_WANTED = ("av.__main__", "av.datasets")


def main(control_descriptor: int, *, enforced: bool, reused: bool = False, deed: life.Deed | None = None) -> None:
    """Say which layers of the lock hold, then fork children on request, until retired or until the parent's end of the control closes.

    A deed is what the children do under their lock in place of reading a video. Children that are reused take another video after one.
    """
    _import_all_of_av()
    os.environ.clear()
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208
        raise SystemExit("The fork server has threads.")
    with socket.socket(fileno=control_descriptor) as control:
        findings = Findings()
        lock = fit(prepare(findings, enforced=enforced), findings)
        control.send(findings.layers.to_json())
        heap.keep_whole()
        gc.collect()
        gc.freeze()
        _Nursery(control, lock, deed, reused=reused).run()
    os._exit(0)


def _import_all_of_av() -> None:
    """PyAV imports the modules of its codec contexts when a stream of their type turns up: too late for a child without files."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in NOT_WANTED:
            importlib.import_module(module.name)


class _Nursery:
    """The children alive: each one's pidfd leads to its pid and to the socket that waits for its end."""

    def __init__(self, control: socket.socket, lock: Lock, deed: life.Deed | None, *, reused: bool) -> None:
        self._control = control
        self._lock = lock
        self._deed = deed
        self._reused = reused
        self._retired = False
        self._children: dict[int, tuple[int, socket.socket]] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def run(self) -> None:
        while self._children or not self._retired:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._control.fileno():
                    self._reap(descriptor)
                elif not self._answer():
                    self._abandon()
                    return

    def _answer(self) -> bool:
        request, descriptors, _, _ = socket.recv_fds(self._control, 1, REQUEST_DESCRIPTORS)
        if not request:
            return False
        self._retired = self._retired or request == RETIRE
        if len(descriptors) == REQUEST_DESCRIPTORS:
            self._fork(*descriptors)
        return True

    def _fork(self, conversation: int, memory: int, obituary: int) -> None:
        pid = os.fork()
        if pid == 0:
            life.live(conversation, memory, lock=self._lock, deed=self._deed, reused=self._reused)
        os.close(conversation)
        os.close(memory)
        pidfd = os.pidfd_open(pid)
        waiting = socket.socket(fileno=obituary)
        self._children[pidfd] = (pid, waiting)
        self._poll.register(pidfd, select.POLLIN)
        _tell(waiting, b"P", [pidfd])

    def _reap(self, pidfd: int) -> None:
        pid, waiting = self._children.pop(pidfd)
        _, status = os.waitpid(pid, 0)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _tell(waiting, struct.pack("<i", status))
        waiting.close()

    def _abandon(self) -> None:
        for pidfd, (pid, _) in self._children.items():
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitpid(pid, 0)


def _tell(waiting: socket.socket, packet: bytes, descriptors: list[int] | None = None) -> None:
    try:
        socket.send_fds(waiting, [packet], descriptors or [])
    except OSError:
        return  # the parent no longer cares for this child
