"""The objects in S3's answer to ListObjectsV2, all at once: an array of where tags begin says where values begin and end.

    <Contents><Key>…</Key><LastModified>…</LastModified><ETag>…</ETag> … <Size>…</Size><StorageClass>…</StorageClass></Contents>
    head            head+2               head+4               head+6   next-5  next-4               next-2                  next

This is an object as AWS writes it. Between etag and size it may have more, such as checksums, and not every object the same.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from storage.even import Even

Places = NDArray[np.intp]
FEWEST_TAGS = 12
"""Of an object."""
_QUOTE = "&quot;"
_END = "</Contents>"
_BETWEEN = (
    "<Contents><Key>",
    "</Key><LastModified>",
    "</LastModified><ETag>",
    "</ETag>",
    "<Size>",
    "</Size><StorageClass>",
    "</StorageClass></Contents>",
)


def read_rows(text: str) -> list[Sequence[str]] | None:
    """Columns of key, size, etag, modified and storage class; None where an answer is not quite as AWS writes it.

    In what is given raw `<` begins nothing but a tag. Values are as they are written, but etags have their quotes already.
    """
    stop = text.rfind(_END) + len(_END)
    if not text.isascii() or stop < len(_END):
        return None
    body = np.frombuffer(text.encode(), np.uint8, stop)
    places = _places(body)
    if places is None:
        return None
    first, modified, etag, behind_etag, _, storage_class, end = places
    begin = [place + len(words) for place, words in zip(places, _BETWEEN, strict=True)]
    named = int(np.count_nonzero(body[first[0] :] == ord("&")))
    etags = _etags(text, body, begin[2], behind_etag, named=named)
    if etags is None:
        return None
    return [
        _strings(text, begin[0], modified),
        _strings(text, begin[4], storage_class),
        etags,
        _even(body, begin[1], etag) or _strings(text, begin[1], etag),
        _strings(text, begin[5], end),
    ]


def _places(body: NDArray[np.uint8]) -> list[Places] | None:
    """Where in each object stands what is between its values."""
    tags = np.flatnonzero(body == ord("<"))
    heads = np.flatnonzero((body[tags + 1] == ord("C")) & (body[tags + 2] == ord("o")))
    nexts = np.append(heads[1:], len(tags))
    if not len(heads) or (nexts - heads).min() < FEWEST_TAGS:
        return None
    found = [tags[one] for one in (heads, heads + 2, heads + 4, heads + 6, nexts - 5, nexts - 4, nexts - 2)]
    return found if all(_say(body, place, words) for place, words in zip(found, _BETWEEN, strict=True)) else None


def _say(body: NDArray[np.uint8], places: Places, words: str) -> bool:
    """Whether these words stand at all of the places."""
    return bool(places[-1] + len(words) <= len(body) and (_pieces(body, places, len(words)) == words.encode()).all())


def _pieces(body: NDArray[np.uint8], places: Places, width: int) -> NDArray[np.bytes_]:
    return np.ndarray(len(body) - width + 1, f"S{width}", body, strides=(1,))[places]


def _etags(text: str, body: NDArray[np.uint8], begins: Places, ends: Places, *, named: int) -> Sequence[str] | None:
    """Etags in their quotes; None where more letters are named than these. So many are in all."""
    even = _even(body, begins, ends)
    if not named:
        return even or _strings(text, begins, ends)
    inside = even.width - 2 * len(_QUOTE) if even else -1  # one quote alone both begins and ends with one
    quoted = inside >= 0 and named == 2 * len(begins) and _say(body, begins, _QUOTE) and _say(body, ends - len(_QUOTE), _QUOTE)
    return Even(even.text.replace(_QUOTE, '"'), inside + 2) if even and quoted else None


def _even(body: NDArray[np.uint8], begins: Places, ends: Places) -> Even | None:
    """Values that have one length."""
    width = int(ends[0] - begins[0])
    if width and (ends - begins == width).all():
        return Even(_pieces(body, begins, width).tobytes().decode(), width)
    return None


def _strings(text: str, begins: Places, ends: Places) -> list[str]:
    return [text[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
