import pytest
from builders import HandmadeJob, WatchedStore, below, letter, line, lines, overwrite

from fleet.deadletters import Choice, ask, counted, fields_in, find_letter, live_letters, redrives
from producer.rounds import new_parts
from schemas.errors import OperatorError
from schemas.reasons import Reason, Stage
from schemas.task import Changes, ShardTask, captions_key, letter_key
from storage import Store, open_store, split_uri
from storage.job import Job

ALL = Choice()


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


@pytest.fixture
def shard(handmade: HandmadeJob) -> ShardTask:
    """A committed shard of four videos, of which the last two are dead and the first has two dead frames."""
    task = handmade.shard("a.mp4", "b.mkv", "c.mp4", "d.mp4")
    handmade.commit(task, *lines(task, 5, but=(1, 3)), *lines(task, 2, place=1))
    frames = [letter(task, index, 5, reason=Reason.ENGINE_FAILED, stage=Stage.CAPTION, codec="h264") for index in (3, 1)]
    handmade.bury(*frames, letter(task, place=2, reason=Reason.OBJECT_GONE), letter(task, place=3))
    return task


def names(handmade: HandmadeJob, choice: Choice = ALL) -> list[str]:
    return [task.shard_id.partition(".")[2] for task in redrives(handmade.job, choice)]


def chosen(handmade: HandmadeJob, choice: Choice) -> list[tuple[int, int | None]]:
    return sorted(((one.place, one.frame_index) for _, one in live_letters(handmade.job, choice)), key=str)


def test_all_letters_that_stand_are_shown(handmade: HandmadeJob, shard: ShardTask) -> None:
    assert chosen(handmade, ALL) == [(0, 1), (0, 3), (2, None), (3, None)]
    child = below(shard, "2", 2)
    handmade.commit(child, line(child))
    assert chosen(handmade, ALL) == [(0, 1), (0, 3), (3, None)]


@pytest.mark.usefixtures("shard")
@pytest.mark.parametrize(
    ("choice", "takes"),
    [
        (Choice(reasons=(Reason.OBJECT_GONE,)), [(2, None)]),
        (Choice(reasons=(Reason.OBJECT_GONE, Reason.ENGINE_FAILED)), [(0, 1), (0, 3), (2, None)]),
        (Choice(reasons=(Reason.ENCRYPTED,)), []),
        (Choice(video="*/[cd].mp4"), [(2, None), (3, None)]),
        (Choice(video="*.mkv"), []),
        (Choice(reasons=(Reason.CORRUPT,), video="*/c.mp4"), []),
        (Choice(stages=(Stage.CAPTION,)), [(0, 1), (0, 3)]),
        (Choice(stages=(Stage.PROBE,)), []),
        (Choice(codecs=("h264",)), [(0, 1), (0, 3)]),
        (Choice(codecs=("h264", "unknown")), [(0, 1), (0, 3), (2, None), (3, None)]),
        (Choice(codecs=("unknown",), reasons=(Reason.CORRUPT,)), [(3, None)]),
    ],
)
def test_letters_are_chosen_by_their_fields_and_by_glob(handmade: HandmadeJob, choice: Choice, takes: list[tuple[int, int | None]]) -> None:
    assert chosen(handmade, choice) == takes


def test_a_uri_with_the_signs_of_a_glob_in_it_means_itself(handmade: HandmadeJob) -> None:
    task = handmade.shard("a[1].mp4", "a1.mp4")
    handmade.bury(letter(task), letter(task, place=1))
    assert (0, None) in chosen(handmade, Choice(video=task.videos[0].uri))


@pytest.mark.usefixtures("shard")
def test_a_limit_bounds_what_is_shown(handmade: HandmadeJob) -> None:
    assert [len(chosen(handmade, Choice(limit=limit))) for limit in (1, 3, 9)] == [1, 3, 4]


