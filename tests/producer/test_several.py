from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from producer.sources import Batch, Source
from producer.sources.several import Several, refuse_twins
from schemas.errors import OperatorError


class Shelf:
    """A source that shows keys, two a batch, and remembers how it was opened."""

    def __init__(self, *keys: str, distinct: bool = True, wrong: str = "") -> None:
        self.distinct = distinct
        self.keys = keys
        self.opened: list[str] = []
        self._wrong = wrong

    def check(self) -> None:
        if self._wrong:
            raise OperatorError(self._wrong)

    def batches(self, *, after: str = "") -> Iterator[Batch]:
        self.opened.append(after)
        keys = [key for key in self.keys if key > after]
        for first in range(0, len(keys), 2):
            few = keys[first : first + 2]
            none = np.zeros(len(few), np.uint8)
            yield Batch(pa.array(few), pa.array(["e"] * len(few)), pa.array([1] * len(few)), none, lambda row, few=few: few[row])


def shown(source: Source, *, after: str = "") -> list[tuple[str, str]]:
    """URIs, each with the cursor behind it."""
    return [(uri, batch.cursor_at(row)) for batch in source.batches(after=after) for row, uri in enumerate(batch.uris.to_pylist())]


def of(*names: str, distinct: bool = True) -> Several:
    return Several({name: Shelf(distinct=distinct) for name in names})


def test_sources_are_read_one_after_the_other() -> None:
    several = Several({"s3://a": Shelf("x", "y", "z"), "s3://b": Shelf(), "s3://c": Shelf("x")})
    assert shown(several) == [("x", "0:x"), ("y", "0:y"), ("z", "0:z"), ("x", "2:x")]


def test_reading_goes_on_behind_every_cursor() -> None:
    several = Several({"s3://a": Shelf("x", "y", "z"), "s3://b": Shelf("k:1", "k:2"), "s3://c": Shelf("x")})
    rows = shown(several)
    for number, (_, cursor) in enumerate(rows, start=1):
        assert shown(several, after=cursor) == rows[number:]


def test_what_was_read_before_is_not_opened_again() -> None:
    shelves = [Shelf("a"), Shelf("b", "c"), Shelf("d")]
    shown(Several(dict(zip(("s3://a", "s3://b", "s3://c"), shelves, strict=True))), after="1:b")
    assert [shelf.opened for shelf in shelves] == [[], ["b"], [""]]


def test_no_source_is_opened_before_its_turn() -> None:
    first, second = Shelf("a", "b", "c"), Shelf("d")
    next(Several({"s3://a": first, "s3://b": second}).batches())
    assert (first.opened, second.opened) == ([""], [])


def test_a_check_names_the_source_that_is_wrong() -> None:
    several = Several({"s3://a": Shelf(), "s3://b": Shelf(wrong="Nothing is there.")})
    with pytest.raises(OperatorError, match="s3://b is wrong: Nothing is there"):
        several.check()


def test_a_message_that_names_its_source_stands_as_it_is() -> None:
    with pytest.raises(OperatorError, match=r"^s3://b has no videos\.$"):
        Several({"s3://a": Shelf(), "s3://b": Shelf(wrong="s3://b has no videos.")}).check()


def test_every_source_passes_a_check_that_finds_nothing_wrong() -> None:
    of("s3://a", "s3://b").check()


@pytest.mark.parametrize(
    "names",
    [
        ("s3://a",),
        ("s3://a", "s3://b"),
        ("s3://a/x", "s3://a/y/"),
        ("s3://a/x", "s3://a/xy"),
        ("s3://a", "memory://a"),
        ("/clips/a", "/clips/b"),
        ("inventory+s3://a",),
    ],
)
def test_sources_that_lie_apart_are_distinct(names: tuple[str, ...]) -> None:
    assert of(*names).distinct


@pytest.mark.parametrize(
    "names",
    [
        ("s3://a", "s3://a/x"),
        ("s3://a/x/y.mp4", "s3://a/x"),
        ("s3://b", "s3://a/x/", "s3://a/x/y"),
        ("/clips/a/b", "file:///clips/a"),
        ("/", "/clips"),
        ("inventory+s3://a", "s3://b"),
        ("inventory+s3://a", "inventory+s3://b"),
    ],
)
def test_sources_that_may_overlap_are_not_distinct(names: tuple[str, ...]) -> None:
    assert not of(*names).distinct


def test_a_source_that_repeats_itself_makes_the_whole_not_distinct() -> None:
    assert not Several({"s3://a": Shelf(), "list.txt": Shelf(distinct=False)}).distinct


@pytest.mark.parametrize(
    ("one", "other"),
    [("s3://a/x", "s3://a/x/"), ("/clips/a", "file:///clips/b/../a"), ("inventory+s3://a/b", "inventory+s3://a/b/")],
)
def test_the_same_source_written_twice_is_refused(one: str, other: str) -> None:
    with pytest.raises(OperatorError, match="name each source once"):
        of(one, "s3://other", other)


def test_the_same_words_twice_are_refused() -> None:
    for name in ("-", "s3://a", "list.txt"):
        with pytest.raises(OperatorError, match=f"'{name}' is named twice"):
            refuse_twins((name, "s3://b", name))
