"""An object's bytes by ranges, out of a store, in bounded memory."""

from collections import OrderedDict

from schemas.errors import PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.video import VideoRef
from storage import ObjectChanged, ObjectDenied, ObjectMissing, Store, StoreUnavailable

WHOLE_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
BLOCKS_KEPT = 16


class StoreSource:
    """One video object, pinned by its etag: a small one is fetched whole, once; a large one in blocks, of which the latest are kept."""

    def __init__(self, store: Store, key: str, video: VideoRef) -> None:
        self.size_bytes = video.size_bytes
        self._store = store
        self._key = key
        self._etag = video.etag
        self._block_bytes = max(1, video.size_bytes) if video.size_bytes <= WHOLE_BYTES else BLOCK_BYTES
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, *, start: int, end: int) -> bytes:
        """Read bytes `start` to `end` (exclusive).

        Raises:
            PermanentError: the object is gone, changed or denied.
            TransientError: the store does not answer.
        """
        if end - start > self._block_bytes:
            return self._fetch(start, end)
        first, last = start // self._block_bytes, (end - 1) // self._block_bytes
        joined = b"".join(self._block(number) for number in range(first, last + 1))
        offset = first * self._block_bytes
        return joined[start - offset : end - offset]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * self._block_bytes
            self._blocks[number] = self._fetch(start, min(start + self._block_bytes, self.size_bytes))
        self._blocks.move_to_end(number)
        if len(self._blocks) > BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return self._blocks[number]

    def _fetch(self, start: int, end: int) -> bytes:
        try:
            body = self._store.get_range(self._key, start=start, end=end, etag=self._etag)
        except ObjectMissing as error:
            raise PermanentError(Reason.OBJECT_GONE, Stage.FETCH, "The object is gone.") from error
        except ObjectChanged as error:
            raise PermanentError(Reason.OBJECT_CHANGED, Stage.FETCH, "The object is no longer the one that was listed.") from error
        except ObjectDenied as error:
            raise PermanentError(Reason.ACCESS_DENIED, Stage.FETCH, "The store refuses to hand out the object.") from error
        except StoreUnavailable as error:
            raise TransientError(f"The store did not answer: {error}") from error
        if len(body) != end - start:
            raise PermanentError(
                Reason.OBJECT_CHANGED, Stage.FETCH, f"The object is shorter than the {self.size_bytes} bytes it was listed with."
            )
        return body
