"""An object of a store as a file that is read range by range, and never whole."""

import io
from typing import Any

from storage import shared_store, split_uri


class RangedFile(io.RawIOBase):
    """The object as it was when it was opened: if another takes its place, reading raises ObjectChanged."""

    def __init__(self, uri: str) -> None:
        """Look at the object, which must be there; every read is one request."""
        url, self._key = split_uri(uri)
        self._store = shared_store(url)
        self._meta = self._store.head(self._key)
        self._position = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Say where the next read begins."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._meta.size_bytes}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, but for what lies behind the object's end."""
        start, end = self._position, min(self._position + len(buffer), self._meta.size_bytes)
        if start >= end:
            return 0
        body = self._store.get_range(self._key, start=start, end=end, etag=self._meta.etag)
        buffer[: len(body)] = body
        self._position += len(body)
        return len(body)
