"""Tries the lock on a child that does nothing else, so that the fork server can say which layers hold before it has work."""

import json
import mmap
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from workers.media.lock.confine import Lock
from workers.media.lock.layers import Findings

MEMORY_BYTES = 64 << 20
CPU_SECONDS = 10
CHILDS_OWN = ("rlimits", "seccomp")
LONGEST_REPORT = 4096


def fit(lock: Lock, findings: Findings) -> Lock:
    """Have a child put every layer on and tell how it went; returns the lock without the optional ones that do not fit."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        _try_on(lock, far)
    far.close()
    with near:
        report = near.recv(LONGEST_REPORT)
    _, status = os.waitpid(pid, 0)
    trouble = json.loads(report) if report else dict.fromkeys(CHILDS_OWN, f"a locked child ended with wait status {status}")
    findings.active.update({layer: "" for layer in CHILDS_OWN if layer not in findings.active | findings.missing})
    for layer, reason in trouble.items():
        findings.lose(layer, reason)
    return replace(lock, ruleset=None) if "landlock" in findings.missing else lock


def _try_on(lock: Lock, wire: socket.socket) -> NoReturn:
    trouble: dict[str, str] = {}
    try:
        _note(trouble, "landlock", lock.restrict_files)
        replace(lock, ruleset=None).forsake(keep={wire.fileno()})
        _note(trouble, "rlimits", lambda: _limit(lock))
        _note(trouble, "seccomp", lock.install_filter)
        wire.send(json.dumps(trouble).encode())
    finally:
        os._exit(0)


def _note(trouble: dict[str, str], layer: str, step: Callable[[], None]) -> None:
    try:
        step()
    except OSError as error:
        trouble[layer] = error.strerror or str(error)


def _limit(lock: Lock) -> None:
    lock.limit(memory_bytes=MEMORY_BYTES, cpu_seconds=CPU_SECONDS)
    try:
        mmap.mmap(-1, lock.base_bytes + MEMORY_BYTES).close()
    except OSError:
        return
    raise OSError("the limit of memory is not kept")
