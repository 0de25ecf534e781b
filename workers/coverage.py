"""What of a shard is still missing: the rule that workers heal by and that an audit proves by."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from schemas.record import DeadLetter, FrameRecord, Scope
from schemas.video import VideoRef


@dataclass(frozen=True, slots=True)
class Gap:
    """A video that is neither captioned nor dead, or some of its frames."""

    place: int
    video: VideoRef
    frames: tuple[int, ...] | None
    """Frame indexes without a line or a letter; None means the whole video."""


@dataclass(slots=True)
class _Seen:
    chosen: int = 0
    indexes: set[int] = field(default_factory=set)
    lines: int = 0


@dataclass(slots=True)
class Coverage:
    """What the lines and letters of a shard's family say of each video."""

    _seen: dict[str, dict[str, _Seen]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(_Seen)))
    _dead: set[str] = field(default_factory=set)

    def count_lines(self, records: Iterable[FrameRecord]) -> None:
        """Take committed lines into account."""
        for record in records:
            seen = self._seen[record.video.uri][record.video.etag]
            seen.chosen, seen.lines = record.frames_chosen, seen.lines + 1
            seen.indexes.add(record.frame_index)

    def count_letters(self, letters: Iterable[DeadLetter]) -> None:
        """Take dead letters into account."""
        for letter in letters:
            if letter.scope is Scope.VIDEO or letter.frame_index is None or letter.frames_chosen is None:
                self._dead.add(letter.video.uri)
                continue
            seen = self._seen[letter.video.uri][letter.video.etag]
            seen.chosen = letter.frames_chosen
            seen.indexes.add(letter.frame_index)

    def missing(self, video: VideoRef) -> tuple[int, ...] | None:
        """Frame indexes of a video that nothing accounts for; None if nothing at all is known of the video.

        A redrive may find the object under a new etag, so the best covered version counts.
        """
        versions = self._seen.get(video.uri)
        if not versions:
            return () if video.uri in self._dead else None
        gaps = [tuple(index for index in range(seen.chosen) if index not in seen.indexes) for seen in versions.values()]
        return min(gaps, key=len)

    def captioned(self, video: VideoRef) -> bool:
        """Whether some version of the video has a line."""
        return any(seen.lines for seen in self._seen.get(video.uri, {}).values())

    def gaps(self, videos: Sequence[VideoRef]) -> list[Gap]:
        """All that is missing of these videos, by their place."""
        missing = ((place, video, self.missing(video)) for place, video in enumerate(videos))
        return [Gap(place, video, frames) for place, video, frames in missing if frames is None or frames]
