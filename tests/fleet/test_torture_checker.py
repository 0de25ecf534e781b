"""The torture's checker finds each kind of violation in storage that was made by hand, and nothing in a clean one."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from backports import zstd

from fleet.torture.checker import Verdict, check
from fleet.torture.fate import Fate
from fleet.torture.record import Committed, Record, again, lines_of, read_record

S, T = "a" * 32, "b" * 32
FATES = {"one.mp4": Fate(("first", "second")), "two.mp4": Fate(("third",)), "torn.mp4": Fate(reason="truncated")}
Spoil = Callable[[Record], object]


def row(video: str, index: int, says: str, shard: str = S) -> dict[str, Any]:
    return {"shard_id": shard, "video": {"uri": f"s3://in/{video}"}, "frame_index": index, "annotation": {"description": says}}


def letter(video: str, reason: str, shard: str = T) -> dict[str, Any]:
    return {"shard_id": shard, "video": {"uri": f"s3://in/{video}"}, "reason": reason}


def clean() -> Record:
    rows = (row("one.mp4", 0, "first"), row("one.mp4", 1, "second"), row("two.mp4", 0, "third"))
    return Record(
        plan={S: ["one.mp4", "two.mp4"], T: ["torn.mp4"]},
        sealed=True,
        committed=[Committed(S, rows), Committed(T, ())],
        letters=[letter("torn.mp4", "truncated")],
    )


def verdict_on(record: Record) -> Verdict:
    verdict = Verdict()
    check(verdict, record, FATES, job="job")
    return verdict


def with_rows(record: Record, *rows: dict[str, Any], shard: str = S) -> None:
    record.committed.append(Committed(shard, rows))


def replace_rows(record: Record, *rows: dict[str, Any]) -> None:
    record.committed[0] = Committed(S, rows)


def counts(verdict: Verdict) -> dict[str, int]:
    kinds = ("lost", "duplicated", "partial", "mismatched", "misjudged", "left_over")
    return {kind: count for kind in kinds if (count := getattr(verdict, kind))}


def test_a_clean_record_has_nothing_wrong() -> None:
    verdict = verdict_on(clean())
    assert verdict.clean, verdict.words
    assert (verdict.units, verdict.captioned) == (3, 2)
    assert verdict.dead_by_reason == verdict.expected_dead == {"truncated": 1}


VIOLATIONS: dict[str, tuple[Spoil, dict[str, int]]] = {
    "a video without an end": (lambda found: found.letters.clear(), {"lost": 1}),
    "a shard without an object": (lambda found: found.committed.pop(0), {"lost": 2}),
    "a frame without a line": (lambda found: replace_rows(found, row("one.mp4", 0, "first"), row("two.mp4", 0, "third")), {"lost": 1}),
    "a plan without an end": (lambda found: setattr(found, "sealed", False), {"lost": 1}),
    "a frame with two lines": (lambda found: with_rows(found, row("two.mp4", 0, "third", f"{S}.1"), shard=f"{S}.1"), {"duplicated": 1}),
    "a video with lines and a letter": (
        lambda found: found.letters.append(letter("two.mp4", "truncated")),
        {"duplicated": 1, "misjudged": 1},
    ),
    "a video with two letters": (lambda found: found.letters.append(letter("torn.mp4", "truncated", S)), {"duplicated": 1}),
    "an object that was written again": (lambda found: found.rewritten.append(f"captions/aa/{S}.jsonl"), {"duplicated": 1}),
    "half a line": (lambda found: found.committed.append(lines_of(f"{S}.9", b'{"shard_id": "')), {"partial": 1}),
    "half a letter": (lambda found: found.torn.append(f"dead/bb/{T}-0.json"), {"partial": 1}),
    "another picture's caption": (
        lambda found: replace_rows(found, row("one.mp4", 0, "second"), row("one.mp4", 1, "first"), row("two.mp4", 0, "third")),
        {"mismatched": 2},
    ),
    "a frame that the video has not": (lambda found: with_rows(found, row("two.mp4", 1, "more"), shard=S), {"mismatched": 1}),
    "a line of another shard": (lambda found: with_rows(found, row("torn.mp4", 0, "x", T), shard=f"{T}.0"), {"mismatched": 2}),
    "death of something else": (lambda found: found.letters.__setitem__(0, letter("torn.mp4", "worker_crashed")), {"misjudged": 1}),
    "an input that never was": (lambda found: found.letters.append(letter("four.mp4", "truncated")), {"left_over": 1}),
    "a shard that nobody planned": (lambda found: with_rows(found, shard="c" * 32), {"left_over": 1}),
    "an object of no kind": (lambda found: found.strange.append("captions/aa/x.part/1"), {"left_over": 1}),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_violation_is_found_and_named(violation: str) -> None:
    spoil, found = VIOLATIONS[violation]
    record = clean()
    spoil(record)
    verdict = verdict_on(record)
    assert counts(verdict) == found, verdict.words
    assert verdict.words


def test_a_letter_that_a_descendant_has_answered_does_not_count() -> None:
    record = clean()
    with_rows(record, shard=f"{T}.0")
    record.letters.append(letter("torn.mp4", "truncated", f"{T}.0"))
    assert verdict_on(record).clean


class Shelf:
    """A bucket that holds what a test has put into it."""

    def __init__(self, objects: dict[str, bytes], written: list[str]) -> None:
        self._objects, self._written = objects, written

    def keys(self, prefix: str) -> list[str]:
        return [key for key in self._objects if key.startswith(prefix)]

    def get(self, key: str) -> bytes:
        return self._objects[key]

    def writes(self, prefix: str) -> list[str]:
        return [key for key in self._written if key.startswith(prefix)]


def test_each_object_under_a_job_is_read_for_what_it_is() -> None:
    shard = {"shard_id": S, "videos": [{"uri": "s3://in/one.mp4"}, {"uri": "s3://in/two.mp4"}]}
    objects = {
        "job/job.json": b"{}",
        "job/control.json": b"{}",
        "job/plan/part-00000.jsonl.zst": zstd.compress(json.dumps(shard).encode() + b"\n"),
        "job/plan/complete.json": b"{}",
        f"job/captions/aa/{S}.jsonl": json.dumps(row("one.mp4", 0, "first")).encode() + b"\n",
        f"job/captions/aa/{S}.jsonl.part": b"",
        f"job/dead/aa/{S}-1.json": json.dumps(letter("two.mp4", "truncated", S)).encode(),
        f"job/dead/aa/{S}-2.json": b'{"reason": "tru',
        f"job/splits/{S}.json": b"{}",
        "job/notes.txt": b"",
        "job-2/job.json": b"{}",
    }
    twice = [*objects, "job/job.json", "job/control.json", "job-2/job.json"]
    found = read_record(Shelf(objects, twice), "job")
    assert (found.plan, found.sealed, found.splits) == ({S: ["one.mp4", "two.mp4"]}, True, {S})
    assert [one.shard for one in found.committed] == [S]
    assert [one["reason"] for one in found.letters] == ["truncated"]
    assert found.torn == [f"dead/aa/{S}-2.json"]
    assert found.strange == [f"captions/aa/{S}.jsonl.part", "notes.txt"]
    assert found.rewritten == ["job/job.json"], "only people write the control again"


def test_lines_are_whole_or_told_to_be_broken() -> None:
    whole = json.dumps(row("one.mp4", 0, "first")).encode() + b"\n"
    assert lines_of(S, b"").broken == lines_of(S, whole * 2).broken == ""
    assert len(lines_of(S, whole * 2).rows) == 2
    assert lines_of(S, whole + whole[:-1]).broken == "its last line has no end"
    assert lines_of(S, whole + b"{]\n").broken == "line 2 is no JSON"


def test_what_is_written_again_is_told_once() -> None:
    assert again(["a", "b", "a", "c", "a"]) == ["a"]