def test_a_letter_is_found_by_its_key_or_by_a_part_of_it_or_of_its_video(handmade: HandmadeJob, shard: ShardTask) -> None:
    key = letter_key(shard.shard_id, 2)
    for name in (key, f"{shard.shard_id}-2", "c.mp4", shard.videos[2].uri):
        assert find_letter(handmade.job, name)[0] == key


def test_a_whole_name_is_preferred_to_a_part_of_others(handmade: HandmadeJob, shard: ShardTask) -> None:
    handmade.bury(letter(shard))
    name = f"{shard.shard_id}-0"
    assert find_letter(handmade.job, name)[0] == letter_key(shard.shard_id, 0)


def test_an_ambiguous_name_is_answered_with_the_letters_it_means(handmade: HandmadeJob, shard: ShardTask) -> None:
    with pytest.raises(OperatorError, match=f"2 dead letters match 'a.mp4': name one of {letter_key(shard.shard_id, 0, 1)}"):
        find_letter(handmade.job, "a.mp4")


def test_a_name_without_letter_is_answered_with_how_to_see_them(handmade: HandmadeJob) -> None:
    with pytest.raises(OperatorError, match=f"`framefleet dead list {handmade.job.url}`"):
        find_letter(handmade.job, "x.mp4")


def test_a_redrive_is_a_shard_of_one_named_by_its_place(handmade: HandmadeJob, shard: ShardTask) -> None:
    tasks = {task.shard_id: task for task in redrives(handmade.job, Choice(reasons=(Reason.OBJECT_GONE,)))}
    key = letter_key(shard.shard_id, 2)
    assert tasks == {f"{shard.shard_id}.2": below(shard, "2", 2).model_copy(update={"earlier_letters": (key,)})}


def test_the_dead_frames_of_a_video_are_redriven_together_and_alone(handmade: HandmadeJob, shard: ShardTask) -> None:
    [task] = redrives(handmade.job, Choice(reasons=(Reason.ENGINE_FAILED,)))
    assert (task.shard_id, task.videos, task.only_frames) == (f"{shard.shard_id}.0", shard.videos[:1], (1, 3))
    assert task.earlier_letters == (letter_key(shard.shard_id, 0, 1), letter_key(shard.shard_id, 0, 3))


@pytest.mark.usefixtures("shard")
def test_redriving_again_before_the_first_is_done_names_the_same_shards(handmade: HandmadeJob) -> None:
    first = list(redrives(handmade.job, ALL))
    for task in first:
        handmade.job.ask_redrive(task)
    assert list(redrives(handmade.job, ALL)) == first
    assert names(handmade) == ["0", "2", "3"]


def test_another_failure_is_redriven_below_the_first_redrive(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "3", 3)
    handmade.commit(child)
    handmade.bury(letter(child, earlier=(letter_key(shard.shard_id, 3),)))
    [task] = redrives(handmade.job, Choice(video="*/d.mp4"))
    assert task.shard_id == f"{shard.shard_id}.3.0"
    assert task.earlier_letters == (letter_key(shard.shard_id, 3), letter_key(child.shard_id, 0))


def test_a_redrive_that_committed_and_left_nothing_is_not_run_under_its_name_again(handmade: HandmadeJob, shard: ShardTask) -> None:
    handmade.commit(below(shard, "3", 3))
    assert names(handmade, Choice(video="*/d.mp4")) == ["3.0"]


def test_an_answered_letter_is_not_redriven(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "2", 2)
    handmade.commit(child, line(child))
    assert names(handmade) == ["0", "3"]


@pytest.mark.usefixtures("shard")
def test_a_limit_bounds_the_videos_that_are_redriven(handmade: HandmadeJob) -> None:
    assert [len(names(handmade, Choice(limit=limit))) for limit in (1, 2, 9)] == [1, 2, 3]


def test_a_limit_counts_over_shards(handmade: HandmadeJob, shard: ShardTask) -> None:
    other = handmade.shard("e.mp4", "f.mp4")
    handmade.bury(letter(other), letter(other, place=1))
    assert len({task.videos for task in redrives(handmade.job, Choice(limit=4))}) == 4
    assert shard.shard_id != other.shard_id


