"""What within one family contradicts itself, its plan or its recipe; each finding in words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from fleet.family import Family, answers
from schemas.record import DeadLetter, FrameRecord
from schemas.task import ShardTask
from schemas.video import VideoRef


def duplicates(family: Family) -> list[str]:
    """Frames that have more than one line, and indexes that lines of different frames claim."""
    holders: defaultdict[str, list[str]] = defaultdict(list)
    frames: defaultdict[tuple[VideoRef, int], dict[str, str]] = defaultdict(dict)
    for shard, record in family.lines:
        holders[record.frame_id].append(shard)
        frames[record.video, record.frame_index][record.frame_id] = shard
    words = [f"frame {frame} has lines in {', '.join(shards)}" for frame, shards in holders.items() if len(shards) > 1]
    return words + [
        f"frame {index} of {video.uri} is two different frames, in {', '.join(shards.values())}"
        for (video, index), shards in frames.items()
        if len(shards) > 1
    ]


def strangers(family: Family, task: ShardTask) -> list[str]:
    """Lines of videos that the shard was never given, of another recipe, copied from none, or that do not agree with each other."""
    uris = {video.uri for video in task.videos}
    words = [f"a line of {record.video.uri} lies in shard {shard}" for shard, record in family.lines if record.video.uri not in uris]
    words += [f"a letter of {one.video.uri} lies in shard {one.shard_id}" for one in family.letters.values() if one.video.uri not in uris]
    words += [f"a line in {shard} is of recipe {record.recipe_id}" for shard, record in family.lines if record.recipe_id != task.recipe_id]
    own = {(shard, record.video, record.frame_id): record.annotation for shard, record in family.lines if record.copied_from is None}
    words += [
        f"frame {record.frame_index} of {record.video.uri} in shard {shard} is no copy of frame {record.copied_from}"
        for shard, record in family.lines
        if record.copied_from is not None and own.get((shard, record.video, record.copied_from)) != record.annotation
    ]
    return words + disagreements(family)


def disagreements(family: Family) -> list[str]:
    """Videos of whose very same bytes lines count different numbers of frames: then none can say whether one is missing."""
    counts: defaultdict[VideoRef, set[int]] = defaultdict(set)
    for _, record in family.lines:
        counts[record.video].add(record.frames_chosen)
    return [
        f"lines of {video.uri} speak of {' and of '.join(map(str, sorted(chosen)))} frames"
        for video, chosen in counts.items()
        if len(chosen) > 1
    ]


def dead_and_captioned(family: Family) -> list[str]:
    """Frames with both a line and a letter, unless a redrive of the dead made the line."""
    lines: defaultdict[str, list[tuple[str, FrameRecord]]] = defaultdict(list)
    for shard, record in family.lines:
        lines[record.video.uri].append((shard, record))
    live = family.live_letters()
    return [words for key, letter in family.letters.items() for words in _denied(letter, lines[letter.video.uri], stands=key in live)]


def _denied(letter: DeadLetter, lines: Iterable[tuple[str, FrameRecord]], *, stands: bool) -> Iterator[str]:
    """What is wrong with a letter beside these lines of its video."""
    same = [(shard, record) for shard, record in lines if shard == letter.shard_id and letter.frame_index in {None, record.frame_index}]
    for shard, record in same:
        yield f"frame {record.frame_index} of {record.video.uri} is both captioned and dead in shard {shard}"
    if not stands or same:
        return
    other = [(shard, record) for shard, record in lines if record.video == letter.video]
    if letter.frame_index is not None:
        yield from (
            f"frame {record.frame_index} of {record.video.uri} is captioned in shard {shard} and dead in {letter.shard_id}"
            for shard, record in other
            if answers(record, letter)
        )
    elif other and {record.frame_index for _, record in other} >= set(range(other[0][1].frames_chosen)):
        where = ", ".join(sorted({shard for shard, _ in other}))
        yield f"every frame of {letter.video.uri} is captioned in {where}, and it is dead in {letter.shard_id}"
