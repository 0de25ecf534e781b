"""Which sightings are wanted: globs and sizes."""

from fnmatch import fnmatchcase

from schemas.job import Selection


def unwanted(path: str, size_bytes: int | None, selection: Selection) -> str:
    """Name the cause why a video is left out; empty if it is wanted. A size that is not known yet is not held against it.

    Globs match the whole path, `*` crossing slashes; a glob without a slash matches the file's name too.
    """
    if selection.include and not any(_matches(path, glob) for glob in selection.include):
        return "not included"
    if any(_matches(path, glob) for glob in selection.exclude):
        return "excluded"
    if size_bytes is not None and size_bytes < selection.min_size_bytes:
        return "too small"
    if size_bytes is not None and selection.max_size_bytes and size_bytes > selection.max_size_bytes:
        return "too large"
    return ""


def _matches(path: str, glob: str) -> bool:
    return fnmatchcase(path, glob) or ("/" not in glob and fnmatchcase(path.rpartition("/")[2], glob))
