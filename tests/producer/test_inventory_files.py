"""How an inventory's files are fetched and read, whatever their size."""

import os
import tempfile
from pathlib import Path

import pytest
from builders import new_store
from inventories import FORMATS, USUAL, Delivery, Row, schema_of, written

from producer.sources.inventory_files import MEMORY_BYTES, PIECE_BYTES, fetched, rows_of
from producer.sources.inventory_manifest import InventoryManifest, read_manifest
from schemas.errors import OperatorError

LARGE = os.urandom(MEMORY_BYTES + PIECE_BYTES + 1)


def delivered(*bodies: bytes) -> tuple[str, InventoryManifest]:
    uri = Delivery(new_store()).deliver_bodies(*bodies)
    return uri, read_manifest(uri)[0]


def test_files_are_fetched_whole_and_in_order() -> None:
    bodies = (b"a", LARGE, b"", b"b" * PIECE_BYTES)
    uri, manifest = delivered(*bodies)
    for body, expected in zip(fetched(uri, manifest.files), bodies, strict=True):
        with body:
            assert body.read() == expected


def test_a_file_that_finds_no_room_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    uri, manifest = delivered(LARGE)
    with pytest.raises(OperatorError, match=r"finds no room in .*nowhere .* set TMPDIR"):
        list(fetched(uri, manifest.files))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("memory_bytes", [1, 1 << 20])
def test_a_file_is_read_alike_in_memory_and_on_disk(file_format: str, memory_bytes: int) -> None:
    manifest = InventoryManifest(sourceBucket="films", fileFormat=file_format, fileSchema=schema_of(file_format, USUAL), files=())
    rows = [Row(f"{number}.mp4", size=number) for number in range(20)]
    for after in range(21):
        with tempfile.SpooledTemporaryFile(memory_bytes) as body:
            body.write(written(rows, file_format))
            body.seek(0)
            found = [(before, batch) for before, batch in rows_of(body, manifest, columns=["size", "key"], after=after)]
        sizes = [size for _, batch in found for size in batch["size"].to_pylist()]
        assert sizes == list(range(after, 20))
        assert [before for before, _ in found] == [batch["size"][0].as_py() for _, batch in found]
