"""What a captured decoder would try. The doctor and the tests have a locked child try it; nothing that reads videos knows this module.

Each attack returns once it got what it wanted. What it must not harm, should it get through, it leaves unharmed.
"""

import _thread
import ctypes
import mmap
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from workers.media.lock import kernel, namespaces
from workers.media.lock.syscalls import this_machine

PAGE_BYTES = mmap.PAGESIZE
MEMORY_BYTES = 64 << 20
"""What an attacker may use; it tries to get several times as much."""
CPU_SECONDS = 1
GREED = 4
PTRACE_SEIZE = 0x4206
X32_BIT = 0x40000000
READ_WRITE_EXEC = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC


@dataclass(frozen=True, slots=True)
class Target:
    """What the besieging process holds out."""

    pid: int
    address: int
    """Where something lies in its memory."""
    port: int
    """Where it listens on the machine's own network."""
    abstract_name: str
    """Where it listens without a file."""
    file: str
    new_file: str
    """Where there is nothing yet."""


def read_a_file(target: Target) -> None:
    """Read a file by its name."""
    os.read(os.open(target.file, os.O_RDONLY), 1)


def write_a_file(target: Target) -> None:
    """Create a file."""
    os.write(os.open(target.new_file, os.O_CREAT | os.O_WRONLY, 0o600), b"\n")


def list_a_folder(_: Target) -> None:
    """See what files there are."""
    os.listdir("/")  # noqa: PTH208


def ask_for_a_file(target: Target) -> None:
    """Learn whether a file exists, and its size."""
    os.stat(target.file)  # noqa: PTH116


def connect(target: Target) -> None:
    """Reach a listener over the network."""
    socket.socket().connect(("127.0.0.1", target.port))


def send_a_datagram(target: Target) -> None:
    """Send something without a connection."""
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"\n", ("127.0.0.1", target.port))


def reach_an_abstract_socket(target: Target) -> None:
    """Reach a listener of the machine that has no file."""
    socket.socket(socket.AF_UNIX).connect(f"\0{target.abstract_name}")


def run_a_program(_: Target) -> None:
    """Become another program."""
    os.execv(sys.executable, [sys.executable, "-c", ""])  # noqa: S606


def fork(_: Target) -> None:
    """Start a process."""
    if os.fork() == 0:
        os._exit(0)


def start_a_thread(_: Target) -> None:
    """Start a thread."""
    _thread.start_new_thread(lambda: None, ())


def signal_the_parent(target: Target) -> None:
    """Be allowed to send a signal to the worker."""
    os.kill(target.pid, 0)


def hold_the_parent(target: Target) -> None:
    """Get a descriptor of the worker's process."""
    os.pidfd_open(target.pid)


def trace_the_parent(target: Target) -> None:
    """Take control of the worker as a debugger does."""
    kernel.syscall(this_machine().number("ptrace"), PTRACE_SEIZE, target.pid, 0, 0)


def read_the_parents_environment(target: Target) -> None:
    """Read the worker's credentials."""
    os.read(os.open(f"/proc/{target.pid}/environ", os.O_RDONLY), 1)


def read_the_parents_memory(target: Target) -> None:
    """Read the worker's secrets where they lie."""
    here = ctypes.create_string_buffer(8)
    local, remote = ((ctypes.c_ulong * 2)(address, 8) for address in (ctypes.addressof(here), target.address))
    call = this_machine().number("process_vm_readv")
    kernel.syscall(call, target.pid, ctypes.addressof(local), 1, ctypes.addressof(remote), 1, 0)


def map_memory_that_runs(_: Target) -> None:
    """Get memory to write a program into."""
    mmap.mmap(-1, PAGE_BYTES, prot=READ_WRITE_EXEC)


def make_memory_run(_: Target) -> None:
    """Turn memory that was written into a program."""
    page = mmap.mmap(-1, PAGE_BYTES)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    kernel.syscall(this_machine().number("mprotect"), address, PAGE_BYTES, READ_WRITE_EXEC)


def open_a_nameless_file(_: Target) -> None:
    """Get a file in memory, which can be run too."""
    os.memfd_create("attack")


def raise_its_limits(_: Target) -> None:
    """Give itself back what it gave up."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def become_visible(_: Target) -> None:
    """Let others trace it."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)


def enter_a_namespace(_: Target) -> None:
    """Become root in a world of its own, where the kernel is easier to attack."""
    kernel.unshare(namespaces.CLONE_NEWUSER)


def set_up_an_io_ring(_: Target) -> None:
    """Have the kernel make calls in its place, which no filter sees."""
    parameters = ctypes.create_string_buffer(120)
    kernel.syscall(this_machine().number("io_uring_setup"), 1, ctypes.addressof(parameters))


def call_by_another_table(_: Target) -> None:
    """Make a call by the number that it has for programs of another kind (x32)."""
    kernel.syscall(X32_BIT | this_machine().number("getpid"))


def take_all_memory(_: Target) -> None:
    """Allocate without end."""
    taken: list[bytes] = []
    while sum(len(block) for block in taken) < GREED * MEMORY_BYTES:
        taken.append(b"\1" * (MEMORY_BYTES // 8))


def take_all_cpu(_: Target) -> None:
    """Compute without end."""
    while time.process_time() < GREED * CPU_SECONDS:
        pass


ATTACKS: dict[str, Callable[[Target], None]] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        *(read_a_file, write_a_file, list_a_folder, ask_for_a_file),
        *(connect, send_a_datagram, reach_an_abstract_socket),
        *(run_a_program, fork, start_a_thread),
        *(signal_the_parent, hold_the_parent, trace_the_parent, read_the_parents_environment, read_the_parents_memory),
        *(map_memory_that_runs, make_memory_run, open_a_nameless_file),
        *(raise_its_limits, become_visible, enter_a_namespace, set_up_an_io_ring, call_by_another_table),
        *(take_all_memory, take_all_cpu),
    )
}
