"""The child's heap: kept whole, and mapped ahead of its use by one call, where FFmpeg's first touch of each page would be a fault.

A fault takes some 3 µs on a virtual machine, a page of a call that maps many a third of that, and a large page (of 512) next to nothing.
"""

import ctypes
import mmap
from functools import cache
from typing import cast

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""mallopt(3)."""
LARGEST_BLOCK_BYTES = 32 * 1024 * 1024
"""The most that glibc takes from the heap; what is larger has a mapping of its own."""
ROOM_BYTES = 16 * 1024 * 1024
"""Room on the heap that is made of large pages, where the system has them, and the most that is mapped ahead."""
LARGE_PAGE_BYTES = 2 * 1024 * 1024
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
        _advise(ROOM_BYTES, mmap.MADV_HUGEPAGE, page_bytes=LARGE_PAGE_BYTES)


@cache
def map_ahead(*, pixels: int = 0) -> None:
    """Map, once, what any video needs and one with pictures of so many pixels. A hint: what fails costs faults and no more."""
    size = ANY_VIDEO_BYTES + int(pixels * BYTES_PER_PIXEL)
    _advise(min(size, ROOM_BYTES), MADV_POPULATE_WRITE, page_bytes=mmap.PAGESIZE)


def demand(*, pixels: int) -> None:
    """Ask, where no picture came out, whether there was room for it: FFmpeg speaks of both alike.

    Raises:
        MemoryError: there is none.
    """
    if not (block := _taken(int(pixels * BYTES_PER_PIXEL))):
        raise MemoryError
    _give_back(block)


def _advise(size: int, advice: int, *, page_bytes: int) -> None:
    """Say something of the heap's next free bytes, as far as they are whole pages."""
    if block := _taken(size):
        start, end = (-(-place // page_bytes) * page_bytes for place in (block, block + size - page_bytes + 1))
        _LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)
        _give_back(block)


def _taken(size: int) -> int | None:
    return cast("int | None", _LIBC.malloc(ctypes.c_size_t(max(size, 1))))


def _give_back(block: int) -> None:
    _LIBC.free(ctypes.c_void_p(block))
