"""Objects in this process's memory, for tests: everybody who opens the same name sees the same objects."""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterator

from storage import ObjectChanged, ObjectMeta, ObjectMissing, Page
from storage.pages import objects_of, pages_of

_buckets: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
_lock = threading.Lock()


class MemoryStore:
    """A named dictionary, or what lies under a prefix of it. An etag is the hash of the content."""

    def __init__(self, name: str, *, prefix: str = "") -> None:
        self.url = f"memory://{name}/{prefix}" if prefix else f"memory://{name}"
        self._prefix = f"{prefix}/" if prefix else ""
        with _lock:
            self._objects = _buckets[name]

    def head(self, key: str) -> ObjectMeta:
        """Look at an object without reading it."""
        return _meta(key, self.get(key))

    def get(self, key: str) -> bytes:
        """Read a whole object."""
        try:
            return self._objects[self._prefix + key]
        except KeyError as error:
            message = f"{self.url}/{key} is not there."
            raise ObjectMissing(message) from error

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        """Read some bytes, of this very etag if one is given."""
        body = self.get(key)
        if etag is not None and etag != _meta(key, body).etag:
            message = f"{self.url}/{key} is no longer the object with etag {etag}."
            raise ObjectChanged(message)
        return body[start:end]

    def pages(self, prefix: str = "", *, start_after: str = "", most: int = 1000) -> Iterator[Page]:
        """Stream pages in the order of keys. Neither times nor storage classes are known here."""
        begin = len(self._prefix)
        with _lock:
            bodies = {path[begin:]: body for path, body in self._objects.items() if path.startswith(self._prefix + prefix)}
        metas = (_meta(key, bodies[key]) for key in sorted(bodies) if key > start_after)
        yield from pages_of(((meta.key, meta.size_bytes, meta.etag, "", "") for meta in metas), most)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """Stream the objects of the same pages one by one."""
        yield from objects_of(self.pages(prefix, start_after=start_after))

    def create(self, key: str, body: bytes) -> bool:
        """Write an object unless there is one; True if these bytes are there now."""
        with _lock:
            return self._objects.setdefault(self._prefix + key, bytes(body)) == body

    def replace(self, key: str, body: bytes) -> None:
        """Write an object whether or not one is there."""
        with _lock:
            self._objects[self._prefix + key] = bytes(body)


def _meta(key: str, body: bytes) -> ObjectMeta:
    return ObjectMeta(key=key, size_bytes=len(body), etag=hashlib.sha256(body).hexdigest()[:32])
