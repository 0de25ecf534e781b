"""The child's heap: kept whole, and mapped ahead of its use by one call, where FFmpeg's first touch of each page would be a fault.

A fault takes some 2.5 µs on a virtual machine, a page of a call that maps many a tenth of that.
"""

import ctypes
import mmap
from functools import cache
from typing import cast

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""mallopt(3)."""
LARGEST_BLOCK_BYTES = 32 * 1024 * 1024
"""The most that glibc takes from the heap; what is larger has a mapping of its own."""
MADV_POPULATE_WRITE = 23
"""madvise(2), since Linux 5.14; Python has no name for it."""
ANY_VIDEO_BYTES = 2 * 1024 * 1024
"""What opening a container takes, and fetching from it."""
BYTES_PER_PIXEL = 2 * 1.5 + 1
"""Two decoded pictures, 4:2:0 with 8 bits: the one that is shown, and another that the decoder holds. What is scaled from them."""
_LIBC = ctypes.CDLL(None)
_LIBC.malloc.restype = ctypes.c_void_p


def keep_whole() -> None:
    """Have pictures come from the heap and go back to it, in this process and all it forks, rather than each from a mapping of its own."""
    if mallopt := getattr(_LIBC, "mallopt", None):  # glibc's; others do well without
        mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK_BYTES)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGEST_BLOCK_BYTES)


@cache
def map_ahead(*, pixels: int = 0) -> None:
    """Map, once, what any video needs and one with pictures of so many pixels. A hint: what fails costs faults and no more."""
    size = min(ANY_VIDEO_BYTES + int(pixels * BYTES_PER_PIXEL), LARGEST_BLOCK_BYTES // 2)
    if block := _block(size):
        start = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE
        _LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t((block + size - start) // mmap.PAGESIZE * mmap.PAGESIZE), MADV_POPULATE_WRITE)
        _LIBC.free(ctypes.c_void_p(block))


def demand(*, pixels: int) -> None:
    """Ask, where no picture came out, whether there was room for it: FFmpeg speaks of both alike.

    Raises:
        MemoryError: there is none.
    """
    block = _block(int(pixels * BYTES_PER_PIXEL))
    if not block:
        raise MemoryError
    _LIBC.free(ctypes.c_void_p(block))


def _block(size: int) -> int | None:
    return cast("int | None", _LIBC.malloc(ctypes.c_size_t(max(size, 1))))
