import gzip
from contextlib import suppress

import pytest
from backports import zstd

from schemas.video import VideoRef
from storage.lines import from_lines, split_lines, to_lines

VIDEOS = [VideoRef(uri=uri, etag="e", size_bytes=1) for uri in ("s3://b/a", "s3://b/ü\u2028\u0085\n\r", 's3://b/"')]
PLAIN = to_lines(VIDEOS, key="x.jsonl")


@pytest.mark.parametrize("key", ["x.jsonl", "x.jsonl.zst", "x.jsonl.gz"])
@pytest.mark.parametrize("videos", [VIDEOS, []], ids=len)
def test_lines_are_read_as_they_were_written(key: str, videos: list[VideoRef]) -> None:
    assert from_lines(VideoRef, to_lines(videos, key=key), key=key) == videos


@pytest.mark.parametrize("key", ["x.jsonl", "x.jsonl.zst", "x.jsonl.gz"])
def test_the_same_lines_are_the_same_bytes(key: str) -> None:
    assert to_lines(VIDEOS, key=key) == to_lines(VIDEOS, key=key)


def test_no_clock_gets_into_the_bytes() -> None:
    assert to_lines(VIDEOS, key="x.gz")[4:8] == bytes(4)  # where gzip keeps a time


def test_every_line_ends_with_a_newline_and_none_has_one_inside() -> None:
    assert PLAIN.endswith(b"\n")
    assert PLAIN.count(b"\n") == len(VIDEOS) == len(split_lines(PLAIN, key="x.jsonl"))


def test_other_tools_can_unpack_the_lines() -> None:
    assert zstd.decompress(to_lines(VIDEOS, key="x.zst")) == PLAIN == gzip.decompress(to_lines(VIDEOS, key="x.gz"))


def test_a_line_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="uri"):
        from_lines(VideoRef, b'{"url": "x"}\n', key="x.jsonl")


@pytest.mark.parametrize("key", ["x.zst", "x.gz"])
def test_lines_that_were_cut_are_no_lines(key: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split_lines(to_lines(VIDEOS, key=key)[:-5], key=key)


@pytest.mark.parametrize("key", ["x.jsonl.gz", "x.jsonl.zst"])
def test_a_spoiled_byte_never_makes_other_lines(key: str) -> None:
    videos = [VideoRef(uri=f"s3://b/{number}.mp4", etag=f"e{number}", size_bytes=number) for number in range(30)]
    body = to_lines(videos, key=key)
    whole = split_lines(body, key=key)
    for place in range(len(body)):
        spoiled = bytes([*body[:place], body[place] ^ 0x41, *body[place + 1 :]])
        with suppress(ValueError):
            assert split_lines(spoiled, key=key) == whole
