import pytest
from builders import RECIPE, HandmadeJob, below, letter, line, lines, new_store, spec_of

from fleet.contradictions import duplicates
from fleet.family import Family, families, families_with_letters, fault_of
from schemas.task import ShardTask
from storage.job import Job


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


@pytest.fixture
def shard(handmade: HandmadeJob) -> ShardTask:
    return handmade.shard("a.mp4", "b.mp4")


def only(handmade: HandmadeJob) -> Family:
    [family] = families(handmade.job)
    return family


def live(handmade: HandmadeJob) -> list[tuple[str, int | None]]:
    """Letters that stand: which descendant wrote them, about which frame."""
    root = only(handmade).root
    return sorted(((one.shard_id.removeprefix(root), one.frame_index) for one in only(handmade).live_letters().values()), key=str)


def test_an_empty_job_has_no_families() -> None:
    assert list(families(Job(new_store()))) == []


def test_a_family_holds_a_shard_with_all_below_it(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "1", 1)
    handmade.commit(shard, *lines(shard, 2))
    handmade.bury(letter(shard, place=1))
    handmade.commit(child, line(child))
    family = only(handmade)
    assert (family.root, family.committed) == (shard.shard_id, {shard.shard_id, child.shard_id})
    assert [holder for holder, _ in family.lines] == [child.shard_id, shard.shard_id, shard.shard_id]
    assert [one.place for one in family.letters.values()] == [1]
    assert family.invalid == []


def test_families_come_one_after_the_other_in_the_order_of_their_roots(handmade: HandmadeJob) -> None:
    tasks = [handmade.shard(f"{number}.mp4") for number in range(20)]
    for number, task in enumerate(tasks):
        if number % 3:
            handmade.commit(task, line(task))
        if number % 2 or number % 3 == 0:
            handmade.bury(letter(task))
    assert [family.root for family in families(handmade.job)] == sorted(task.shard_id for task in tasks)


def test_families_with_letters_are_the_same_as_among_all(handmade: HandmadeJob) -> None:
    for number in range(9):
        task = handmade.shard(f"{number}.mp4", f"{number}.mkv")
        handmade.commit(task, line(task))
        if number % 3:
            child = below(task, "1", 1)
            handmade.bury(letter(task, place=1))
            handmade.commit(child, line(child))
    every, some = ({one.root: one for one in found(handmade.job)} for found in (families, families_with_letters))
    assert len(some) == 6
    for root, family in some.items():
        assert (family.lines, family.letters, family.committed) == (every[root].lines, every[root].letters, every[root].committed)


def test_a_letter_stands_until_it_is_answered(handmade: HandmadeJob, shard: ShardTask) -> None:
    handmade.commit(shard, *lines(shard, 2))
    handmade.bury(letter(shard, place=1))
    assert live(handmade) == [("", None)]


def test_lines_of_a_descendant_supersede_a_letter(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "1", 1)
    handmade.bury(letter(shard, place=1))
    handmade.commit(child, *lines(child, 2))
    assert live(handmade) == []


def test_a_letter_of_a_descendant_stands_in_the_place_of_the_one_before(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "1", 1)
    handmade.bury(letter(shard, place=1), letter(child))
    assert live(handmade) == [(".1", None)]
    grandchild = below(shard, "1.0", 1)
    handmade.commit(grandchild, *lines(grandchild, 2))
    assert live(handmade) == []


def test_a_redriven_frame_supersedes_its_own_letter_alone(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "0", only=(1,))
    handmade.commit(shard, line(shard, 0, 3))
    handmade.bury(letter(shard, 1, 3), letter(shard, 2, 3))
    handmade.commit(child, line(child, 1, 3))
    assert live(handmade) == [("", 2)]


def test_a_redriven_frame_that_dies_again_has_one_letter_that_stands(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "0", only=(1,))
    handmade.bury(letter(shard, 1, 3), letter(child, 1, 3))
    assert live(handmade) == [(".0", 1)]


def test_a_redriven_video_that_lost_a_frame_leaves_that_frames_letter(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "1", 1)
    handmade.bury(letter(shard, place=1), letter(child, 1, 2))
    handmade.commit(child, line(child, 0, 2))
    assert live(handmade) == [(".1", 1)]


def test_a_descendant_of_another_place_answers_nothing(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "0", 0)
    handmade.bury(letter(shard, place=1))
    handmade.commit(child, *lines(child, 2))
    assert live(handmade) == [("", None)]


def test_the_shards_own_lines_answer_no_letter_of_its_own(handmade: HandmadeJob, shard: ShardTask) -> None:
    handmade.commit(shard, *lines(shard, 2))
    handmade.bury(letter(shard, 1, 2))
    assert live(handmade) == [("", 1)]


def test_a_whole_video_of_a_new_etag_supersedes_the_letters_of_the_old(handmade: HandmadeJob, shard: ShardTask) -> None:
    newer = shard.videos[0].model_copy(update={"etag": "newer"})
    child = below(shard, "0").model_copy(update={"videos": (newer,)})
    handmade.bury(letter(shard, 4, 5))
    handmade.commit(child, *lines(child, 2))
    assert live(handmade) == []


def test_frames_with_more_than_one_line_are_named_with_their_holders(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "0")
    handmade.commit(shard, *lines(shard, 2))
    handmade.commit(child, line(child, 1, 2))
    [words] = duplicates(only(handmade))
    assert line(shard, 1, 2).frame_id in words
    assert shard.shard_id in words
    assert child.shard_id in words


def test_a_line_that_holds_together_has_no_fault(shard: ShardTask) -> None:
    assert fault_of(line(shard, 1, 2), shard.shard_id) == ""


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"shard_id": "0" * 32}, f"names shard {'0' * 32}"),
        ({"frame_id": "f"}, "frame_id"),
        ({"pts": 7}, "frame_id"),
        ({"frame_index": 5, "frames_chosen": 5}, "frame 5 of only 5"),
    ],
)
def test_a_line_that_contradicts_itself_is_told_how(shard: ShardTask, fields: dict[str, object], says: str) -> None:
    assert says in fault_of(line(shard, 1, 2, **fields), shard.shard_id)


MOODS = {"type": "object", "properties": {"mood": {"enum": ["calm", "tense"]}}, "required": ["mood"]}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"own_schema": True, "annotation": {"mood": "calm"}}, []),
        ({"own_schema": True, "annotation": {"mood": "odd"}}, ["its annotation does not fit the recipe's schema (mood: enum)"]),
        ({}, ["its annotation is of another schema than the recipe's"]),
    ],
)
def test_a_line_is_held_to_the_recipes_own_schema(fields: dict[str, object], says: list[str]) -> None:
    recipe = RECIPE.model_copy(update={"answer": MOODS, "key_order": ("mood",)})
    handmade = HandmadeJob(spec_of(recipe))
    shard = handmade.shard("a.mp4")
    handmade.commit(shard, line(shard, **fields))
    [family] = families(handmade.job)
    assert [words.partition(": ")[2] for words in family.invalid] == says
