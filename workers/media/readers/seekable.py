"""What all files have in common that FFmpeg reads here."""

import errno
import io


class Seekable:
    """A position in a read-only file."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        """Say that this is for reading."""
        return True

    def seekable(self) -> bool:
        """Say that any place can be read."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, past the end too, as files allow."""
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        if position < 0:
            raise OSError(errno.EINVAL, "a seek before the beginning")
        self._position = position
        return position

    def _advance(self, body: bytes) -> bytes:
        self._position += len(body)
        return body
