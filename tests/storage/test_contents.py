"""A listing's answer read by patterns is what a parser reads in it."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import pytest
from botocore.utils import percent_encode
from hypothesis import given
from hypothesis import strategies as st

from storage import Page
from storage.contents import NAMES, Unreadable, read_contents

SPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=12)
OBJECTS = st.tuples(LETTERS, st.integers(0, 2**45).map(str), LETTERS, LETTERS, LETTERS)


def answer(objects: Sequence[Sequence[str]], *, order: Sequence[str] = NAMES, space: str = SPACE, encoded: bool = False) -> bytes:
    root = ET.Element("ListBucketResult")
    ET.SubElement(root, "Name").text = "bucket"
    if encoded:
        ET.SubElement(root, "EncodingType").text = "url"
    for values in objects:
        row = ET.SubElement(root, "Contents")
        given_values = dict(zip(NAMES, values, strict=False))
        for name in order:
            if name in given_values:
                ET.SubElement(row, name).text = given_values[name]
        owner = ET.SubElement(row, "Owner")
        ET.SubElement(owner, "ID").text = "me"
    ET.SubElement(root, "IsTruncated").text = "false"
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root).replace(
        b"<ListBucketResult", b"<ListBucketResult" + space.encode()
    )


def page(objects: Sequence[Sequence[str]]) -> Page:
    keys, sizes, etags, modified, classes = [list(column) for column in zip(*objects, strict=True)] if objects else [[] for _ in NAMES]
    return Page(keys, [int(size) for size in sizes], etags, modified, classes)


@given(st.lists(OBJECTS, max_size=5), st.permutations(NAMES), st.sampled_from(["", SPACE]))
def test_every_object_is_read_whatever_the_order_of_its_fields(objects: list[tuple[str, ...]], order: list[str], space: str) -> None:
    found, rest = read_contents(answer(objects, order=order, space=space))
    assert found == page(objects)
    assert [element.tag.rpartition("}")[2] for element in ET.fromstring(rest)] == ["Name", "IsTruncated"]  # noqa: S314 - made above


@given(st.lists(OBJECTS, max_size=5))
def test_encoded_keys_are_decoded(objects: list[tuple[str, ...]]) -> None:
    sent = [(percent_encode(key).replace("%20", "+"), *others) for key, *others in objects]
    found, rest = read_contents(answer(sent, encoded=True))
    assert found == page(objects)
    assert b"<EncodingType>url</EncodingType>" in rest or b"EncodingType>url<" in rest


@pytest.mark.parametrize("lost", NAMES[2:])
def test_a_field_that_some_objects_lack_is_empty_there(lost: str) -> None:
    place = NAMES.index(lost)
    whole, short = ("a", "1", "e", "m", "c"), ["b", "2", "e", "m", "c"]
    short[place] = ""
    body = answer([whole, short]).replace(f"<{lost} />".encode(), b"")
    assert f"<{lost}".encode() in body
    assert read_contents(body)[0] == page([whole, short])


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("<![CDATA[a<Contents>b]]>", "a<Contents>b"),
        ("a<!-- <Key>no</Key> -->b", "ab"),
        ("a&#38;b&#x41;", "a&bA"),
        ("&amp;#34;&#34;&amp;quot;&#39;", "&#34;\"&quot;'"),
        ("a\nb&#10;c", "a\nb\nc"),
        ("a\r\nb", "a\nb"),
        ("Contents", "Contents"),
        ("&lt;Contents&gt;&apos;", "<Contents>'"),
        ("a%20b+c", "a%20b+c"),
    ],
)
def test_a_key_is_what_xml_says_it_is(key: str, meant: str) -> None:
    body = answer([("KEY", "1", '"e"', "m", "c"), ("z", "2", '"f"', "m", "c")]).replace(b"KEY", key.encode())
    assert read_contents(body)[0] == page([(meant, "1", '"e"', "m", "c"), ("z", "2", '"f"', "m", "c")])


def test_names_with_a_prefix_are_the_same_names() -> None:
    plain = answer([("a", "1", "e", "m", "c")], space="").decode()
    prefixed = plain.replace("</", "</s:").replace("<", "<s:").replace("<s:/s:", "</s:").replace("<s:?", "<?")
    body = prefixed.replace("<s:ListBucketResult", '<s:ListBucketResult xmlns:s="http://s3.amazonaws.com/doc/2006-03-01/"').encode()
    assert read_contents(body)[0] == page([("a", "1", "e", "m", "c")])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"what",
        b"<html></html>",
        b"<ListBucketResult><Contents>",
        b"\xff<ListBucketResult></ListBucketResult>",
        b"<other><Contents><Key>k</Key><Size>1</Size></Contents></other>",
        b"<ListBucketResult><Contents><Key>k</Key><Size/></Contents></ListBucketResult>",
    ],
)
def test_what_is_no_listing_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_contents(body)


def test_an_error_is_left_to_who_understands_it() -> None:
    body = b"<Error><Code>InternalError</Code></Error>"
    assert read_contents(body) == (page([]), body)
