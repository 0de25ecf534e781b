"""Where in a Matroska cluster the block is that a cue means, told by headers alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from workers.media.child.unusable import UnusableIndexError
from workers.media.readers.ebml import LONGEST_HEADER, LONGEST_INTEGER, Element, element, vint
from workers.media.readers.matroska import CLUSTER, MOST_ELEMENTS, TIMESTAMP, Cue, Index
from workers.media.readers.places import Places

SIMPLE_BLOCK, BLOCK_GROUP, BLOCK = 0xA3, 0xA0, 0xA1
BLOCK_HEADER_BYTES = 11
"""A track's number of up to eight bytes, the time in the cluster, flags."""
KEYFRAME, LACING = 0x80, 0x06
MOST_BLOCKS = 4096
"""Blocks looked at in a cluster whose cue names no place in it."""


@dataclass(frozen=True, slots=True)
class Block:
    """Where a keyframe's block is, its header included, and its cluster's time stamp."""

    starts: int
    ends: int
    cluster_time: int


def locate(places: Places, index: Index, cue: Cue) -> Block:
    """Find the block that a cue means.

    Raises:
        UnusableIndexError: the cue leads to no keyframe of that time.
    """
    cluster = _at(places, cue.cluster)
    if cluster.identity != CLUSTER:
        raise UnusableIndexError("A cue leads to no cluster.")
    walk = _within(places, cluster)
    stamp = next((one for one in islice(walk, MOST_ELEMENTS) if one.identity == TIMESTAMP), None)
    if stamp is None or stamp.known_end - stamp.begins > LONGEST_INTEGER:
        raise UnusableIndexError("A cluster has no time.")
    time = int.from_bytes(places.at(stamp.begins, stamp.known_end - stamp.begins))
    candidates: Iterable[Element] = walk if cue.relative is None else [_at(places, cluster.begins + cue.relative)]
    for one in islice(candidates, MOST_BLOCKS):
        if one.known_end <= places.file.size_bytes and _is_meant(places, one, index.track, cue.time - time):
            return Block(one.starts, one.known_end, time)
    raise UnusableIndexError("A cue leads to no keyframe of its time.")


def _at(places: Places, position: int) -> Element:
    return element(places.at(position, LONGEST_HEADER), base=position)


def _within(places: Places, outer: Element) -> Iterator[Element]:
    position = outer.begins
    while outer.ends is None or position < outer.ends:
        one = _at(places, position)
        yield one
        position = one.known_end


def _is_meant(places: Places, one: Element, track: int, time: int) -> bool:
    block: Element | None = one
    if one.identity == BLOCK_GROUP:
        block = next((child for child in islice(_within(places, one), MOST_ELEMENTS) if child.identity == BLOCK), None)
    elif one.identity != SIMPLE_BLOCK:
        return False
    if block is None:
        return False
    header = places.at(block.begins, BLOCK_HEADER_BYTES)
    number, after = vint(header, 0, keep_marker=False)
    relative, flags = int.from_bytes(header[after : after + 2], signed=True), int.from_bytes(header[after + 2 : after + 3])
    is_key = one is not block or bool(flags & KEYFRAME)
    return (number, relative) == (track, time) and is_key and not flags & LACING
