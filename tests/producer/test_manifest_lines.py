import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from builders import film, new_store
from manifests import columns_of, known, rows, source_of, videos, write_lines, write_parquet

from producer.sources.lines import AT_ONCE_BYTES, LONGEST_LINE
from schemas.errors import OperatorError
from schemas.video import VideoRef
from storage.lines import zstd
from storage.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return new_store()


def test_standard_input_is_a_manifest(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    video = film(store, "a.mp4")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(f"{video.uri}\n".encode())))
    source = source_of("-")
    source.check()
    assert videos(source) == [video]


def test_standard_input_is_shown_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(io.RawIOBase):
        """Gives one line a read, and counts the reads."""

        reads = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            self.reads += 1
            line = f"{json.dumps(known(self.reads))}\n".encode()
            buffer[: len(line)] = line
            return len(line)

    slow = Slow()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(slow)))
    assert next(source_of("-").batches()).uris.to_pylist() == ["s3://nowhere/1.mp4"]
    assert slow.reads == 1


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz", "m.jsonl.zst", "m.parquet"])
def test_reading_goes_on_behind_every_row(tmp_path: Path, name: str) -> None:
    numbers = range(25)
    lines = (text for number in numbers for text in ("", "# next", json.dumps(known(number))))
    written = (
        write_parquet(tmp_path, row_group_size=10, **columns_of(numbers))
        if name == "m.parquet"
        else write_lines(tmp_path, *lines, name=name)
    )
    every = rows(source_of(written))
    assert [cursor for _, _, cursor in every] == [str(number + 1) for number in numbers]
    for number in range(len(every) + 1):
        assert rows(source_of(written), after=str(number)) == every[number:]


def test_rows_before_the_cursor_are_counted_but_not_parsed(tmp_path: Path) -> None:
    name = write_lines(tmp_path, "{broken", json.dumps(known(1)), name="m.jsonl")
    assert videos(source_of(name), after="1") == [VideoRef(**known(1))]


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz", "m.parquet"])
def test_fewer_rows_than_were_read_before_are_refused(tmp_path: Path, name: str) -> None:
    written = (
        write_parquet(tmp_path, **columns_of(range(3)))
        if name == "m.parquet"
        else write_lines(tmp_path, *(json.dumps(known(n)) for n in range(3)), name=name)
    )
    with pytest.raises(OperatorError, match="has 3 rows where 4 were read before; give it whole"):
        videos(source_of(written), after="4")


def test_large_manifests_are_shown_piece_by_piece_with_every_row_once(tmp_path: Path) -> None:
    lines = [json.dumps(known(number)) for number in range(120_000)]
    assert sum(map(len, lines)) > 1.5 * AT_ONCE_BYTES
    batches = list(source_of(write_lines(tmp_path, *lines, name="m.jsonl")).batches())
    assert max(len(batch.uris) for batch in batches) < 80_000
    assert [size for batch in batches for size in batch.sizes.to_pylist()] == list(range(120_000))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"uri": "s3://b/a"', "line 3 is no JSON object"),
        ('{"uri": "s3://b/a"} {}', "line 3 is no JSON object"),
        ('{"uri": "s3://b/a", "size": NaN}', "line 3 is no JSON object"),
        ('{"uri": ' + "[" * 100_000, "line 3 is no JSON object"),
        ('{"url": "s3://b/a"}', "line 3: uri"),
        ('{"uri": 5}', "line 3: uri"),
        ('{"uri": ""}', "line 3: uri"),
        ('{"uri": "s3://b/\\ud800"}', "line 3: uri"),
        ('{"uri": "s3://b/a", "etag": 5}', "line 3: etag"),
        ('{"uri": "s3://b/a", "size_bytes": "big"}', "line 3: size_bytes"),
        ('{"uri": "s3://b/a", "size_bytes": -1}', "line 3: size_bytes"),
        ('{"uri": "s3://b/a", "size_bytes": 7.5}', "line 3: size_bytes"),
        (f'{{"uri": "s3://b/a", "size_bytes": {2**63}}}', "line 3: size_bytes"),
        ("https://host/a.mp4", "line 3: .*of no known kind"),
        ("s3://bucket", "line 3: .*names no object"),
    ],
)
def test_a_row_that_is_none_is_refused_by_its_line(tmp_path: Path, line: str, says: str) -> None:
    for after in ("", "1"):
        with pytest.raises(OperatorError, match=f"is not valid: {says}"):
            videos(source_of(write_lines(tmp_path, json.dumps(known(0)), "# a comment", line), include=("nothing",)), after=after)


