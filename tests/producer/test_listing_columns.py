"""Columns of pages are put together as they are, whichever way each lies in memory: etags of uploads in parts are longer than others."""

from collections.abc import Sequence

import pytest

from producer.sources.listing import _strings
from storage.even import Even


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [Even("aabb", 2)],
        [Even("aabb", 2), Even("cc", 2)],
        [Even("aabb", 2), Even("ccc", 3)],
        [Even("aabb", 2), ["x", "yy"], Even("cc", 2)],
        [["a"], ["\u00fc", ""]],
    ],
)
def test_columns_of_pages_follow_each_other(columns: list[Sequence[str]]) -> None:
    assert _strings(columns).to_pylist() == [one for column in columns for one in column]
