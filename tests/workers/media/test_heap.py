"""The heap of a decoding child."""

import subprocess
import sys

import pytest

TOUCHED_BYTES = 6 * 1024 * 1024
PAGES = TOUCHED_BYTES // 4096
SCRIPT = f"""
import ctypes, resource, sys
from workers.media.child import heap
if sys.argv[1] == "kept":
    heap.keep_whole()
    heap.map_ahead()
    heap.map_ahead(pixels=1920 * 1080)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
ctypes.memset(libc.malloc(ctypes.c_size_t({TOUCHED_BYTES})), 1, {TOUCHED_BYTES})
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Page faults by writing to a block of a new process's heap."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    return int(ended.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux's and glibc's heap")
def test_what_is_mapped_ahead_is_written_without_a_fault_for_each_page() -> None:
    assert faults("as it is") > PAGES / 2
    assert faults("kept") < PAGES / 20
