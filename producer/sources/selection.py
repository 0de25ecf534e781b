"""Which rows of a source are wanted: suffixes, globs, sizes, dates and storage classes, column by column."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producer.sources import CAUSES, VIDEO_SUFFIXES
from producer.sources.globs import any_matches
from schemas.job import Selection

ARCHIVED = ("GLACIER", "DEEP_ARCHIVE", "ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS")
"""Storage classes, and tiers of INTELLIGENT_TIERING, that are not read before they are restored; GLACIER_IR is read at once."""

MOMENT = pa.timestamp("us", tz="UTC")

_LETTERS = ("".join(f"[{letter}{letter.upper()}]" for letter in suffix[1:]) for suffix in sorted(VIDEO_SUFFIXES))
_HAS_VIDEO_SUFFIX = rf"[^/.][^/]*\.(?:{'|'.join(_LETTERS)})$"
"""What `splitext` takes for a suffix: dots at the head of a file's name begin none."""


def causes_of(
    *,
    paths: pa.StringArray,
    sizes: pa.Int64Array,
    modified: pa.TimestampArray | None,
    classes: pa.StringArray | None,
    selection: Selection,
    by_suffix: bool,
) -> NDArray[np.uint8]:
    """Say for each row why it is left out, as the first cause that applies has its place in CAUSES; 0 for what is wanted.

    Sizes are bytes. What is null, or a column that the source does not have, is not held against a row. Globs match the whole path,
    `*` crossing slashes; a glob without a slash matches the file's name too. A video may be as old as `modified_after` and must be
    older than `modified_before`.
    """
    causes = np.zeros(len(paths), np.uint8)
    if by_suffix:
        mark(causes, "no video suffix", pc.invert(pc.match_substring_regex(paths, pattern=_HAS_VIDEO_SUFFIX)))
    _mark_by_globs(causes, paths, selection)
    if selection.min_size_bytes:
        mark(causes, "too small", pc.less(sizes, selection.min_size_bytes))
    if selection.max_size_bytes:
        mark(causes, "too large", pc.greater(sizes, selection.max_size_bytes))
    if modified is not None:
        _mark_by_dates(causes, modified, selection)
    if classes is not None:
        mark(causes, "archived", pc.is_in(classes, value_set=pa.array(ARCHIVED, classes.type)))
    return causes


def mark(causes: NDArray[np.uint8], cause: str, left_out: pa.BooleanArray) -> None:
    """Note a cause for the rows it leaves out and no cause before it did; null leaves nothing out."""
    if not left_out.true_count:
        return
    places = pc.fill_null(left_out, False).to_numpy(zero_copy_only=False)
    causes[places & (causes == 0)] = CAUSES.index(cause)


def _mark_by_dates(causes: NDArray[np.uint8], modified: pa.TimestampArray, selection: Selection) -> None:
    if selection.modified_after:
        mark(causes, "too old", pc.less(modified.cast(MOMENT, safe=False), _moment(selection.modified_after)))
    if selection.modified_before:
        mark(causes, "too new", pc.greater_equal(modified.cast(MOMENT, safe=False), _moment(selection.modified_before)))


def _moment(moment: datetime) -> pa.TimestampScalar:
    """A moment without a zone is in UTC."""
    return pa.scalar(moment if moment.tzinfo else moment.replace(tzinfo=UTC), MOMENT)


def _mark_by_globs(causes: NDArray[np.uint8], paths: pa.StringArray, selection: Selection) -> None:
    """Match only rows that are wanted so far, since this may cost more than the rest."""
    if not (selection.include or selection.exclude):
        return
    wanted = np.flatnonzero(causes == 0)
    paths, found = paths.take(pa.array(wanted)), causes[wanted]
    if selection.include:
        mark(found, "not included", pc.invert(any_matches(paths, selection.include)))
    mark(found, "excluded", any_matches(paths, selection.exclude))
    causes[wanted] = found
