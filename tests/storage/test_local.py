"""What only folders have: hidden parts, links, odd names."""

import errno
import logging
import os
import shutil
from pathlib import Path

import pytest

from schemas.errors import OperatorError
from storage import ObjectDenied, ObjectMissing, Store, StoreUnavailable, open_store
from storage.local import LocalStore, _moment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore(str(folder))


def keys(store: Store, prefix: str = "") -> list[str]:
    return [meta.key for meta in store.list(prefix)]


def test_half_written_files_are_invisible(store: LocalStore, folder: Path) -> None:
    store.create("a/whole", b"x")
    (folder / "a" / ".0123.part").write_bytes(b"half")
    (folder / "a" / ".hidden").write_bytes(b"x")
    (folder / "a" / "visible.part").write_bytes(b"x")
    assert keys(store) == ["a/.hidden", "a/visible.part", "a/whole"]


def test_writing_leaves_nothing_but_the_object(store: LocalStore, folder: Path) -> None:
    store.create("once", b"first")
    store.create("once", b"second")
    store.replace("once", b"third")
    assert [path.name for path in folder.iterdir()] == ["once"]


def test_a_name_taken_by_a_folder_leaves_nothing_behind(store: LocalStore, folder: Path) -> None:
    store.create("taken/below", b"x")
    with pytest.raises(ObjectMissing):
        store.create("taken", b"x")
    with pytest.raises(ObjectMissing):
        store.replace("taken", b"x")
    assert [path.name for path in folder.iterdir()] == ["taken"]


def test_others_may_read_what_the_umask_lets_them(store: LocalStore, folder: Path) -> None:
    before = os.umask(0o022)
    try:
        store.create("shared", b"x")
    finally:
        os.umask(before)
    assert (folder / "shared").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/hostname", "a//b", "./a", "a/", "", ".", "nul\0"])
def test_a_key_cannot_leave_the_folder(store: LocalStore, key: str) -> None:
    for use in (store.get, store.head, lambda key: store.create(key, b"x"), lambda key: store.replace(key, b"x")):
        with pytest.raises(OperatorError, match="no file below"):
            use(key)
    with pytest.raises(OperatorError, match="no file below"):
        store.get_range(key, start=0, end=1)


def test_links_to_files_and_folders_are_followed_but_not_in_circles(store: LocalStore, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "v.mp4").write_bytes(b"video")
    store.create("real", b"x")
    (folder / "file").symlink_to(elsewhere / "v.mp4")
    (folder / "folder").symlink_to(elsewhere)
    (folder / "broken").symlink_to(folder / "nowhere")
    (folder / "self").symlink_to(folder / "self")
    (folder / "up").symlink_to(folder)
    (elsewhere / "round").symlink_to(folder)
    assert keys(store) == ["file", "folder/v.mp4", "real"]
    assert store.get("folder/v.mp4") == b"video"


def test_only_files_are_objects(store: LocalStore, folder: Path) -> None:
    store.create("a/b", b"x")
    os.mkfifo(folder / "pipe")
    assert keys(store) == ["a/b"]
    for key in ("a", "pipe", "a/b/c"):
        with pytest.raises(ObjectMissing):
            store.head(key)


def test_a_name_that_is_not_utf8_is_skipped_aloud(store: LocalStore, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    store.create("fine", b"x")
    Path(os.fsdecode(os.fsencode(folder) + b"/b\xff.mp4")).write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        assert keys(store) == ["fine"]
    assert r"b\udcff.mp4'" in caplog.text


def test_a_folder_is_read_when_its_turn_comes(store: LocalStore) -> None:
    for key in ("a/1", "b/1", "c/1"):
        store.create(key, b"x")
    pages = store.pages(most=1)
    assert next(pages).keys == ["a/1"]
    store.create("c/2", b"x")
    assert [page.keys for page in pages] == [["b/1"], ["c/1"], ["c/2"]]


def test_a_file_is_as_old_as_its_bytes_where_that_can_be_said(store: LocalStore, folder: Path) -> None:
    for name, seconds in (("a", 0.0), ("b", 1_700_000_000.25), ("c", -86_400.0)):
        store.create(name, b"x")
        os.utime(folder / name, (seconds, seconds))
    assert [page.modified for page in store.pages()] == [
        ["1970-01-01T00:00:00.000Z", "2023-11-14T22:13:20.250Z", "1969-12-31T00:00:00.000Z"]
    ]
    assert _moment(10**21) == ""


def test_a_faithful_copy_keeps_the_etag_and_a_rewrite_changes_it(store: LocalStore, folder: Path) -> None:
    store.create("a", b"bytes")
    shutil.copy2(folder / "a", folder / "copy")
    (folder / "rewritten").write_bytes(b"bytes")
    assert store.head("copy").etag == store.head("a").etag
    assert store.head("rewritten").etag != store.head("a").etag


def test_listing_a_file_is_refused(store: LocalStore) -> None:
    store.create("v.mp4", b"x")
    with pytest.raises(ObjectMissing):
        keys(open_store(f"{store.url}/v.mp4"))


SYSTEM_ERRORS = [(errno.EACCES, ObjectDenied), (errno.ENOSPC, StoreUnavailable), (errno.EIO, StoreUnavailable)]


@pytest.mark.parametrize(("number", "meaning"), SYSTEM_ERRORS)
def test_the_systems_errors_get_the_stores_names(store: LocalStore, number: int, meaning: type[Exception]) -> None:
    with pytest.raises(meaning, match=f"{store.url}/a: "), store._errors("a"):
        raise OSError(number, os.strerror(number))
