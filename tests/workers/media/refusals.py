"""A kernel or a container that refuses more than ours: a program run under a filter of system calls that answers with errors."""

import ctypes
import errno
import os
import struct
import subprocess
import sys
from pathlib import Path

from workers.media.lock import kernel
from workers.media.lock.syscalls import MACHINES, NUMBERS, this_machine

ROOT = Path(__file__).resolve().parents[3]
MORE_NUMBERS = {"unshare": (272, 97), "mount": (165, 40), "bpf": (321, 280), "keyctl": (250, 219)}
CONTAINER = ("unshare", "mount", "pivot_root", "bpf", "keyctl", "io_uring_setup", "landlock_create_ruleset")
"""What a container's default profile refuses, and Landlock, which older ones refuse too."""
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
"""Without any privilege but to read the interpreter and this checkout, wherever they lie."""
BOOT = "import sys; sys.path[:0] = sys.argv[1:4]; from refusals import refuse; refuse(*sys.argv[5:]); exec(sys.argv[4])"


def refuse(*calls: str) -> None:
    """Have this process and its children refused these calls; `call:argument` refuses it for one value of the first argument only."""
    column = list(MACHINES.values()).index(this_machine())
    lines = [struct.pack("=HBBI", 0x20, 0, 0, 0)]
    for call in calls:
        name, _, argument = call.partition(":")
        number = (NUMBERS | MORE_NUMBERS)[name][column]
        answer = struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | errno.EPERM)
        if argument:
            lines += [struct.pack("=HBBI", 0x15, 0, 4, number), struct.pack("=HBBI", 0x20, 0, 0, 16)]
            lines += [struct.pack("=HBBI", 0x15, 0, 1, int(argument)), answer, struct.pack("=HBBI", 0x20, 0, 0, 0)]
        else:
            lines += [struct.pack("=HBBI", 0x15, 0, 1, number), answer]
    lines.append(struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(lines))
    program = ctypes.create_string_buffer(struct.pack("HP", len(lines), ctypes.addressof(code)))
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_SECCOMP, 2, ctypes.addressof(program))


def run_refused(program: str, *calls: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a program under `refuse`, behind a command that changes something else."""
    folders = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]
    command = [*prefix, sys.executable, "-c", BOOT, *folders, program, *calls]
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=environment, timeout=120)
