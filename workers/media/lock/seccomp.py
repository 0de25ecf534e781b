"""Which system calls a decoding child may still make, as a filter that the kernel keeps (seccomp-BPF). The list was found by strace.

Allowed is what decoding and the conversation need. Refused with an error is what ordinary code asks for on its way and does well
without (iconv its tables, sysconf the size of memory), since killing it would take the service down with a new C library.
Everything else kills the process with SIGSYS.
"""

import ctypes
import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from workers.media.lock import kernel
from workers.media.lock.syscalls import Machine

ALLOWED = (
    *("recvfrom", "sendto", "futex", "brk", "munmap", "clock_gettime", "madvise", "mremap", "gettimeofday", "getrusage"),
    *("getpid", "gettid", "getrandom", "sched_yield", "rt_sigprocmask", "rt_sigreturn", "restart_syscall", "exit", "exit_group"),
)
REFUSED = {
    **dict.fromkeys(("open", "openat", "stat", "newfstatat", "access", "faccessat", "readlink", "readlinkat"), errno.EACCES),
    **dict.fromkeys(("close", "fcntl", "fstat", "lseek", "write", "writev"), errno.EBADF),
    **dict.fromkeys(("prctl", "prlimit64", "sched_getaffinity", "sysinfo", "uname"), errno.EPERM),
    **dict.fromkeys(("clone3", "faccessat2", "getcpu", "membarrier", "rseq", "statx"), errno.ENOSYS),
    "ioctl": errno.ENOTTY,
}
WITHOUT_EXEC = ("mmap", "mprotect")
PROT_EXEC = 4
PROTECTION_ARGUMENT = 2

KILL_PROCESS = 0x80000000
ERRNO = 0x00050000
ALLOW = 0x7FFF0000
LOAD, JUMP_EQUAL, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
"""Instructions of classic BPF: BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JSET|K, BPF_RET|K."""
INSTRUCTION = struct.Struct("=HBBI")
VALUE_AT = 4
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16
"""Where struct seccomp_data has the call's number, the machine, and the low halves of the arguments (8 bytes apart)."""
SECCOMP_MODE_FILTER = 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter; the process that it shall be for is written in when it is installed."""

    code: bytes
    pid_at: int

    @property
    def instructions(self) -> int:
        """How long the program is."""
        return len(self.code) // INSTRUCTION.size

    def install(self, pid: int) -> None:
        """Bind this process, for good, to what the filter allows a process of this pid.

        Raises:
            OSError: the kernel has no seccomp filters, or refuses this one.
        """
        code = ctypes.create_string_buffer(self.code, len(self.code))
        struct.pack_into("=I", code, self.pid_at, pid)
        program = _Program(self.instructions, ctypes.addressof(code))
        kernel.prctl(kernel.PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))


def compile_filter(machine: Machine) -> Filter:
    """Compile the filter for a kind of machine."""
    lines = [*_of_machine(machine), *_by_number(machine), *_by_argument(machine), *_own_signals(machine), _line(RETURN, KILL_PROCESS)]
    return Filter(b"".join(lines), pid_at=lines.index(_OF_THIS_PROCESS) * INSTRUCTION.size + VALUE_AT)


def _line(code: int, value: int, *, if_so: int = 0, if_not: int = 0) -> bytes:
    """One instruction; the jumps count the lines to leave out."""
    return INSTRUCTION.pack(code, if_so, if_not, value)


def _of_machine(machine: Machine) -> Iterator[bytes]:
    yield _line(LOAD, ARCH_AT)
    yield _line(JUMP_EQUAL, machine.audit_arch, if_so=1)
    yield _line(RETURN, KILL_PROCESS)
    yield _line(LOAD, NUMBER_AT)


def _by_number(machine: Machine) -> Iterator[bytes]:
    answers = dict.fromkeys(ALLOWED, ALLOW) | {call: ERRNO | number for call, number in REFUSED.items()}
    for call, answer in answers.items():
        if machine.number(call) >= 0:
            yield _line(JUMP_EQUAL, machine.number(call), if_not=1)
            yield _line(RETURN, answer)


def _by_argument(machine: Machine) -> Iterator[bytes]:
    """Memory may be had, but none that runs."""
    for call in WITHOUT_EXEC:
        yield _line(JUMP_EQUAL, machine.number(call), if_not=4)
        yield _line(LOAD, ARGUMENTS_AT + 8 * PROTECTION_ARGUMENT)
        yield _line(JUMP_ANY_BIT, PROT_EXEC, if_so=1)
        yield _line(RETURN, ALLOW)
        yield _line(RETURN, KILL_PROCESS)


def _own_signals(machine: Machine) -> Iterator[bytes]:
    """A process may send signals to itself, or abort() could not tell that it was one."""
    yield _line(JUMP_EQUAL, machine.number("tgkill"), if_not=3)
    yield _line(LOAD, ARGUMENTS_AT)
    yield _OF_THIS_PROCESS
    yield _line(RETURN, ALLOW)


_OF_THIS_PROCESS = _line(JUMP_EQUAL, 0, if_not=1)
"""No process has this pid: the right one is written in."""
