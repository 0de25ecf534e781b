import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from producer.runs import BLOCK
from producer.seen import Seen, names_of
from schemas.errors import OperatorError

TINY = 2048
"""Bytes of memory for eight names."""

halves = st.one_of(st.sampled_from([bytes(8), b"\xff" * 8, bytes(7) + b"a", b"a" + bytes(7)]), st.binary(min_size=8, max_size=8))
batches = st.lists(st.lists(st.builds(bytes.__add__, halves, halves), max_size=40), max_size=12)


def array(names: list[bytes]) -> NDArray[np.bytes_]:
    return np.frombuffer(b"".join(names), dtype="S16")


def hashed(numbers: range) -> NDArray[np.bytes_]:
    return array([hashlib.blake2b(str(number).encode(), digest_size=16).digest() for number in numbers])


@settings(deadline=None, max_examples=100)
@given(batches, st.sampled_from([1, TINY, 1 << 16]))
def test_it_answers_as_a_plain_set_does(rounds: list[list[bytes]], memory_bytes: int) -> None:
    known: set[bytes] = set()
    with Seen(memory_bytes) as seen:
        for names in rounds:
            assert seen.has(array(names)).tolist() == [name in known for name in names]
            expected = []
            for name in names:
                expected.append(name in known)
                known.add(name)
            assert seen.add(array(names)).tolist() == expected
            assert len(seen) == len(known)


def test_many_names_are_known_after_any_number_of_merges() -> None:
    names = hashed(range(60_000))
    with Seen(1 << 14) as seen:
        for first in range(0, 40_000, 200):
            assert not seen.add(names[first : first + 200]).any()
        assert seen.has(names).tolist() == [True] * 40_000 + [False] * 20_000
        assert seen.add(names[::-1]).sum() == 40_000
        assert len(seen) == 60_000


def test_runs_stay_few() -> None:
    names = hashed(range(4096))
    with Seen(TINY) as seen:
        for first in range(0, len(names), 8):
            seen.add(names[first : first + 8])
        assert len(seen._older) <= 3 * 5
        assert sum(map(len, seen._older)) == len(names)


def test_names_that_begin_alike_are_told_apart_over_many_blocks() -> None:
    names = array([b"12345678" + number.to_bytes(8) for number in range(5 * BLOCK)])
    with Seen(TINY) as seen:
        assert not seen.add(names[::2]).any()
        assert seen.has(names).tolist() == [True, False] * (len(names) // 2)


def test_of_names_in_one_array_the_first_is_the_new_one() -> None:
    with Seen() as seen:
        assert seen.add(hashed(range(3))[[0, 1, 0, 2, 1, 0]]).tolist() == [False, False, True, False, True, True]


def test_an_array_larger_than_one_step_is_one_question() -> None:
    names = hashed(range(100_000))
    with Seen() as seen:
        assert not seen.add(names).any()
        assert seen.add(names).all()


def test_memory_is_bounded_by_what_was_given() -> None:
    with Seen(1 << 16) as seen:
        for first in range(0, 50_000, 5000):
            seen.add(hashed(range(first, first + 5000)))
            assert sum(len(names) for names in seen._recent) * 16 <= 1 << 12
        assert seen._bitmap._bits.nbytes == 3 << 14


def test_nothing_stays_on_disk(tmp_path: Path) -> None:
    maps = Path("/proc/self/maps")
    with Seen(TINY, folder=tmp_path) as seen:
        seen.add(hashed(range(1000)))
        assert str(tmp_path) in maps.read_text()
        assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in maps.read_text()


def test_a_folder_that_takes_nothing_is_named(tmp_path: Path) -> None:
    with Seen(TINY, folder=tmp_path / "missing") as seen, pytest.raises(OperatorError, match=r"missing.*TMPDIR"):
        seen.add(hashed(range(1000)))


def test_rows_are_named_alike_if_and_only_if_their_values_are() -> None:
    rows = [("a", "b"), ("ab", ""), ("", "ab"), ("a", None), (None, "a"), ("a:1", "b"), ("a", "b"), ("1:a", "b"), ("-", None), (None, "-")]
    names = names_of(pa.array([a for a, _ in rows]), pa.array([b for _, b in rows]))
    assert names.dtype == np.dtype("S16")
    first = [row for row, value in enumerate(rows) if rows.index(value) == row]
    assert len({names.tobytes()[16 * row : 16 * row + 16] for row in first}) == len(first)
    assert names.tobytes()[:16] == names.tobytes()[96:112]


def test_names_do_not_depend_on_how_a_column_is_kept() -> None:
    texts = ["a", "ü", None]
    expected = names_of(pa.array(texts), pa.array([1, 2, 3])).tobytes()
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        assert names_of(pa.array(texts).cast(kind), pa.chunked_array([[1], [2, 3]], pa.int32())).tobytes() == expected


def test_no_rows_have_no_names() -> None:
    names = names_of(pa.array([], pa.string()))
    with Seen() as seen:
        assert seen.add(names).tolist() == seen.has(names).tolist() == []
