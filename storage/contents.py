"""The objects in S3's answer to ListObjectsV2, column by column, for a small part of the CPU that botocore takes.

An answer as AWS writes it is read all at once (`storage/rows.py`). In others raw `<` begins nothing but a tag too, where there is no `<!`,
so that a simple element is found by a pattern, and a column is whole if it has as many values as there are objects. An answer that is not
so simple is read by a parser, row by row.
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from storage import Page
from storage.rows import read_rows

_OPEN, _CLOSE = "<Contents>", "</Contents>"
NAMES = ("Key", "Size", "ETag", "LastModified", "StorageClass")
_COLUMNS = tuple(re.compile(rf"<{name}>([^<]*)") for name in NAMES)
_LETTERS = {"&quot;": '"', "&#34;": '"', "&apos;": "'", "&#39;": "'", "&lt;": "<", "&gt;": ">"}
_ENCODED_KEYS = "<EncodingType>url</EncodingType>"


class Unreadable(Exception):  # noqa: N818 - named by what happened
    """What came is no answer to ListObjectsV2."""


def read_contents(body: bytes) -> tuple[Page, bytes]:
    """Split an answer into its objects and the rest of it, which is XML still.

    Raises:
        Unreadable: it is broken off, or is something else.
    """
    try:
        return _read(body)
    except (ET.ParseError, ValueError) as error:
        message = f"the listing's answer cannot be read ({error})"
        raise Unreadable(message) from error


def read_ending(rest: bytes) -> tuple[str | None, bool | None]:
    """From where the listing goes on, and whether it does; None for what the rest of an answer does not say.

    Raises:
        Unreadable: it is broken off.
    """
    try:
        root = ET.fromstring(rest)  # noqa: S314 - as below
    except ET.ParseError as error:
        message = f"the listing's answer cannot be read ({error})"
        raise Unreadable(message) from error
    goes_on = root.findtext("{*}IsTruncated", "") if root.tag.endswith("ListBucketResult") else ""
    return root.findtext("{*}NextContinuationToken"), {"true": True, "false": False}.get(goes_on)


def _read(body: bytes) -> tuple[Page, bytes]:
    text = body.decode()
    found = None if "\r" in text or ("!" in text and "<!" in text) else _columns(text)
    if found is None:
        return _parsed(body)
    rest = text[: text.find(_OPEN)] + text[text.rfind(_CLOSE) + len(_CLOSE) :]
    return _page(found, encoded=_ENCODED_KEYS in rest), rest.encode()


def _columns(text: str) -> list[Sequence[str]] | None:
    """The values of all columns, or None where an object lacks one or the answer has a shape of its own."""
    if text.rfind(_OPEN) > text.rfind(_CLOSE) or "<ListBucketResult" not in text:
        return None
    return read_rows(text) or _by_patterns(text)


def _by_patterns(text: str) -> list[Sequence[str]] | None:
    count = text.count(_OPEN)
    columns: list[Sequence[str]] = [_plain(column.findall(text)) for column in _COLUMNS]
    return columns if count and {len(column) for column in columns} == {count} else None


def _plain(values: list[str]) -> list[str]:
    """Put letters in the place of their names; nothing is returned where that takes a parser."""
    text = "\n".join(values)
    if "&" not in text:
        return values
    for name, letter in _LETTERS.items():
        text = text.replace(name, letter) if "&" in text else text
    plain = text.replace("&amp;", "&").split("\n")
    return plain if "&#" not in text and len(plain) == len(values) else []


def _parsed(body: bytes) -> tuple[Page, bytes]:
    root = ET.fromstring(body)  # noqa: S314 - the store's own answer; expat bounds what entities may grow to
    space, brace, name = root.tag.rpartition("}")
    space += brace
    if name == "Error":  # with status 200, which botocore sees
        return Page([], [], [], [], []), body
    if name != "ListBucketResult":
        raise ValueError(f"it is {name}")
    rows = root.findall(f"{space}Contents")
    columns = [[row.findtext(f"{space}{name}", "") for row in rows] for name in NAMES]
    for row in rows:
        root.remove(row)
    return _page(columns, encoded=root.findtext(f"{space}EncodingType") == "url"), ET.tostring(root)


def _page(columns: Sequence[Sequence[str]], *, encoded: bool) -> Page:
    keys, sizes, etags, modified, classes = columns
    if encoded and ("%" in (text := "".join(keys)) or "+" in text):
        keys = [unquote_plus(key) for key in keys]
    if len(set(classes)) == 1:
        classes = [classes[0]] * len(classes)  # one string instead of a thousand, for pages that wait
    return Page(list(keys), list(map(int, sizes)), etags, modified, list(classes))
