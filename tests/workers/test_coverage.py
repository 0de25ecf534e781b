import pytest
from builders import HandmadeJob, below, letter, line, lines

from schemas.reasons import Reason
from schemas.task import ShardTask
from workers.coverage import Coverage, Gap


@pytest.fixture
def shard() -> ShardTask:
    return HandmadeJob().shard("a.mp4", "b.mp4", "c.mp4")


def coverage(records=(), letters=()) -> Coverage:
    found = Coverage()
    found.count_lines(records)
    found.count_letters(letters)
    return found


def test_a_video_nothing_is_known_of_is_missing_whole(shard: ShardTask) -> None:
    assert coverage().missing(shard.videos[0]) is None
    assert coverage().gaps(shard.videos) == [Gap(place, video, None) for place, video in enumerate(shard.videos)]


def test_a_captioned_video_is_covered(shard: ShardTask) -> None:
    found = coverage(lines(shard, 3))
    assert found.missing(shard.videos[0]) == ()
    assert found.captioned(shard.videos[0])
    assert [gap.place for gap in found.gaps(shard.videos)] == [1, 2]


def test_a_copied_frame_is_covered_as_any_other(shard: ShardTask) -> None:
    source = line(shard, 0, 3)
    found = coverage([source, line(shard, 2, 3, copied_from=source.frame_id)])
    assert found.missing(shard.videos[0]) == (1,)


def test_a_dead_video_is_covered_and_not_captioned(shard: ShardTask) -> None:
    found = coverage(letters=[letter(shard, place=1, reason=Reason.OBJECT_GONE)])
    assert found.missing(shard.videos[1]) == ()
    assert not found.captioned(shard.videos[1])


def test_frames_without_line_or_letter_are_missing(shard: ShardTask) -> None:
    found = coverage(lines(shard, 6, but=(1, 3, 5)), [letter(shard, 3, 6)])
    assert found.missing(shard.videos[0]) == (1, 5)
    assert found.gaps(shard.videos[:1]) == [Gap(0, shard.videos[0], (1, 5))]


def test_a_video_of_dead_frames_alone_is_covered_and_not_captioned(shard: ShardTask) -> None:
    found = coverage(letters=[letter(shard, index, 2) for index in range(2)])
    assert found.missing(shard.videos[0]) == ()
    assert not found.captioned(shard.videos[0])


def test_a_video_whose_frames_have_only_letters_lacks_the_rest(shard: ShardTask) -> None:
    assert coverage(letters=[letter(shard, 1, 3)]).missing(shard.videos[0]) == (0, 2)


def test_lines_and_letters_of_descendants_count(shard: ShardTask) -> None:
    child = below(shard, "0")
    assert coverage([*lines(shard, 4, but=(2, 3)), line(child, 2, 4)], [letter(child, 3, 4)]).missing(shard.videos[0]) == ()


def test_a_dead_video_that_a_redrive_captioned_in_part_lacks_the_rest(shard: ShardTask) -> None:
    child = below(shard, "0")
    assert coverage(lines(child, 3, but=(1,)), [letter(shard)]).missing(shard.videos[0]) == (1,)


def test_the_best_covered_version_of_a_video_counts(shard: ShardTask) -> None:
    newer = shard.videos[0].model_copy(update={"etag": "newer"})
    child = below(shard, "0").model_copy(update={"videos": (newer,)})
    found = coverage([*lines(shard, 9, but=(1, 2)), *lines(child, 3)])
    assert found.missing(shard.videos[0]) == ()
    assert coverage([*lines(shard, 9), *lines(child, 3, but=(1,))]).missing(newer) == ()


def test_a_gap_is_one_of_the_version_that_was_seen(shard: ShardTask) -> None:
    newer = shard.videos[0].model_copy(update={"etag": "newer"})
    child = below(shard, "0").model_copy(update={"videos": (newer,)})
    assert coverage(lines(child, 3, but=(1,)), [letter(shard)]).gaps(shard.videos[:1]) == [Gap(0, newer, (1,))]


def test_a_video_found_dead_as_a_whole_after_its_lines_is_covered(shard: ShardTask) -> None:
    child = below(shard, "0", only=(2,))
    assert coverage(lines(shard, 3, but=(2,)), [letter(child)]).missing(shard.videos[0]) == ()


def test_other_videos_lines_cover_nothing(shard: ShardTask) -> None:
    assert coverage(lines(shard, 3, place=1)).missing(shard.videos[0]) is None


def test_the_order_of_lines_does_not_matter(shard: ShardTask) -> None:
    shuffled = [line(shard, index, 4) for index in (3, 0, 2)]
    assert coverage(shuffled).missing(shard.videos[0]) == (1,)