def test_a_redrive_takes_the_object_as_it_is_now_and_all_of_it(handmade: HandmadeJob, shard: ShardTask) -> None:
    video = shard.videos[0]
    url, key = split_uri(video.uri)
    overwrite(handmade.source, key, b"a new and longer film")
    [task] = redrives(handmade.job, Choice(video=video.uri))
    assert task.videos[0].etag == open_store(url).head(key).etag != video.etag
    assert (task.videos[0].size_bytes, task.only_frames) == (21, None)


def test_a_redrive_of_what_is_gone_keeps_what_was_planned(handmade: HandmadeJob, shard: ShardTask) -> None:
    video = shard.videos[3]
    del handmade.source._objects[split_uri(video.uri)[1]]
    [task] = redrives(handmade.job, Choice(video=video.uri))
    assert task.videos == (video,)


def test_redriving_frames_whose_redrive_found_the_object_gone_redoes_no_other_frame(handmade: HandmadeJob, shard: ShardTask) -> None:
    child = below(shard, "0", only=(1, 3))
    handmade.commit(child)
    handmade.bury(letter(child, reason=Reason.OBJECT_GONE))
    [task] = redrives(handmade.job, Choice(reasons=(Reason.OBJECT_GONE,), video="*/a.mp4"))
    assert task.only_frames == (1, 3)


def test_an_object_that_changed_is_captioned_whole_only_once(handmade: HandmadeJob, shard: ShardTask) -> None:
    video = shard.videos[0]
    overwrite(handmade.source, split_uri(video.uri)[1], b"a new and shorter film")
    [task] = redrives(handmade.job, Choice(video=video.uri))
    handmade.commit(task, *lines(task, 2))
    assert list(redrives(handmade.job, Choice(video=video.uri))) == []


@pytest.mark.usefixtures("shard")
def test_letters_are_counted_by_the_fields_asked_for_the_most_frequent_first(handmade: HandmadeJob) -> None:
    letters = list(live_letters(handmade.job, ALL))
    assert counted(letters, ("reason",)) == [(("engine_failed",), 2), (("corrupt",), 1), (("object_gone",), 1)]
    assert counted(letters, ("codec", "stage")) == [(("h264", "caption"), 2), (("unknown", "decode"), 2)]
    assert counted(letters, ("scope",)) == [(("frame",), 2), (("video",), 2)]


def test_fields_to_count_by_are_named_with_commas_between_them() -> None:
    assert fields_in("reason, stage,codec") == ("reason", "stage", "codec")
    with pytest.raises(OperatorError, match="name some of reason, stage, codec, scope"):
        fields_in("reason,size")


def test_a_letter_after_two_failures_names_both(handmade: HandmadeJob, shard: ShardTask) -> None:
    first = letter_key(shard.shard_id, 3)
    keys = [first]
    for name in ("3", "3.0"):
        [task] = redrives(handmade.job, Choice(video="*/d.mp4"))
        assert (task.shard_id, task.earlier_letters) == (f"{shard.shard_id}.{name}", tuple(keys))
        handmade.commit(task)
        handmade.bury(letter(task, earlier=task.earlier_letters))
        keys.append(letter_key(task.shard_id, 0))
    [(key, standing)] = live_letters(handmade.job, Choice(video="*/d.mp4"))
    assert (key, standing.earlier) == (keys[2], (keys[0], keys[1]))


def test_changes_go_into_the_task_and_into_no_name(handmade: HandmadeJob, shard: ShardTask) -> None:
    gone = Choice(reasons=(Reason.OBJECT_GONE,))
    [plain], [changed] = (redrives(handmade.job, gone, changes) for changes in (Changes(), Changes(max_tokens=900)))
    assert changed == plain.model_copy(update={"changes": Changes(max_tokens=900)})
    assert changed.recipe_id == shard.recipe_id


