"""What a child gives up before it meets untrusted bytes. A later, harder lock (seccomp, Landlock, namespaces) belongs here too."""

import ctypes
import itertools
import os
import resource
import signal

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
_LIBC = ctypes.CDLL(None, use_errno=True)


def address_space_bytes() -> int:
    """Address space of this process."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - nothing more than needed in the zygote
        return int(statm.read().split()[0]) * resource.getpagesize()


def forsake(*, parent: int, keep: set[int]) -> None:
    """Die with the parent, gain no privileges, and close every descriptor but those to `keep`."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked to die with it
        os._exit(1)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    edges = [-1, *sorted(keep), os.sysconf("SC_OPEN_MAX")]
    for low, high in itertools.pairwise(edges):
        os.closerange(low + 1, high)


def limit(*, address_space: int, cpu_seconds: int) -> None:
    """Set the limits that the kernel keeps: no new files, threads, processes or core dumps; so much memory and CPU."""
    _set(resource.RLIMIT_AS, address_space, address_space)
    _set(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)
    for nothing in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        _set(nothing, 0, 0)


def _set(which: int, soft: int, hard: int) -> None:
    ceiling = resource.getrlimit(which)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(ctypes.c_int(option), ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
