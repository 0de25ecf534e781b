"""Telling one process from all others, and whether it is still there, for leases in storage that other machines may have written."""

import os
from pathlib import Path


def process_name(pid: int) -> str:
    """Name a process by the boot of its machine, its namespace of process ids, its id and when it began; empty if it is not there."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else f"{boot} {namespace} {pid} {fields[18]}"  # proc(5): 3 is its state, 22 when it began


def is_dead(process: str) -> bool:
    """Whether a process is known to be gone: it was one of this boot and this namespace, and is not there any more."""
    machine, _, pid = process.rpartition(" ")[0].rpartition(" ")
    here = process_name(os.getpid()).rpartition(" ")[0].rpartition(" ")[0]
    return bool(machine) and machine == here and process_name(int(pid)) != process