def test_a_wrong_line_far_behind_is_named(tmp_path: Path) -> None:
    lines = [json.dumps(known(number)) for number in range(90_000)]
    with pytest.raises(OperatorError, match="line 90002 is no JSON object"):
        videos(source_of(write_lines(tmp_path, *lines, "", "{", name="m.jsonl")))


def test_a_size_written_as_text_is_a_number(tmp_path: Path) -> None:
    row = known(7) | {"size_bytes": "7"}
    assert videos(source_of(write_lines(tmp_path, json.dumps(row)))) == [VideoRef(**known(7))]


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf" + f"{json.dumps(known(1))}\r\n\r\n# no\r\n{json.dumps(known(2))}".encode())
    assert videos(source_of(str(tmp_path / "list.txt"))) == [VideoRef(**known(1)), VideoRef(**known(2))]


def test_a_manifest_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(f"{json.dumps(known(1))}\n".encode() + b"\xff\xfe\x00")
    with pytest.raises(OperatorError, match="not valid: line 2 is not UTF-8 text"):
        videos(source_of(str(tmp_path / "list.txt")))


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"s3://b/a\n" + b"x" * (LONGEST_LINE + 1))
    with pytest.raises(OperatorError, match="line 2 is longer than"):
        videos(source_of(str(tmp_path / "list.txt"), include=("nothing",)))


@pytest.mark.parametrize("name", ["m.jsonl.gz", "m.txt.zst"])
@pytest.mark.parametrize("kept", [slice(None, -5), slice(1, None), slice(None, 3)])
def test_a_compressed_manifest_that_is_damaged_is_refused(tmp_path: Path, name: str, kept: slice) -> None:
    path = Path(write_lines(tmp_path, *(json.dumps(known(number)) for number in range(1000)), name=name))
    path.write_bytes(path.read_bytes()[kept])
    with pytest.raises(OperatorError, match="damaged or cut off"):
        videos(source_of(str(path)))


def test_a_compressed_manifest_may_have_several_members(tmp_path: Path) -> None:
    body = [f"{json.dumps(known(number))}\n".encode() for number in range(2)]
    for name, pack in (("m.jsonl.gz", gzip.compress), ("m.jsonl.zst", zstd.compress)):
        (tmp_path / name).write_bytes(b"".join(map(pack, body)))
        assert videos(source_of(str(tmp_path / name))) == [VideoRef(**known(number)) for number in range(2)]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64])
def test_lines_are_whole_however_standard_input_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    class Pieces(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return self.read(min(piece, size or piece))

    lines = [
        "# ü",
        json.dumps(known(1)),
        "",
        " ",
        json.dumps(known(2) | {"uri": "s3://nowhere/ü 日本.mp4"}, ensure_ascii=False),
        "s3://b/😀.mp4\r",
    ]
    body = "\ufeff" + "\n".join(lines)
    (tmp_path / "list.txt").write_text(body, encoding="utf-8", newline="")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pieces(body.encode())))
    wanted = {"exclude": ("s3://b/*",)}
    shown = rows(source_of("-", **wanted))
    assert shown == rows(source_of(str(tmp_path / "list.txt"), **wanted))
    assert [video.uri for video, _, _ in shown] == ["s3://nowhere/1.mp4", "s3://nowhere/ü 日本.mp4", "s3://b/😀.mp4"]
