"""A fork server whose locked children do what a file tells them to, if it tells: what an exploited decoder would do."""

import ctypes
import logging
import os
from collections.abc import Callable

from workers.media.child import zygote
from workers.media.child.channel import Channel
from workers.media.child.report import Report
from workers.media.wire import Job

SIGN = b"misdeed: "


def main(control_descriptor: int, *, enforced: bool, reused: bool) -> None:
    """Fork children that may misbehave."""
    zygote.main(control_descriptor, enforced=enforced, reused=reused, deed=_misbehave)


def _misbehave(job: Job, channel: Channel, _: Report) -> None:
    said = channel.read(0, min(job.size_bytes, 64))
    if said.startswith(SIGN):
        MISDEEDS[said.removeprefix(SIGN).decode()]()


def _segfault() -> None:
    logging.getLogger("libav").error("a last word")
    ctypes.string_at(0)


def _loop() -> None:
    while True:
        pass


def _allocate() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(1 << 20))


def _fork() -> None:
    while True:
        os.fork()


MISDEEDS: dict[str, Callable[[], None]] = {"segfault": _segfault, "loop": _loop, "allocate": _allocate, "fork": _fork, "abort": os.abort}