@pytest.mark.usefixtures("shard")
def test_a_redrive_that_is_under_way_stands_as_it_was_asked(handmade: HandmadeJob) -> None:
    [first] = redrives(handmade.job, Choice(reasons=(Reason.OBJECT_GONE,)))
    [second] = redrives(handmade.job, Choice(reasons=(Reason.OBJECT_GONE,)), Changes(max_tokens=900))
    assert ask(handmade.job, first) == first
    assert ask(handmade.job, second) == first
    assert list(handmade.job.redrives()) == [first]


@pytest.mark.usefixtures("shard")
def test_a_redrive_of_some_frames_while_others_of_the_video_are_under_way_waits_for_them(handmade: HandmadeJob) -> None:
    """Under one name only one of both could commit, and under two names both might caption the same frame."""
    [asked] = redrives(handmade.job, Choice(video="*/a.mp4"))
    part = asked.model_copy(update={"only_frames": (3,)})
    assert ask(handmade.job, asked) == asked
    assert ask(handmade.job, part).only_frames == (1, 3)


def test_only_shards_with_letters_are_read_for_them(handmade: HandmadeJob, shard: ShardTask) -> None:
    for number in range(5):
        other = handmade.shard(f"good-{number}.mp4")
        handmade.commit(other, line(other))
    seen = Reads(handmade.job.store)
    assert len(list(live_letters(Job(seen), ALL))) == 4
    assert {key for key in seen.got if key.startswith("captions/")} == {captions_key(shard.shard_id)}


def test_letters_are_read_as_their_redrives_are_asked_for(handmade: HandmadeJob) -> None:
    """A million of them are not to be in memory, nor to be read before the first is tried."""
    for number in range(5):
        handmade.bury(letter(handmade.shard(f"bad-{number}.mp4")))
    seen = Reads(handmade.job.store)
    tasks = redrives(Job(seen), ALL)
    for number in range(1, 6):
        next(tasks)
        assert len([key for key in seen.got if key.startswith("dead/")]) <= number + 1
    assert next(tasks, None) is None


class Reads(WatchedStore):
    """A store that remembers what was read."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, [])
        self.got: list[str] = []

    def get(self, key: str) -> bytes:
        self.got.append(key)
        return super().get(key)


def test_a_version_that_a_later_look_has_planned_by_itself_is_not_redriven(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    changed, other = task.videos
    handmade.commit(task)
    handmade.bury(letter(task, place=0, reason=Reason.OBJECT_CHANGED), letter(task, place=1))
    overwrite(handmade.source, "a.mp4", b"cut anew")
    assert {one.videos[0].uri for one in redrives(handmade.job, ALL)} == {changed.uri, other.uri}
    handmade.complete()
    sources = {"sources": (handmade.source.url,)}
    handmade.job.store.replace("job.json", handmade.spec.model_copy(update=sources).model_dump_json().encode())
    assert [len(part.shards) for part in new_parts(handmade.job, handmade.spec.model_copy(update=sources))] == [1]
    assert {one.videos[0].uri for one in redrives(handmade.job, ALL)} == {other.uri}


def test_what_died_in_a_later_look_is_redriven_there_and_nowhere_else(handmade: HandmadeJob) -> None:
    """A video died, changed, and died again as it is now: one redrive answers the later letter."""
    task = handmade.shard("a.mp4")
    handmade.commit(task)
    handmade.bury(letter(task, reason=Reason.OBJECT_CHANGED))
    overwrite(handmade.source, "a.mp4", b"cut anew")
    handmade.complete()
    spec = handmade.spec.model_copy(update={"sources": (handmade.source.url,)})
    handmade.job.store.replace("job.json", spec.model_dump_json().encode())
    [added] = [task for part in new_parts(handmade.job, spec) for task in part.shards]
    handmade.commit(added)
    handmade.bury(letter(added))
    assert [one.shard_id for one in redrives(handmade.job, ALL)] == [f"{added.shard_id}.0"]
