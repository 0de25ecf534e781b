"""CPU and memory of processes, read from Linux's /proc; and what machine this is."""

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import av

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PARENT, USER_TIME, CHILDREN_SYSTEM_TIME = 1, 11, 14
"""Places in /proc/PID/stat behind the name (proc_pid_stat(5)): ppid, and utime, stime, cutime, cstime in a row."""


def children(pid: int) -> list[int]:
    """The children of a process."""
    return tree(pid, generations=1)[1:]


def tree(pid: int, *, generations: int = 9) -> list[int]:
    """A process and its descendants."""
    parents = {int(path.name): int(fields[PARENT]) for path in Path("/proc").glob("[0-9]*") if (fields := _stat(int(path.name)))}
    family, youngest = [pid], [pid]
    for _ in range(generations):
        youngest = [child for child, parent in parents.items() if parent in youngest]
        family += youngest
    return family


def tree_cpu_seconds(pid: int) -> float:
    """CPU that a process and its descendants used so far, with that of children already reaped. Exact while no child is ending."""
    times = (_stat(member)[USER_TIME : CHILDREN_SYSTEM_TIME + 1] for member in tree(pid))
    return sum(int(ticks) for fields in times for ticks in fields) / TICKS_PER_SECOND


def _stat(pid: int) -> list[str]:
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def idle_seconds() -> float:
    """Time in which the machine's cores had nothing to do, added up, since it started; a core that its host takes away is not idle."""
    idle, waiting = _read("/proc/stat").split(maxsplit=6)[4:6]
    return (int(idle) + int(waiting)) / TICKS_PER_SECOND


def rss_mb(pid: int) -> float:
    """Resident memory now, in units of a million bytes."""
    return _kilobytes(f"/proc/{pid}/status", "VmRSS:")


def rss_mb_peak(pid: int) -> float:
    """The most resident memory ever, as the kernel kept it."""
    return _kilobytes(f"/proc/{pid}/status", "VmHWM:")


def tree_pss_mb(pid: int) -> float:
    """Memory of a process and its descendants, each shared page counted once: the sum of their proportional set sizes."""
    return sum(_kilobytes(f"/proc/{member}/smaps_rollup", "Pss:") for member in tree(pid))


def _kilobytes(path: str, name: str) -> float:
    return next((int(line.split()[1]) * 1024 / 1e6 for line in _read(path).splitlines() if line.startswith(name)), 0.0)


def _read(path: str) -> str:
    """Read a file of a process, which may just have ended."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures were measured on."""

    cpu: str
    cores: int
    memory_gb: float
    load_at_start: float
    """Processes that wanted to run just before, on average over a minute: above zero, others were at work."""
    imports_cached: bool
    """Whether Python keeps compiled modules; without, each process compiles all that it imports, which takes seconds."""
    versions: dict[str, str]


def this_machine() -> Machine:
    """Look at this machine."""
    models = (line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name"))
    versions = {name: version(name) for name in ("framefleet", "av", "simplejpeg", "numpy", "celery", "redis", "pydantic")}
    libraries = {name: ".".join(map(str, av.library_versions[name])) for name in ("libavcodec", "libswscale")}
    return Machine(
        cpu=next(models, platform.processor()),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(_kilobytes("/proc/meminfo", "MemTotal:") / 1000, 1),
        load_at_start=round(os.getloadavg()[0], 2),
        imports_cached=not sys.dont_write_bytecode,
        versions={"python": platform.python_version(), "linux": platform.release()} | versions | libraries,
    )
