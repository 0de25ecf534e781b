"""What the kernel says of processes."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Processes whose parent is `pid`, zombies among them."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(folder.name))
    return found


def zygotes() -> list[int]:
    """The fork servers that this process started."""
    return [pid for pid in children_of(os.getpid()) if b"workers.media.child.zygote" in (Path("/proc") / str(pid) / "cmdline").read_bytes()]


def is_alive(pid: int) -> bool:
    """Whether there is such a process, be it a zombie."""
    return Path(f"/proc/{pid}").exists()


def eventually(truth: Callable[[], bool], *, seconds: float = 10) -> bool:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not truth():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
