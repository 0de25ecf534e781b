"""Globs on paths, each asked in the cheapest way that says the same: most are a text that a path begins with, ends with or holds.

`*` crosses slashes. A glob without a slash may match the file's name instead of the whole path.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

Ask = Callable[[pa.StringArray], pa.BooleanArray]


def any_matches(paths: pa.StringArray, globs: Sequence[str]) -> pa.BooleanArray:
    """Tell which paths any of the globs matches."""
    found = pa.repeat(False, len(paths))
    for ask in asked(tuple(globs)):
        found = pc.or_(found, ask(paths))
    return found


def asked(globs: tuple[str, ...]) -> Iterator[Ask]:
    """What to ask of paths: as little as can be, and all that takes regular expressions in one, which costs as much as each alone."""
    yield from filter(None, map(_plain, globs))
    hard = [glob for glob in globs if not _plain(glob)]
    yield from (_by_row(glob) for glob in hard if "[" in glob)
    if patterns := "|".join(_pattern(glob) for glob in hard if "[" not in glob):
        yield partial(pc.match_substring_regex, pattern=f"(?s){patterns}")


def _plain(glob: str) -> Ask | None:
    """What asks the same as a glob without a regular expression, if anything does."""
    ask: Ask | None
    match re.split(r"\*+", glob):
        case _ if "?" in glob or "[" in glob:
            ask = None
        case [text]:
            ask = partial(_is, text=text)
        case ["", tail]:
            ask = partial(pc.ends_with, pattern=tail)
        case [head, ""] if "/" in head:
            ask = partial(pc.starts_with, pattern=head)
        case ["", part, ""]:
            ask = partial(_holds, part=part)
        case _:
            ask = None
    return ask


def _is(paths: pa.StringArray, text: str) -> pa.BooleanArray:
    same = pc.equal(paths, text)
    return same if "/" in text else pc.or_(same, pc.ends_with(paths, pattern=f"/{text}"))


def _holds(paths: pa.StringArray, part: str) -> pa.BooleanArray:
    """Where no path does, as most that are left out by it are rare, all bytes at once say so sooner."""
    body = paths.buffers()[2]
    if body is None or part.encode() not in body.to_pybytes():
        return pa.repeat(False, len(paths))
    return pc.match_substring(paths, pattern=part)


def _pattern(glob: str) -> str:
    """A glob without sets as a regular expression: of the whole path or, without a slash, of the name too."""
    literal = re.escape(glob)
    path = literal.replace(r"\*", ".*").replace(r"\?", ".")
    name = literal.replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return f"^{path}$" if "/" in glob else f"^{path}$|/{name}$"


def _by_row(glob: str) -> Ask:
    """Sets such as [!a-c] are Python's to read."""
    match = re.compile(translate(glob)).match
    by_name = "/" not in glob

    def ask(paths: pa.StringArray) -> pa.BooleanArray:
        found = (match(path) or (by_name and match(path.rpartition("/")[2])) for path in paths.to_pylist())
        return pa.array([bool(hit) for hit in found], pa.bool_())

    return ask
