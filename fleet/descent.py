"""Whom the shards of a family descend from: a planned shard's videos by their places, and the children of splits."""

from fleet.family import Family
from schemas.task import ShardTask, Split
from schemas.video import VideoRef


class Descent:
    """Which videos each shard of a family stands for, as far as there is a reason for it to be there."""

    def __init__(self, family: Family, task: ShardTask) -> None:
        """Follow a planned shard's descendants."""
        self._family = family
        self._task = task
        self._children = {child.shard_id: child for split in family.standing_splits() for child in split.children}

    def videos(self, shard: str) -> tuple[VideoRef, ...]:
        """The videos that a shard stands for; none if nothing explains that it is there."""
        if shard == self._task.shard_id:
            return self._task.videos
        above, _, part = shard.rpartition(".")
        if shard in self._children:
            return self._children[shard].videos if self.videos(above) else ()
        if not above or not part.isdecimal():
            return ()
        return self.videos(above)[int(part) :][:1]

    def orphans(self) -> list[str]:
        """Shards, and places of letters, that nothing explains; in words."""
        family = self._family
        names = {*family.committed, *family.redrives, *family.splits, *(letter.shard_id for letter in family.letters.values())}
        words = [f"shard {shard} descends from nothing that was planned or split" for shard in sorted(names) if not self.videos(shard)]
        return words + [
            f"{key} speaks of a place that its shard does not have"
            for key, letter in family.letters.items()
            if 0 < len(self.videos(letter.shard_id)) <= letter.place
        ]

    def lacking(self) -> list[str]:
        """Children of splits, and redrives asked for, that have no object; in words."""
        family = self._family
        words = [
            f"shard {child.shard_id}, which stands for a part of {split.shard_id}, has no object"
            for split in family.standing_splits()
            for child in split.children
            if child.shard_id not in family.committed
        ]
        return words + [
            f"redrive {shard} has no object" for shard in family.redrives if shard not in family.committed and self.videos(shard)
        ]

    def invalid(self) -> list[str]:
        """Splits and redrives that are not of their shard's videos, in words."""
        family = self._family
        words = [f"the children of {split.shard_id} do not hold its videos" for split in family.standing_splits() if not self._holds(split)]
        return words + [
            f"redrive {shard} is of another video than its shard's"
            for shard, task in family.redrives.items()
            if self.videos(shard) and [video.uri for video in task.videos] != [video.uri for video in self.videos(shard)]
        ]

    def _holds(self, split: Split) -> bool:
        """Whether the children have every video of the shard once."""
        theirs = [video for child in split.children for video in child.videos]
        return sorted(theirs, key=_order) == sorted(self.videos(split.shard_id), key=_order)


def _order(video: VideoRef) -> tuple[str, str]:
    return video.uri, video.etag
