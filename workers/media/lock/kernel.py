"""The few system calls that Python has no name for."""

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def prctl(option: int, value: int = 0, address: int = 0) -> int:
    """Change or ask something about this process.

    Raises:
        OSError: the kernel refuses.
    """
    words = [ctypes.c_ulong(word) for word in (value, address, 0, 0)]
    return _checked(_LIBC.prctl(ctypes.c_int(option), *words), f"prctl({option})")


def syscall(number: int, *words: int) -> int:
    """Make a system call by its number; addresses are words too.

    Raises:
        OSError: the kernel refuses.
    """
    return _checked(_LIBC.syscall(ctypes.c_long(number), *(ctypes.c_ulong(word) for word in words)), f"system call {number}")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones (`os.unshare` came with Python 3.12).

    Raises:
        OSError: the kernel refuses.
    """
    _checked(_LIBC.unshare(ctypes.c_int(flags)), "unshare")


def mount(kind: bytes | None, target: bytes, flags: int, options: bytes | None = None) -> None:
    """Mount a file system that has no device, or change how one is mounted.

    Raises:
        OSError: the kernel refuses.
    """
    _checked(_LIBC.mount(b"none", target, kind, ctypes.c_ulong(flags), options), "mount")


def unmount_lazily(target: bytes) -> None:
    """Take a file system away, now from the tree and later from those who use it.

    Raises:
        OSError: the kernel refuses.
    """
    lazily = 2
    _checked(_LIBC.umount2(target, ctypes.c_int(lazily)), "umount2")


def hide() -> None:
    """Let no process of the same user trace this one, or read its memory and its environment; it dumps no core either."""
    prctl(PR_SET_DUMPABLE, 0)


def _checked(answer: int, call: str) -> int:
    if answer == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), call)
    return answer
