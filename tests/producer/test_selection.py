"""The one filter of all sources, held against a plain reading of each row."""

import posixpath
import time
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.sources import CAUSES, VIDEO_SUFFIXES
from producer.sources.globs import any_matches, asked
from producer.sources.selection import causes_of
from schemas.job import Selection

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MOMENTS = st.sampled_from([NOON + timedelta(milliseconds=step) for step in range(-2, 3)])
CLASSES = ("STANDARD", "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE", "INTELLIGENT_TIERING", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS")
ARCHIVED = {"GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"}

parts = st.text(st.sampled_from("ab.K\u212as\u017f \n%日/+("), max_size=4)
suffixes = st.sampled_from([".mp4", ".MKV", ".Ts", ".m\u212av", ".t\u017f", ".txt", "", ".mp4 ", ".mp4\n"])
paths = st.builds(lambda folders, name, suffix: "/".join([*folders, name + suffix]), st.lists(parts, max_size=2), parts, suffixes)
usual_globs = ["*.mp4", "a*", "*/a*", "a/*", "[ab]*", "[!a]*", "?", "*.M*", "*\n*", "a.mp4", "a.?p4", "*/?", "+(.", "日*", " *"]
any_globs = st.lists(st.sampled_from(["*", "*", "a", "b", "/", "ab/", ".mp4", ".", "?", "[b/]", "日"]), max_size=5).map("".join)
globs = st.lists(st.sampled_from(usual_globs) | any_globs, max_size=3).map(tuple)
rows = st.tuples(paths, st.none() | st.integers(0, 6), st.none() | MOMENTS, st.none() | st.sampled_from(CLASSES))
selections = st.builds(
    Selection,
    include=globs,
    exclude=globs,
    min_size_bytes=st.integers(0, 4),
    max_size_bytes=st.integers(0, 4),
    modified_after=st.none() | MOMENTS,
    modified_before=st.none() | MOMENTS,
)


def cause_of(path: str, size: int | None, modified: datetime | None, storage: str | None, selection: Selection, *, by_suffix: bool) -> str:
    """What the filter should say of one row, read as it is written down."""
    rules = {
        "no video suffix": by_suffix and _ascii_lower(posixpath.splitext(path)[1]) not in VIDEO_SUFFIXES,
        "not included": bool(selection.include) and not any(_matches(path, glob) for glob in selection.include),
        "excluded": any(_matches(path, glob) for glob in selection.exclude),
        "too small": size is not None and size < selection.min_size_bytes,
        "too large": size is not None and bool(selection.max_size_bytes) and size > selection.max_size_bytes,
        "too old": bool(modified and selection.modified_after and modified < selection.modified_after),
        "too new": bool(modified and selection.modified_before and modified >= selection.modified_before),
        "archived": storage in ARCHIVED,
    }
    return next((cause for cause, applies in rules.items() if applies), "")


def _matches(path: str, glob: str) -> bool:
    return fnmatchcase(path, glob) or ("/" not in glob and fnmatchcase(path.rpartition("/")[2], glob))


def _ascii_lower(text: str) -> str:
    return text.encode().lower().decode()


def causes(*found, selection: Selection = Selection(), by_suffix: bool = True, dated: bool = True, classed: bool = True) -> list[str]:  # noqa: B008
    """What the filter says of rows of path, size, time and class."""
    columns = list(zip(*found, strict=True)) or [(), (), (), ()]
    numbers = causes_of(
        paths=pa.array(columns[0], pa.string()),
        sizes=pa.array(columns[1], pa.int64()),
        modified=pa.array(columns[2], pa.timestamp("ms", tz="UTC")) if dated else None,
        classes=pa.array(columns[3], pa.string()) if classed else None,
        selection=selection,
        by_suffix=by_suffix,
    )
    return [CAUSES[number] for number in numbers]


@settings(deadline=None)
@given(found=st.lists(rows, max_size=8), selection=selections, by_suffix=st.booleans())
def test_each_row_has_the_first_cause_that_applies(found, selection: Selection, by_suffix: bool) -> None:  # noqa: FBT001
    assert causes(*found, selection=selection, by_suffix=by_suffix) == [cause_of(*row, selection, by_suffix=by_suffix) for row in found]


@settings(deadline=None)
@given(found=st.lists(rows, max_size=8), selection=selections)
def test_columns_that_a_source_lacks_are_held_against_no_row(found, selection: Selection) -> None:
    lacking = [(path, size, None, None) for path, size, _, _ in found]
    assert causes(*found, selection=selection, dated=False, classed=False) == [cause_of(*row, selection, by_suffix=True) for row in lacking]


@settings(deadline=None)
@given(found=st.lists(paths, min_size=1, max_size=8), glob=any_globs, skip=st.integers(0, 3))
def test_a_glob_matches_what_python_says_it_does(found: list[str], glob: str, skip: int) -> None:
    matched = any_matches(pa.array(found).slice(skip), (glob,))
    assert matched.to_pylist() == [_matches(path, glob) for path in found[skip:]]


@pytest.mark.parametrize("suffix", sorted(VIDEO_SUFFIXES))
def test_a_suffix_counts_in_any_case_of_letters(suffix: str) -> None:
    names = [
        f"a{suffix}",
        f"b/c{suffix.upper()}",
        f"d.e{suffix.title()}",
        f"..f{suffix}",
        suffix,
        f"g/{suffix}",
        f"h{suffix}x",
        f"i{suffix}/",
    ]
    assert causes(*((name, 1, None, None) for name in names)) == [""] * 4 + ["no video suffix"] * 4


def test_a_slice_of_a_column_is_read_as_the_slice_it_is() -> None:
    names = pa.array(["x.mp4", "a.txt", "b.mp4", "cats/c.mp4"]).slice(1)
    sizes, moments = pa.array([9, 1, 2, 3]).slice(1), pa.array([NOON] * 4).slice(1)
    selection = Selection(exclude=("cats/*",), max_size_bytes=5)
    numbers = causes_of(paths=names, sizes=sizes, modified=moments, classes=None, selection=selection, by_suffix=True)
    assert [CAUSES[number] for number in numbers] == ["no video suffix", "", "excluded"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_compare_in_every_unit_and_without_a_zone_in_utc(unit: str, zone: str | None) -> None:
    moments = pa.array([NOON.replace(tzinfo=None)] * 2).cast(pa.timestamp(unit)).cast(pa.timestamp(unit, tz=zone))
    for selection, cause in [
        (Selection(modified_after=NOON + timedelta(microseconds=1)), "too old"),
        (Selection(modified_after=NOON, modified_before=NOON + timedelta(microseconds=1)), ""),
        (Selection(modified_before=NOON.replace(tzinfo=None)), "too new"),
    ]:
        numbers = causes_of(
            paths=pa.array(["a", "b"]), sizes=pa.array([1, 1]), modified=moments, classes=None, selection=selection, by_suffix=False
        )
        assert [CAUSES[number] for number in numbers] == [cause, cause]


def test_a_million_rows_are_a_matter_of_a_moment() -> None:
    names = pa.array([f"videos/2026/11/camera-{row % 997:04d}/{row:016x}.mp4" for row in range(100_000)])
    sizes = pa.array(range(100_000))
    started = time.process_time()
    for _ in range(10):
        causes_of(paths=names, sizes=sizes, modified=None, classes=None, selection=Selection(min_size_bytes=5), by_suffix=True)
    assert time.process_time() - started < 1.0  # measured: 0.1 s


@pytest.mark.parametrize("glob", ["videos/2026/*", "*.mp4", "*/trailer-*", "a.mp4", "**"])
def test_usual_globs_need_no_regular_expression(glob: str) -> None:
    assert [ask.func for ask in asked((glob,))] != [pc.match_substring_regex]  # type: ignore[attr-defined]


def test_globs_that_need_one_share_it() -> None:
    asks = list(asked(("trailer-*", "*.mp4", "a?/*", "a*b*c")))
    assert [ask.func for ask in asks].count(pc.match_substring_regex) == 1  # type: ignore[attr-defined]
    assert len(asks) == 2
