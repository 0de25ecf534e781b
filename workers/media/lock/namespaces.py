"""Namespaces with nothing in them, for the fork server and all its children: optional, since containers mostly refuse them."""

import ctypes
import os
import struct
from pathlib import Path

from workers.media.lock import kernel
from workers.media.lock.syscalls import this_machine

CLONE_NEWUSER = 0x10000000
EMPTY = {"mount": 0x00020000, "uts": 0x04000000, "ipc": 0x08000000, "network": 0x40000000}
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 0x4000, 0x40000
CAPABILITY_VERSION_3 = 0x20080522


def enter() -> list[str]:
    """Leave the machine's network, mounts, System V memory and names, and its users where the kernel lets anybody; returns which.

    Raises:
        OSError: the kernel refuses.
    """
    flags = sum(EMPTY.values())
    try:
        kernel.unshare(flags | CLONE_NEWUSER)
    except OSError:
        kernel.unshare(flags)  # which root may where there are no user namespaces
        return list(EMPTY)
    return ["user", *EMPTY]


def empty_root() -> None:
    """Swap the tree of files for an empty one that nobody can write. Needs a mount namespace of our own.

    Raises:
        OSError: the kernel refuses.
    """
    kernel.mount(None, b"/", MS_REC | MS_PRIVATE)
    somewhere = os.fsencode(Path(__file__).parent)  # any folder that is sure to be there
    kernel.mount(b"tmpfs", somewhere, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, b"size=4k")
    os.chdir(somewhere)
    here = ctypes.create_string_buffer(b".")
    kernel.syscall(
        this_machine().number("pivot_root"), ctypes.addressof(here), ctypes.addressof(here)
    )  # the old root lies over the new one
    kernel.unmount_lazily(b".")
    os.chdir("/")


def drop_capabilities() -> None:
    """Be root, if at all, in name only.

    Raises:
        OSError: the kernel refuses.
    """
    header = ctypes.create_string_buffer(struct.pack("=Ii", CAPABILITY_VERSION_3, 0))
    none = ctypes.create_string_buffer(struct.calcsize("=6I"))
    kernel.syscall(this_machine().number("capset"), ctypes.addressof(header), ctypes.addressof(none))
