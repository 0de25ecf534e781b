"""Videos of a folder or an S3 prefix, in the order of their keys; or one single video."""

import posixpath
from collections import Counter
from collections.abc import Iterator

from producer.sources import VIDEO_SUFFIXES, Sighting
from producer.sources.selection import unwanted
from schemas.errors import OperatorError
from schemas.job import Selection
from schemas.video import VideoRef
from storage import ObjectDenied, ObjectMeta, ObjectMissing, Store, StoreUnavailable, open_store, split_uri


class Listing:
    """A place that is listed. Its cursor is the last key."""

    def __init__(self, source: str, selection: Selection) -> None:
        """List this folder or prefix."""
        self._source = source
        self._selection = selection
        self.skipped: Counter[str] = Counter()

    def check(self) -> None:
        """Look for the first video."""
        if next(self.sightings(), None) is None:
            left_out = ", ".join(f"{count} {cause}" for cause, count in self.skipped.items())
            cause = (
                f"everything in it is left out: {left_out} (see --all-files, --include and --exclude)" if left_out else "nothing is there"
            )
            raise OperatorError(f"{self._source} has no videos: {cause}.")

    def sightings(self, *, after: str = "") -> Iterator[Sighting]:
        """Show the videos behind a key."""
        try:
            yield from self._sightings(after)
        except ObjectMissing as error:
            raise OperatorError(f"There is no source {self._source}: name a folder, an s3:// prefix or a manifest.") from error
        except ObjectDenied as error:
            raise OperatorError(
                f"{self._source} may not be listed with these credentials: grant s3:ListBucket, or use a manifest."
            ) from error
        except StoreUnavailable as error:
            raise OperatorError(f"{self._source} cannot be listed now ({error}); run the same command again to go on from here.") from error

    def _sightings(self, after: str) -> Iterator[Sighting]:
        store, metas = _place(self._source, after)
        for meta in metas:
            cause = self._unwanted(meta)
            if cause:
                self.skipped[cause] += 1
                continue
            yield Sighting(meta.key, meta.key, VideoRef(uri=f"{store.url}/{meta.key}", etag=meta.etag, size_bytes=meta.size_bytes))

    def _unwanted(self, meta: ObjectMeta) -> str:
        if not self._selection.all_files and posixpath.splitext(meta.key)[1].lower() not in VIDEO_SUFFIXES:
            return "no video suffix"
        return unwanted(meta.key, meta.size_bytes, self._selection)


def _place(source: str, after: str) -> tuple[Store, Iterator[ObjectMeta]]:
    """Tell a place to list from a single video, which is listed as itself."""
    url, key = split_uri(source)
    if posixpath.splitext(key)[1]:
        store = open_store(url)
        try:
            meta = store.head(key)
        except ObjectMissing:
            pass
        else:
            return store, iter([] if after else [meta])
    store = open_store(source)
    return store, store.list(start_after=after)
