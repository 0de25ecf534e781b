"""Holds a job's record against what must have become of each input. Storage is all it sees, and none of the fleet's own audit helps it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.torture.fate import Fate
from fleet.torture.record import Committed, Record, video_name

EXAMPLES = 20
ROOT = "."
"""What parts a descendant's name from its root's."""

Frame = tuple[str, int]
"""A video's name and the frame's index."""


@dataclass(slots=True)
class Verdict:
    """What is wrong with one or more jobs, counted by kind."""

    units: int = 0
    """Inputs that had to end."""
    captioned: int = 0
    lost: int = 0
    """Inputs without an end, and frames of captioned ones without a line."""
    duplicated: int = 0
    """Frames with more than one line, inputs with more than one end, and objects that were written again."""
    partial: int = 0
    """Objects that are not whole lines."""
    mismatched: int = 0
    """Lines with another picture's caption, or of another video or frame than there is."""
    misjudged: int = 0
    """Inputs that are dead for another reason than expected, or although they can be captioned."""
    left_over: int = 0
    """Objects that belong to nothing."""
    dead_by_reason: Counter[str] = field(default_factory=Counter)
    expected_dead: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)

    def find(self, kind: str, words: str, *, times: int = 1) -> None:
        """Count a violation, and keep the first in words."""
        setattr(self, kind, getattr(self, kind) + times)
        if len(self.words) < EXAMPLES:
            self.words.append(f"{kind}: {words}")

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicated or self.partial or self.mismatched or self.misjudged or self.left_over)


def check(verdict: Verdict, record: Record, fates: Mapping[str, Fate], *, job: str) -> None:
    """Hold one job's record against how its inputs must have ended."""
    verdict.units += len(fates)
    verdict.expected_dead.update(fate.reason for fate in fates.values() if fate.reason)
    _whole(verdict, record, job)
    _owned(verdict, record, job)
    lines, dead = lines_by_video(record.committed), living_letters(record)
    for name, fate in fates.items():
        _ended(verdict, f"{job}/{name}", fate, lines.get(name, []), dead.get(name, []))
    for name in (lines.keys() | dead.keys()) - fates.keys():
        verdict.find("left_over", f"{job}: {name} is no input")
    for letters in dead.values():
        verdict.dead_by_reason.update(str(letter["reason"]) for letter in letters)


def _whole(verdict: Verdict, record: Record, job: str) -> None:
    for found in record.committed:
        if found.broken:
            verdict.find("partial", f"{job}: {found.shard}: {found.broken}")
    for key in record.torn:
        verdict.find("partial", f"{job}: {key} is no JSON")
    for key in record.rewritten:
        verdict.find("duplicated", f"{key} was written more than once")
    if not record.sealed:
        verdict.find("lost", f"{job}: its plan is not complete")


def _owned(verdict: Verdict, record: Record, job: str) -> None:
    """Every object belongs to a shard of the plan or to a descendant of one, and every line to its object."""
    for key in record.strange:
        verdict.find("left_over", f"{job}: {key}")
    holders = [found.shard for found in record.committed] + [str(letter["shard_id"]) for letter in record.letters] + sorted(record.splits)
    for shard in holders:
        if shard.partition(ROOT)[0] not in record.plan:
            verdict.find("left_over", f"{job}: shard {shard} is not planned")
    for found in record.committed:
        for row in found.rows:
            if row.get("shard_id") != found.shard:
                verdict.find("mismatched", f"{job}: {found.shard} holds a line of {row.get('shard_id')}")


def lines_by_video(committed: Iterable[Committed]) -> dict[str, list[Mapping[str, Any]]]:
    """The lines of each video."""
    found = defaultdict(list)
    for one in committed:
        for row in one.rows:
            found[video_name(row["video"])].append(row)
    return found


def living_letters(record: Record) -> dict[str, list[Mapping[str, Any]]]:
    """The dead letters of each video that no descendant of their shard has answered."""
    found = defaultdict(list)
    answers = [(one.shard, video_name(row["video"])) for one in record.committed for row in one.rows]
    answers += [(str(letter["shard_id"]), video_name(letter["video"])) for letter in record.letters]
    for letter in record.letters:
        name, below = video_name(letter["video"]), f"{letter['shard_id']}{ROOT}"
        if not any(video == name and shard.startswith(below) for shard, video in answers):
            found[name].append(letter)
    return found


def _ended(verdict: Verdict, name: str, fate: Fate, lines: list[Mapping[str, Any]], letters: list[Mapping[str, Any]]) -> None:
    """An input ended once: each of its frames has a line, or it has one letter."""
    if not lines and not letters:
        verdict.find("lost", f"{name} has neither lines nor a letter")
        return
    for letter in letters:
        if letter["reason"] != fate.reason:
            verdict.find("misjudged", f"{name} is dead of {letter['reason']}, not {fate.reason or 'at all'}")
    if letters and (lines or len(letters) > 1):
        verdict.find("duplicated", f"{name} has {len(letters)} letters and {len(lines)} lines")
    if lines:
        verdict.captioned += 1
        _captioned(verdict, name, fate, lines)


def _captioned(verdict: Verdict, name: str, fate: Fate, lines: list[Mapping[str, Any]]) -> None:
    counts = Counter(int(row["frame_index"]) for row in lines)
    for index, times in counts.items():
        if times > 1:
            verdict.find("duplicated", f"{name} frame {index} has {times} lines", times=times - 1)
    for words in mispaired(fate, lines):
        verdict.find("mismatched", f"{name} {words}")
    if missing := set(range(len(fate.captions))) - counts.keys():
        verdict.find("lost", f"{name} lacks {len(missing)} frames", times=len(missing))


def mispaired(fate: Fate, lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Say which lines have not the caption of their picture."""
    for row in lines:
        index, said = int(row["frame_index"]), row["annotation"]["description"]
        if index >= len(fate.captions):
            yield f"frame {index} of only {len(fate.captions)}"
        elif said != fate.captions[index]:
            yield f"frame {index} is captioned {said!r}, not {fate.captions[index]!r}"
