"""Says in words what this machine is, so that a figure measured here is not taken for another's."""

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

ASK_SECONDS = 20.0


@cache
def machine_words() -> str:
    """The accelerator, or else the processor, and how many CPUs there are: `NVIDIA H200, 16 CPUs`."""
    return f"{_gpus() or _cpu()}, {os.cpu_count()} CPUs"


def _gpus() -> str:
    """Kinds of GPUs, each once: a worker has one of them, however many there are."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    asked = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=ASK_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return ", ".join(sorted({line.strip() for line in said.stdout.splitlines() if line.strip()}))


def _cpu() -> str:
    """The processor's name as Linux tells it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
