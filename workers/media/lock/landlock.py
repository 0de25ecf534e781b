"""Landlock without any rule: no path, no TCP port, no signal or socket outside (Linux 5.13 and later; docs: userspace-api/landlock)."""

import ctypes
import os
import struct

from workers.media.lock import kernel
from workers.media.lock.syscalls import this_machine

CREATE_RULESET_VERSION = 1
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights over files there are to take, by version of the interface; later ones have 16."""
LATEST_FILE_RIGHTS = 16
NETWORK_SINCE, SCOPES_SINCE = 4, 6
BOTH = 0b11
"""TCP's bind and connect; abstract sockets' and signals' scope."""


def version() -> int:
    """The interface's version.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """
    return kernel.syscall(_number("landlock_create_ruleset"), 0, 0, CREATE_RULESET_VERSION)


def empty_ruleset() -> int:
    """Make a ruleset that takes every right the kernel knows; returns its descriptor, which no program run later has.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """
    have = version()
    files = (1 << FILE_RIGHTS.get(have, LATEST_FILE_RIGHTS)) - 1
    words = [files, *([BOTH] if have >= NETWORK_SINCE else []), *([BOTH] if have >= SCOPES_SINCE else [])]
    attributes = struct.pack(f"={len(words)}Q", *words)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return kernel.syscall(_number("landlock_create_ruleset"), ctypes.addressof(buffer), len(attributes), 0)


def restrict(ruleset: int) -> None:
    """Put the ruleset on, and let go of it.

    Raises:
        OSError: the kernel refuses.
    """
    kernel.syscall(_number("landlock_restrict_self"), ruleset, 0)
    os.close(ruleset)


def _number(call: str) -> int:
    return this_machine().number(call)
