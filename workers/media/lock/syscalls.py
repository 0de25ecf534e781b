"""Numbers of system calls, by machine (Linux: asm/unistd_64.h, asm-generic/unistd.h). A call that a machine lacks stands as -1."""

import platform
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of processor, as seccomp names it, and its calls' numbers."""

    audit_arch: int
    column: int

    def number(self, call: str) -> int:
        """The call's number here; negative where this kind of machine never had it."""
        return NUMBERS[call][self.column]


MACHINES = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}
NUMBERS = {
    "access": (21, -1),
    "brk": (12, 214),
    "capset": (126, 91),
    "clock_gettime": (228, 113),
    "clone3": (435, 435),
    "close": (3, 57),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "fcntl": (72, 25),
    "fstat": (5, 80),
    "futex": (202, 98),
    "getcpu": (309, 168),
    "getpid": (39, 172),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lseek": (8, 62),
    "madvise": (28, 233),
    "membarrier": (324, 283),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "newfstatat": (262, 79),
    "open": (2, -1),
    "openat": (257, 56),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "process_vm_readv": (310, 270),
    "ptrace": (101, 117),
    "readlink": (89, -1),
    "readlinkat": (267, 78),
    "recvfrom": (45, 207),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124),
    "sendto": (44, 206),
    "stat": (4, -1),
    "statx": (332, 291),
    "sysinfo": (99, 179),
    "tgkill": (234, 131),
    "uname": (63, 160),
    "write": (1, 64),
    "writev": (20, 66),
}


def machine_named(name: str) -> Machine:
    """A kind of processor by the name that `uname -m` has for it.

    Raises:
        OSError: its calls' numbers are not known here.
    """
    if name not in MACHINES:
        raise OSError(f"the numbers of system calls on {name} are not known")
    return MACHINES[name]


def this_machine() -> Machine:
    """What this interpreter runs on.

    Raises:
        OSError: its calls' numbers are not known here.
    """
    return machine_named(platform.machine())
