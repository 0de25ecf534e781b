import errno
import struct
import subprocess
import sys

import pytest
from refusals import ROOT

from workers.media.lock import landlock
from workers.media.lock.seccomp import ALLOW, ALLOWED, ERRNO, KILL_PROCESS, REFUSED, Filter, compile_filter
from workers.media.lock.syscalls import MACHINES, Machine, machine_named

PID = 4711
READ_WRITE, EXEC = 3, 4


def decide(program: Filter, machine: Machine, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would; the few instructions of classic BPF that it is made of."""
    code = bytearray(program.code)
    struct.pack_into("=I", code, program.pid_at, PID)
    lines = list(struct.iter_unpack("=HBBI", code))
    seen = struct.pack("=iIQ6Q", number, machine.audit_arch, 0, *(arguments + (0,) * 6)[:6])
    position, register = 0, 0
    while True:
        operation, if_so, if_not, value = lines[position]
        position += 1
        match operation:
            case 0x20:
                (register,) = struct.unpack_from("=I", seen, value)
            case 0x15:
                position += if_so if register == value else if_not
            case 0x45:
                position += if_so if register & value else if_not
            case 0x06:
                return value


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Machine:
    return machine_named(request.param)


def test_what_decoding_needs_is_allowed(machine: Machine) -> None:
    program = compile_filter(machine)
    assert {decide(program, machine, machine.number(call)) for call in ALLOWED} == {ALLOW}
    assert {decide(program, machine, machine.number(call), 0, 4096, READ_WRITE) for call in ("mmap", "mprotect")} == {ALLOW}


def test_what_ordinary_code_asks_for_is_answered(machine: Machine) -> None:
    program = compile_filter(machine)
    for call, number in REFUSED.items():
        if machine.number(call) >= 0:
            assert decide(program, machine, machine.number(call)) == ERRNO | number
    assert decide(program, machine, machine.number("clone3")) == ERRNO | errno.ENOSYS


def test_every_other_call_kills(machine: Machine) -> None:
    program = compile_filter(machine)
    answered = {machine.number(call) for call in (*ALLOWED, *REFUSED, "mmap", "mprotect", "tgkill")}
    assert {decide(program, machine, number) for number in range(-1, 600) if number not in answered} == {KILL_PROCESS}


def test_memory_that_runs_kills(machine: Machine) -> None:
    program = compile_filter(machine)
    assert {decide(program, machine, machine.number(call), 0, 4096, READ_WRITE | EXEC) for call in ("mmap", "mprotect")} == {KILL_PROCESS}


def test_a_signal_reaches_nobody_but_the_process_itself(machine: Machine) -> None:
    program, call = compile_filter(machine), machine.number("tgkill")
    assert [decide(program, machine, call, pid) for pid in (PID, PID + 1, 0, 1)] == [ALLOW, KILL_PROCESS, KILL_PROCESS, KILL_PROCESS]


def test_calls_of_another_kind_of_machine_kill() -> None:
    here, other = MACHINES.values()
    assert decide(compile_filter(here), other, here.number("getpid")) == KILL_PROCESS
    assert decide(compile_filter(here), here, 0x40000000 | here.number("getpid")) == KILL_PROCESS


def test_a_machine_of_unknown_kind_has_no_filter() -> None:
    with pytest.raises(OSError, match="riscv64"):
        machine_named("riscv64")


def run(program: str) -> str:
    """What a process of its own says; for what binds a process for good."""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False).stdout


PREPARE = """
import os, socket
from workers.media.lock import kernel
from workers.media.lock import landlock
from workers.media.lock.confine import Lock
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
"""


def test_a_child_without_its_filter_leaves_unless_that_is_allowed() -> None:
    close = "Lock(0, 1 << 40, None, None, enforced={enforced}).close(memory_bytes=1 << 30, cpu_seconds=60); os.write(1, b'goes on')"
    assert run(PREPARE + close.format(enforced=True)) == ""
    assert run(PREPARE + close.format(enforced=False)) == "goes on"


def test_a_child_that_could_gain_privileges_leaves() -> None:
    prepare = PREPARE.replace(
        "kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)", "from workers.media.lock.seccomp import *; from workers.media.lock.syscalls import *"
    )
    close = "Lock(0, 1 << 40, compile_filter(this_machine()), None, enforced=True).close(memory_bytes=1 << 30, cpu_seconds=60)"
    assert run(f"{prepare}\n{close}; os.write(1, b'goes on')") == ""


def test_landlock_alone_shuts_files_and_ports() -> None:
    try:
        landlock.version()
    except OSError:
        pytest.skip("this kernel has no Landlock")
    attempts = """
landlock.restrict(landlock.empty_ruleset())
for attempt in (lambda: open("/etc/passwd"), lambda: os.listdir("/"), lambda: os.open("/tmp/x", os.O_CREAT | os.O_RDWR)):
    try: attempt(); print("got through")
    except PermissionError: pass
"""
    assert run(PREPARE + attempts + "print('tried')") == "tried\n"


def test_an_abort_is_named_by_its_own_signal() -> None:
    program = f"""{PREPARE}
from workers.media.lock.seccomp import compile_filter; from workers.media.lock.syscalls import this_machine
Lock(0, 1 << 40, compile_filter(this_machine()), None, enforced=True).close(memory_bytes=1 << 30, cpu_seconds=60)
os.abort()
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False).returncode == -6
