"""Objects that are files of a folder: a local disk, or a share of a file system that has hard links."""

import errno
import logging
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from schemas.errors import OperatorError
from storage import ObjectChanged, ObjectDenied, ObjectMeta, ObjectMissing, Page, StoreUnavailable
from storage.pages import Row, objects_of, pages_of

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Inode = tuple[int, int]


class LocalStore:
    """A folder, which need not be there before something is written. An etag is time of change and size, which a faithful copy keeps."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.url = "file://" + folder.rstrip("/")

    def head(self, key: str) -> ObjectMeta:
        """Look at an object without reading it."""
        with self._errors(key):
            status = self._path(key).stat()
        if not stat.S_ISREG(status.st_mode):
            message = f"{self.url}/{key} is not a file."
            raise ObjectMissing(message)
        return _meta(key, status)

    def get(self, key: str) -> bytes:
        """Read a whole object."""
        with self._errors(key):
            return self._path(key).read_bytes()

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        """Read some bytes, of this very etag if one is given."""
        with self._errors(key), self._path(key).open("rb") as file:
            meta = _meta(key, os.fstat(file.fileno()))
            if etag is not None and etag != meta.etag:
                message = f"{self.url}/{key} is no longer the object with etag {etag}, but {meta.etag}."
                raise ObjectChanged(message)
            file.seek(start)
            return file.read(max(0, min(end, meta.size_bytes) - start))

    def pages(self, prefix: str = "", *, start_after: str = "", most: int = 1000) -> Iterator[Page]:
        """Stream pages in the order of keys, holding the names of one folder per level; links to files and folders are followed."""
        with self._errors(prefix):
            yield from pages_of(_walk(self._folder, "", frozenset(), prefix=prefix, start_after=start_after), most)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """Stream the objects of the same pages one by one."""
        yield from objects_of(self.pages(prefix, start_after=start_after))

    def create(self, key: str, body: bytes) -> bool:
        """Write a hidden file beside the target, then link it to its name, which fails if the name is taken."""
        target = self._path(key)
        with self._errors(key), _written(body, beside=target) as hidden:
            return _link(hidden, target) or target.read_bytes() == body

    def replace(self, key: str, body: bytes) -> None:
        """Write a hidden file beside the target, then give it the target's name, which takes it from whatever has it."""
        target = self._path(key)
        with self._errors(key), _written(body, beside=target) as hidden:
            hidden.replace(target)
            _sync_folder(target.parent)

    def _path(self, key: str) -> Path:
        if "\0" in key or not {"", ".", ".."}.isdisjoint(key.split("/")):
            message = f"{key!r} is no file below {self.url}: a key is relative, without empty parts, `.` and `..`."
            raise OperatorError(message)
        return Path(self._folder, key)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Name what happened to an object in the words of all stores."""
        try:
            yield
        except OSError as error:
            match error:
                case FileNotFoundError() | IsADirectoryError() | NotADirectoryError():
                    meaning: type[Exception] = ObjectMissing
                case PermissionError():
                    meaning = ObjectDenied
                case _:
                    meaning = StoreUnavailable
            said = f"{error.filename} is a file where a folder must be" if isinstance(error, FileExistsError) else error.strerror
            message = f"{self.url}/{key}: {said}"
            raise meaning(message) from error


def _meta(key: str, status: os.stat_result) -> ObjectMeta:
    return ObjectMeta(key=key, size_bytes=status.st_size, etag=_etag(status))


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _row(key: str, status: os.stat_result) -> Row:
    return key, status.st_size, _etag(status), _moment(status.st_mtime_ns), ""


def _moment(nanoseconds: int) -> str:
    """ISO 8601; empty for times before the year 1 or after 9999, which some file systems can hold."""
    try:
        return (_EPOCH + timedelta(milliseconds=nanoseconds // 1_000_000)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return ""


@contextmanager
def _written(body: bytes, *, beside: Path) -> Iterator[Path]:
    """A hidden file with these bytes in the target's folder, gone after the block unless it was given another name."""
    hidden = beside.with_name(f".{uuid.uuid4().hex}.part")
    beside.parent.mkdir(parents=True, exist_ok=True)
    try:
        with hidden.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        yield hidden
    finally:
        hidden.unlink(missing_ok=True)


def _link(hidden: Path, target: Path) -> bool:
    """Give a written file its name, so that it is there after a power cut too; False if the name is taken."""
    try:
        target.hardlink_to(hidden)
    except FileExistsError:
        return False
    _sync_folder(target.parent)
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _walk(folder: str, above: str, ancestors: frozenset[_Inode | None], *, prefix: str, start_after: str) -> Iterator[Row]:
    """Stream the files of a folder whose keys begin with `above`; strings sort by code points, and so as their UTF-8 bytes do."""
    inside = ancestors | {_inode(folder)}
    for part, path in _entries(folder):
        key = above + part
        if not part.endswith("/"):
            if key.startswith(prefix) and key > start_after and (status := _status(path)) and stat.S_ISREG(status.st_mode):
                yield _row(key, status)
        elif _may_hold(key, prefix=prefix, start_after=start_after) and _inode(path) not in inside:
            yield from _walk(path, key, inside, prefix=prefix, start_after=start_after)


def _entries(folder: str) -> "list[tuple[str, str]]":
    """The names in a folder (with `/` behind those of folders) and their paths, in the order of the keys they lead to."""
    try:
        with os.scandir(folder) as entries:
            return sorted((f"{entry.name}/" if _is_folder(entry) else entry.name, entry.path) for entry in entries if _is_listed(entry))
    except FileNotFoundError:
        return []


def _is_listed(entry: "os.DirEntry[str]") -> bool:
    if entry.name.startswith(".") and entry.name.endswith(".part"):
        return False
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        log.warning("Skipping %r: its name is not UTF-8, so no URI can say it.", entry.path)
        return False
    return True


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    if not entry.is_symlink():
        return entry.is_dir()
    status = _status(entry.path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _may_hold(folder_key: str, *, prefix: str, start_after: str) -> bool:
    """Whether keys that begin with `folder_key` can be asked for."""
    right_of_cursor = folder_key > start_after or start_after.startswith(folder_key)
    return right_of_cursor and (folder_key.startswith(prefix) or prefix.startswith(folder_key))


def _status(path: str) -> os.stat_result | None:
    """What a path leads to; None if it is gone, or a link that leads nowhere or round in a circle."""
    try:
        return os.stat(path)  # noqa: PTH116 - a Path per listed file costs more than the call
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


def _inode(folder: str) -> _Inode | None:
    status = _status(folder)
    return (status.st_dev, status.st_ino) if status else None
