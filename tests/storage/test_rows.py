"""Rows as AWS writes them are read at one go, and are what a parser reads in them, whatever is done to the answer."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Page
from storage.contents import Unreadable, _parsed, read_contents, read_ending
from storage.even import Even
from storage.rows import read_rows

CHECKSUM = "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
TEXT = st.text(st.sampled_from("ab/.%2F+ >;\"'=\u00fc\u65e5"), max_size=6)
NAMED = st.lists(st.sampled_from(["a", "&amp;", "&lt;", "&#65;", ">"]), max_size=4).map("".join)
ETAGS = st.one_of(
    st.sampled_from(["&quot;0123456789abcdef&quot;", '"0123456789abcdef"', "&quot;&quot;", "&quot;", "&quot;&quot;a", "a&quot;&quot;"]),
    NAMED,
)
ROWS = st.tuples(TEXT | NAMED, ETAGS, st.sampled_from(["", CHECKSUM]), st.integers(0, 2**45), st.sampled_from(["STANDARD", "GLACIER", ""]))
MOMENT = "2026-11-01T12:00:00.000Z"
TAGS = [
    "<Contents>",
    "</Contents>",
    "<Key>",
    "</Key>",
    "<Size>1</Size>",
    "<StorageClass>",
    "</StorageClass>",
    "<Common>c</Common>",
    "<",
    "\n",
]


def answer(rows: Sequence[tuple[str, str, str, int, str]]) -> str:
    written = "".join(
        f"<Contents><Key>{key}</Key><LastModified>{MOMENT}</LastModified><ETag>{etag}</ETag>{checksum}<Size>{size}</Size>"
        f"<StorageClass>{storage_class}</StorageClass></Contents>"
        for key, etag, checksum, size, storage_class in rows
    )
    return f"<ListBucketResult><Name>&amp;</Name><IsTruncated>false</IsTruncated>{written}</ListBucketResult>"


def read(body: bytes) -> tuple[Page, object] | None:
    try:
        page, rest = read_contents(body)
        return page, read_ending(rest)
    except Unreadable:
        return None


def parsed(body: bytes) -> tuple[Page, object] | None:
    try:
        page, rest = _parsed(body)
        return page, read_ending(rest)
    except (SyntaxError, ValueError, Unreadable):
        return None


@given(st.lists(ROWS, max_size=5))
def test_rows_are_what_a_parser_reads(rows: list[tuple[str, str, str, int, str]]) -> None:
    body = answer(rows).encode()
    assert read(body) == parsed(body) != None  # noqa: E711 - both, and something


@given(st.lists(ROWS, min_size=1, max_size=3), st.sampled_from(TAGS), st.data())
def test_an_answer_with_something_else_in_it_is_what_a_parser_reads_or_none(
    rows: list[tuple[str, str, str, int, str]], tag: str, data: st.DataObject
) -> None:
    whole = answer(rows)
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.sampled_from([begin, begin + 1, begin + len(tag)]))
    body = (whole[:begin] + tag + whole[end:]).encode()
    wanted = parsed(body)
    if wanted is not None:
        assert read(body) == wanted


@pytest.mark.parametrize("etag", ["&quot;", "&amp;0123&quot;", "&quot;0123&amp;"])
def test_only_an_etag_in_two_quotes_is_taken_for_one(etag: str) -> None:
    body = answer([("a&amp;b" if etag == "&quot;" else "a", etag, "", 1, "STANDARD")]).encode()
    assert read(body) == parsed(body)


@pytest.mark.parametrize("extra", ["<a/>", "<Type>Normal</Type>", "<Owner><ID>&amp;\u00fc</ID></Owner>", "<Common/>", "\n  "])
def test_an_element_more_is_no_matter_wherever_a_store_writes_it(extra: str) -> None:
    whole = answer([("a", '"0"', "", 1, "STANDARD"), ("b", '"1"', CHECKSUM, 2, "GLACIER")])
    for place in (found.start() for found in re.finditer("<", whole)):
        body = f"{whole[:place]}{extra}{whole[place:]}".encode()
        assert read(body) == parsed(body)


def test_letters_of_two_bytes_hide_no_object_behind_them() -> None:
    last = ("z", '"1"', "", 2, "STANDARD")
    letters = len(answer([last])) - len(answer([]))  # as many bytes more as the last object has
    body = answer([("\u00fc" * letters, '"0"', "", 1, "STANDARD"), last]).encode()
    assert read(body) == parsed(body) != None  # noqa: E711 - both, and something


def test_an_object_that_breaks_off_is_not_read_at_one_go() -> None:
    assert read_rows(answer([("a", "e", "", 1, "STANDARD")]).replace("STANDARD</StorageClass>", "<b>")) is None


@pytest.mark.parametrize("checksums", [("", ""), (CHECKSUM, ""), ("", CHECKSUM), (CHECKSUM, CHECKSUM)])
def test_rows_of_aws_are_read_at_one_go(checksums: tuple[str, str]) -> None:
    rows = [(f"k{place}", f"&quot;{place:032x}&quot;", checksum, place, "STANDARD") for place, checksum in enumerate(checksums)]
    found = read_rows(answer(rows))
    assert found is not None
    keys, sizes, etags, modified, classes = found
    assert (keys, sizes, classes) == (["k0", "k1"], ["0", "1"], ["STANDARD"] * 2)
    assert isinstance(etags, Even)
    assert isinstance(modified, Even)
    assert (etags, modified) == ([f'"{place:032x}"' for place in range(2)], [MOMENT] * 2)


@given(st.lists(st.text("ab", min_size=3, max_size=3), max_size=6), st.slices(6))
def test_strings_of_one_length_are_a_list_of_them(strings: list[str], some: slice) -> None:
    even = Even("".join(strings), 3)
    assert even == strings
    assert even[some] == strings[some]
    assert [even[place] for place in range(-len(strings), len(strings))] == strings * 2
    assert len(even) == len(strings)
    with pytest.raises(IndexError):
        _ = even[len(strings)]
