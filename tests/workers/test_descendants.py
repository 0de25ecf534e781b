import pytest
from builders import HandmadeJob, below, letter, line, lines

from schemas.task import ShardTask
from workers.descendants import coverage_of, free_name, remainder


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


@pytest.fixture
def shard(handmade: HandmadeJob) -> ShardTask:
    return handmade.shard("a.mp4", "b.mp4", "c.mp4")


def test_a_free_name_is_the_place_below_the_shard() -> None:
    assert free_name("S", 3, taken=set().__contains__) == "S.3"


def test_a_taken_name_gets_noughts_until_it_is_free() -> None:
    assert free_name("S", 3, taken={"S.3"}.__contains__) == "S.3.0"
    assert free_name("S", 3, taken={"S.3", "S.3.0"}.__contains__) == "S.3.0.0"
    assert free_name("S.3", 0, taken={"S.3", "S.30"}.__contains__) == "S.3.0"


def test_nothing_remains_of_a_shard_that_is_all_captioned_or_dead(handmade: HandmadeJob, shard: ShardTask) -> None:
    handmade.commit(shard, *lines(shard, 2), *lines(shard, 2, place=1, but=(1,)))
    handmade.bury(letter(shard, place=2), letter(shard, 1, 2, place=1))
    assert remainder(handmade.job, shard) == []


def test_a_shard_of_one_stands_for_each_video_without_line_or_letter(handmade: HandmadeJob, shard: ShardTask) -> None:
    handmade.commit(shard, *lines(shard, 2, place=1))
    assert remainder(handmade.job, shard) == [below(shard, "0", 0), below(shard, "2", 2)]


def test_it_stands_only_for_the_frames_that_are_missing(handmade: HandmadeJob, shard: ShardTask) -> None:
    handmade.commit(shard, *lines(shard, 5, but=(1, 2, 4)), *lines(shard, 1, place=1), *lines(shard, 1, place=2))
    handmade.bury(letter(shard, 2, 5))
    assert remainder(handmade.job, shard) == [below(shard, "0", only=(1, 4))]


def test_a_descendant_that_is_committed_leaves_nothing_to_stand_for(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "2", 2)
    handmade.commit(shard, *lines(shard, 1), *lines(shard, 1, place=1))
    handmade.commit(child, *lines(child, 2))
    assert remainder(handmade.job, shard) == []


def test_a_descendant_that_lost_its_letters_gets_a_descendant_of_its_own(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "2", 2)
    handmade.commit(shard, *lines(shard, 1), *lines(shard, 1, place=1))
    handmade.commit(child, *lines(child, 3, but=(2,)))
    assert remainder(handmade.job, child) == [below(shard, "2.0", 2, only=(2,))]
    assert remainder(handmade.job, shard) == [below(shard, "2.0", 2, only=(2,))]


def test_a_descendant_for_some_frames_stands_for_no_others(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "0", only=(1, 2))
    handmade.commit(shard, *lines(shard, 5, but=(1, 2, 3)))
    handmade.commit(child, line(child, 1, 5))
    assert remainder(handmade.job, child) == [below(shard, "0.0", only=(2,))]


def test_a_descendant_that_has_all_its_frames_leaves_the_others_to_its_shard(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "0", only=(1,))
    handmade.commit(shard, *lines(shard, 5, but=(1, 3)))
    handmade.commit(child, line(child, 1, 5))
    assert remainder(handmade.job, child) == []


def test_a_descendant_for_some_frames_of_an_unknown_video_stands_for_just_these(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "0", only=(1, 2))
    handmade.commit(child)
    assert remainder(handmade.job, child) == [below(shard, "0.0", only=(1, 2))]


def test_a_redrive_whose_letters_were_lost_leaves_the_old_letter_standing(handmade: HandmadeJob, shard: ShardTask) -> None:
    handmade.commit(shard, *lines(shard, 1), *lines(shard, 1, place=1))
    handmade.bury(letter(shard, place=2))
    child = below(shard, "2", 2)
    handmade.commit(child)
    assert remainder(handmade.job, child) == []


def test_a_stand_in_keeps_what_its_shard_was_told(handmade: HandmadeJob, shard: ShardTask) -> None:
    told = below(shard, "0").model_copy(update={"earlier_letters": ("dead/x.json",)})
    handmade.commit(told)
    [child] = remainder(handmade.job, told)
    assert (child.earlier_letters, child.recipe_id, child.job) == (("dead/x.json",), shard.recipe_id, shard.job)


def test_the_tenth_place_is_not_mistaken_for_the_first(handmade: HandmadeJob) -> None:
    shard = handmade.shard(*(f"{number:02}.mp4" for number in range(11)))
    handmade.commit(shard, *(line(shard, place=place) for place in range(11) if place not in {1, 10}))
    handmade.commit(below(shard, "10", 10))
    assert [child.shard_id.removeprefix(shard.shard_id) for child in remainder(handmade.job, shard)] == [".1", ".10.0"]


def test_coverage_reads_the_family_and_nobody_else(handmade: HandmadeJob, shard: ShardTask) -> None:
    other = handmade.task(shard.videos[0])
    handmade.commit(other, *lines(other, 2))
    assert coverage_of(handmade.job, shard.shard_id).missing(shard.videos[0]) is None
    assert coverage_of(handmade.job, other.shard_id).missing(shard.videos[0]) == ()
