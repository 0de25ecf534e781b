"""Pages of a listing: made from a store's rows, and taken apart into objects again."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import compress, islice
from typing import Any

from storage import ObjectMeta, Page

Row = tuple[str, int, str, str, str]
"""Key, size, etag, modified and storage class of an object."""


def pages_of(rows: Iterator[Row], most: int) -> Iterator[Page]:
    """Put rows together into pages of `most` at most, each read when its turn comes."""
    while page := list(islice(rows, most)):
        columns: list[list[Any]] = [list(column) for column in zip(*page, strict=True)]
        yield Page(*columns)


def objects_of(pages: Iterable[Page]) -> Iterator[ObjectMeta]:
    """Show the objects of pages one by one."""
    for page in pages:
        for key, size_bytes, etag in zip(page.keys, page.sizes, page.etags, strict=True):
            yield ObjectMeta(key=key, size_bytes=size_bytes, etag=etag)


def below(prefix: str, page: Page) -> Page | None:
    """The page's objects, named from below a prefix and without markers of folders, `a/`; None where it has nothing else."""
    if "/\n" in "\n".join([*page.keys, ""]):  # or a key has these letters itself
        objects = [path[-1:] != "/" for path in page.keys]
        page = Page(*(list(compress(column, objects)) for column in _columns(page)))
    begin = len(prefix)
    return replace(page, keys=[path[begin:] for path in page.keys] if begin else page.keys) if page.keys else None


def cut(page: Page, rows: int) -> Page:
    """The first rows of a page."""
    return page if rows == len(page.keys) else Page(*(column[:rows] for column in _columns(page)))


def _columns(page: Page) -> list[Any]:
    return [page.keys, page.sizes, page.etags, page.modified, page.classes]
