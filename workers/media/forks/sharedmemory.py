"""The memory that a child and its parent have both mapped."""

import fcntl
import mmap
import os

import numpy as np
import numpy.typing as npt

from workers.media.wire import LENGTH, LOG_AT, LOG_BYTES, printable

SEALS = fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


class SharedMemory:
    """What a child and its parent have mapped, by its wire. It outlives the child: fresh pages cost more than what is copied."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.descriptor = os.memfd_create("pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, size_bytes)
        fcntl.fcntl(self.descriptor, *SEALS)  # a file that shrank under the mapping would kill this process by SIGBUS
        self._mapped = mmap.mmap(self.descriptor, size_bytes)

    def put(self, body: bytes | memoryview, *, behind: int = 0) -> None:
        """Lay bytes into the inbox, behind so many others."""
        self._mapped[behind : behind + len(body)] = body

    def forget_words(self) -> None:
        """Empty the place of FFmpeg's last words: the memory outlives its children, and these would be another video's."""
        self._mapped[LOG_AT : LOG_AT + LOG_BYTES] = bytes(LOG_BYTES)

    def words(self) -> str:
        """Read what FFmpeg said last, as far as the child tells: a stranger's words, of which but the printable are kept."""
        (length,) = LENGTH.unpack_from(self._mapped, LOG_AT)
        begins = LOG_AT + LENGTH.size
        body = self._mapped[begins : begins + min(length, LOG_BYTES - LENGTH.size)]
        return printable(body.decode(errors="replace"))

    def pixels(self, start: int, *, width: int, height: int) -> npt.NDArray[np.uint8]:
        """View a picture, of shape (height, width, 3). The child can change it still: read each pixel once, then free its slot.

        Raises:
            ValueError: it would not lie within the memory.
        """
        return np.frombuffer(self._mapped, np.uint8, width * height * 3, start).reshape(height, width, 3)

    def close(self) -> None:
        """Give the memory back."""
        self._mapped.close()
        os.close(self.descriptor)
