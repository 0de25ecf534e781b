"""The child's view of an object: what is planned comes along, a little more each time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from workers.media.child.objectfile import BATCH_BYTES, BATCH_RANGES, ObjectFile
from workers.media.costs import Range

SIZE = 64 * 1024 * 1024
HEAD = 1024 * 1024


@dataclass
class Shelf:
    """Hands out ranges of an object that says where it is, in memory that it takes again; remembers what was asked for."""

    turns: list[list[Range]] = field(default_factory=list)
    shelf: bytearray = field(default_factory=lambda: bytearray(BATCH_BYTES))

    def fetch_all(self, ranges: Sequence[Range]) -> list[memoryview]:
        self.turns.append(list(ranges))
        views, at = list[memoryview](), 0
        for start, end in ranges:
            views.append(memoryview(self.shelf)[at : at + end - start])
            views[-1][:] = body(start, end)
            at += end - start
        return views

    def file(self) -> ObjectFile:
        return ObjectFile(body, SIZE, fetch_all=self.fetch_all)


def body(start: int, end: int) -> bytes:
    return bytes(place // 1000 % 251 for place in range(start, end))


def samples(count: int, size_bytes: int = 1000) -> list[Range]:
    return [(HEAD + number * 10 * size_bytes, HEAD + number * 10 * size_bytes + size_bytes) for number in range(count)]


def read(file: ObjectFile, wanted: Range) -> bytes:
    file.hold(*wanted)
    file.seek(wanted[0])
    return file.read(wanted[1] - wanted[0])


def test_planned_ranges_come_along_twice_as_many_each_time() -> None:
    shelf, wanted = Shelf(), samples(30)
    file = shelf.file()
    file.plan(wanted)
    assert [read(file, one) for one in wanted] == [body(*one) for one in wanted]
    assert [len(turn) for turn in shelf.turns] == [1, 2, 4, BATCH_RANGES, BATCH_RANGES, 7]
    assert [one for turn in shelf.turns for one in turn] == wanted


def test_what_comes_along_fits_into_one_turn() -> None:
    shelf, wanted = Shelf(), samples(12, BATCH_BYTES // 3)
    file = shelf.file()
    file.plan(wanted)
    assert [len(read(file, one)) for one in wanted] == [BATCH_BYTES // 3] * 12
    assert [len(turn) for turn in shelf.turns] == [1, 2, 3, 3, 3]


def test_what_is_skipped_of_a_plan_is_not_fetched_behind_its_place() -> None:
    shelf, wanted = Shelf(), samples(8)
    file = shelf.file()
    file.plan(wanted)
    assert [read(file, one) for one in wanted[::4]] == [body(*one) for one in wanted[::4]]
    assert shelf.turns == [[wanted[0]], [wanted[4], wanted[5]]]


def test_a_range_that_nobody_planned_comes_alone_and_the_plan_stands() -> None:
    shelf, wanted = Shelf(), samples(6)
    file = shelf.file()
    file.plan(wanted[:4])
    for one in (wanted[5], *wanted[:4]):
        assert read(file, one) == body(*one)
    assert shelf.turns == [[wanted[5]], [wanted[0]], wanted[1:3], [wanted[3]]]


@pytest.mark.parametrize("strange", [(HEAD + 50, HEAD + 50), (-5, 20), (HEAD + 90, HEAD + 80), (SIZE - 1, SIZE + 1)])
def test_a_range_that_makes_no_sense_never_comes_along(strange: Range) -> None:
    shelf, wanted = Shelf(), samples(3)
    file = shelf.file()
    file.plan([wanted[0], strange, *wanted[1:]])
    assert [read(file, one) for one in wanted] == [body(*one) for one in wanted]
    assert shelf.turns == [[wanted[0]], wanted[1:]]
