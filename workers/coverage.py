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
    video: VideoRef
    chosen: int = 0
    indexes: set[int] = field(default_factory=set)
    lines: int = 0

    def missing(self) -> tuple[int, ...]:
        return tuple(index for index in range(self.chosen) if index not in self.indexes)


@dataclass(slots=True)
class Coverage:
    """What the lines and letters of a shard's family say of each video."""

    _seen: dict[str, dict[str, _Seen]] = field(default_factory=lambda: defaultdict(dict))
    _dead_in: dict[str, str] = field(default_factory=dict)
    """The latest shard that found a video dead as a whole. Descendants' names are longer, so the longest is the latest."""
    _captioned_in: dict[str, str] = field(default_factory=dict)

    def count_lines(self, records: Iterable[FrameRecord]) -> None:
        """Take committed lines into account."""
        for record in records:
            seen = self._version(record.video)
            seen.chosen, seen.lines = record.frames_chosen, seen.lines + 1
            seen.indexes.add(record.frame_index)
            _keep_latest(self._captioned_in, record.video, record.shard_id)

    def count_letters(self, letters: Iterable[DeadLetter]) -> None:
        """Take dead letters into account."""
        for letter in letters:
            if letter.scope is Scope.VIDEO or letter.frame_index is None or letter.frames_chosen is None:
                _keep_latest(self._dead_in, letter.video, letter.shard_id)
                continue
            seen = self._version(letter.video)
            seen.chosen = letter.frames_chosen
            seen.indexes.add(letter.frame_index)

    def missing(self, video: VideoRef) -> tuple[int, ...] | None:
        """Frame indexes of a video that nothing accounts for; None if nothing at all is known of the video."""
        best = self._best(video)
        if best is None:
            return () if video.uri in self._dead_in else None
        return best.missing()

    def captioned(self, video: VideoRef) -> bool:
        """Whether some version of the video has a line."""
        return any(seen.lines for seen in self._seen.get(video.uri, {}).values())

    def gaps(self, videos: Sequence[VideoRef]) -> list[Gap]:
        """All that is missing of these videos, by their place; frames are missing of the version that was seen."""
        missing = ((place, video, self._best(video), self.missing(video)) for place, video in enumerate(videos))
        return [Gap(place, best.video if best else video, frames) for place, video, best, frames in missing if frames is None or frames]

    def _best(self, video: VideoRef) -> _Seen | None:
        """The version of a video that counts; None if it is not known, or was found dead as a whole after all its lines.

        A redrive may find the object under a new etag, so the best covered version counts.
        """
        if len(self._dead_in.get(video.uri, "")) > len(self._captioned_in.get(video.uri, "")):
            return None
        return min(self._seen.get(video.uri, {}).values(), key=lambda seen: len(seen.missing()), default=None)

    def _version(self, video: VideoRef) -> _Seen:
        return self._seen[video.uri].setdefault(video.etag, _Seen(video))


def _keep_latest(shards: dict[str, str], video: VideoRef, shard: str) -> None:
    shards[video.uri] = max(shards.get(video.uri, ""), shard, key=len)
