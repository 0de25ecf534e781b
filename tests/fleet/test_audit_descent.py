"""What an audit makes of splits, redrives and orphans."""

import pytest
from builders import AT, HandmadeJob, below, letter, line, spec_of

from fleet.audit import AuditReport, audit
from fleet.reconcile import with_gaps
from schemas.job import SUFFIXES
from schemas.reasons import Reason
from schemas.task import ShardTask, Split, letter_key
from storage.job import Job
from storage.local import LocalStore


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


def found(handmade: HandmadeJob) -> AuditReport:
    handmade.complete()
    return audit(handmade.job)


def split_of(task: ShardTask, *sizes: int) -> Split:
    """Cut a shard's videos, in order, into children of these sizes."""
    videos, children = list(task.videos), []
    for name, size in zip("abc", sizes, strict=False):
        child = task.model_copy(update={"shard_id": f"{task.shard_id}.{name}", "videos": tuple(videos[:size])})
        children.append(child)
        videos = videos[size:]
    return Split(shard_id=task.shard_id, children=tuple(children), why="SIGSEGV", at=AT)


def halved(handmade: HandmadeJob, *names: str) -> tuple[ShardTask, Split]:
    """A shard that was split in two: the split is written down and the object is there and empty."""
    task = handmade.shard(*names)
    split = split_of(task, 1, len(names) - 1)
    handmade.job.write_split(split)
    handmade.commit(task)
    return task, split


def captioned(handmade: HandmadeJob, task: ShardTask) -> None:
    """Commit one line for each video."""
    handmade.commit(task, *(line(task, place=place) for place in range(len(task.videos))))


# Splits


@pytest.mark.parametrize("compression", SUFFIXES)
def test_children_stand_for_a_shard_that_was_split(compression: str) -> None:
    handmade = HandmadeJob(spec_of(compression=compression))
    _, split = halved(handmade, "a.mp4", "b.mp4", "c.mp4")
    for child in split.children:
        captioned(handmade, child)
    report = found(handmade)
    assert (report.complete, report.clean, report.findings) == (True, True, ())
    assert (report.splits, report.void_splits, report.objects, report.captioned_videos) == (1, 0, 3, 3)


def test_a_child_that_was_split_again_and_a_redrive_below_it_are_followed(handmade: HandmadeJob) -> None:
    _, split = halved(handmade, "a.mp4", "b.mp4", "c.mp4")
    one, two = split.children
    captioned(handmade, one)
    again = split_of(two, 1, 1)
    handmade.job.write_split(again)
    handmade.commit(two)
    captioned(handmade, again.children[0])
    handmade.commit(again.children[1])
    handmade.bury(letter(again.children[1], reason=Reason.WORKER_CRASHED))
    redrive = below(again.children[1], "0")
    handmade.job.ask_redrive(redrive)
    captioned(handmade, redrive)
    report = found(handmade)
    assert (report.complete, report.clean, report.findings) == (True, True, ())
    assert (report.splits, report.captioned_videos, report.superseded_letters) == (2, 3, 1)


def test_a_child_without_an_object_leaves_the_job_incomplete_and_its_root_to_be_healed(handmade: HandmadeJob) -> None:
    task, split = halved(handmade, "a.mp4", "b.mp4", "c.mp4")
    captioned(handmade, split.children[0])
    report = found(handmade)
    assert (report.uncommitted, report.uncovered, report.complete, report.clean) == (1, 2, False, True)
    assert f"shard {split.children[1].shard_id}, which stands for a part of {task.shard_id}, has no object" in report.findings[0]
    assert with_gaps(handmade.job, handmade.job.ledger()) == [task]


def test_an_empty_object_without_a_split_stands_for_nothing(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task)
    assert found(handmade).uncovered == 1


def test_a_split_after_the_lines_is_void_and_harmless(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    captioned(handmade, task)
    handmade.job.write_split(split_of(task, 1, 1))
    report = found(handmade)
    assert (report.complete, report.clean, report.splits, report.void_splits) == (True, True, 0, 1)


def test_a_split_before_its_shards_object_counts_as_neither(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.job.write_split(split_of(task, 1, 1))
    report = found(handmade)
    assert (report.splits, report.void_splits, report.uncommitted, report.clean) == (0, 0, 1, True)


def test_a_child_of_a_void_split_is_an_orphan_and_its_lines_are_duplicates(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    captioned(handmade, task)
    split = split_of(task, 1, 1)
    handmade.job.write_split(split)
    captioned(handmade, split.children[0])
    report = found(handmade)
    assert (report.orphans, report.duplicates, report.clean) == (1, 1, False)


def test_children_that_lack_a_video_of_their_shard_are_told(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4", "c.mp4")
    split = split_of(task, 1, 1)
    handmade.job.write_split(split)
    handmade.commit(task)
    for child in split.children:
        captioned(handmade, child)
    report = found(handmade)
    assert (report.invalid, report.uncovered) == (1, 1)
    assert f"the children of {task.shard_id} do not hold its videos" in report.findings[0]


# Redrives


def test_a_redrive_that_was_asked_for_counts_as_planned(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task)
    handmade.bury(letter(task))
    redrive = below(task, "0")
    handmade.job.ask_redrive(redrive)
    report = found(handmade)
    assert (report.uncommitted, report.dead_videos, report.complete) == (1, 1, False)
    assert report.findings == (f"uncommitted: redrive {redrive.shard_id} has no object",)
    captioned(handmade, redrive)
    assert found(handmade).complete


def test_a_redrive_of_a_shard_that_was_never_planned_is_an_orphan(handmade: HandmadeJob) -> None:
    stranger = handmade.task(handmade.film("x.mp4"))
    handmade.job.ask_redrive(below(stranger, "0"))
    report = found(handmade)
    assert (report.orphans, report.uncommitted, report.clean) == (1, 0, False)


def test_a_redrive_of_a_place_that_its_shard_does_not_have_is_an_orphan(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    captioned(handmade, task)
    handmade.job.ask_redrive(below(task, "1"))
    report = found(handmade)
    assert (report.orphans, report.clean) == (1, False)
    assert f"shard {task.shard_id}.1 descends from nothing" in report.findings[0]


def test_a_redrive_of_another_video_is_invalid_and_of_a_new_version_is_not(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.commit(task)
    handmade.bury(letter(task), letter(task, place=1))
    newer = task.videos[0].model_copy(update={"etag": "newer"})
    for child in (below(task, "0").model_copy(update={"videos": (newer,)}), below(task, "1", 0)):
        handmade.job.ask_redrive(child)
        handmade.commit(child)
    report = found(handmade)
    assert report.invalid == 1
    assert f"redrive {task.shard_id}.1 is of another video" in report.findings[0]


@pytest.mark.parametrize(("folder", "what"), [("redrives", "redrive"), ("splits", "split")])
def test_a_redrive_or_split_that_is_none_or_anothers_is_invalid(handmade: HandmadeJob, folder: str, what: str) -> None:
    one, two = handmade.shard("a.mp4", "b.mp4"), handmade.shard("c.mp4", "d.mp4")
    captioned(handmade, one)
    captioned(handmade, two)
    other = below(two, "0") if folder == "redrives" else split_of(two, 1, 1)
    handmade.job.store.create(f"{folder}/{one.shard_id}.json", b"{}")
    handmade.job.store.create(f"{folder}/{one.shard_id}.0.json", other.model_dump_json().encode())
    report = found(handmade)
    assert report.invalid == 2
    assert any(f"is no {what}" in words for words in report.findings)
    assert any(f"speaks of shard {other.shard_id}" in words for words in report.findings)


# Orphans


def test_objects_that_lie_where_none_belongs_are_named_and_change_no_verdict_on_the_rest(handmade: HandmadeJob) -> None:
    one, two = handmade.shard("a.mp4"), handmade.shard("b.mp4")
    captioned(handmade, one)
    body = line(two).model_dump_json().encode() + b"\n"
    wrong = [f"captions/zz/{two.shard_id}.jsonl", f"captions/{one.shard_id[:2]}/{one.shard_id}.jsonl.zst", f"splits/zz/{one.shard_id}.json"]
    for key in wrong:
        handmade.job.store.create(key, body)
    report = found(handmade)
    assert (report.orphans, report.uncommitted, report.frames, report.duplicates) == (3, 1, 1, 0)
    assert {words.split()[1] for words in report.findings if words.startswith("orphans")} == set(wrong)


def test_what_a_killed_writer_left_is_no_object(tmp_path) -> None:
    handmade = HandmadeJob(job=Job(LocalStore(str(tmp_path / "run"))))
    task = handmade.shard("a.mp4")
    captioned(handmade, task)
    handmade.complete()
    for folder in ("captions/ab", "dead/ab", "redrives", "splits"):
        (tmp_path / "run" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / folder / f".{'0' * 32}.part").write_bytes(b'{"half')
    report = audit(handmade.job)
    assert (report.complete, report.clean, report.findings) == (True, True, ())


def test_a_descendant_of_no_video_and_of_no_split_is_an_orphan(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    captioned(handmade, task)
    for name in ("2", "a", "0.1"):
        handmade.commit(below(task, name))
    report = found(handmade)
    assert (report.orphans, report.complete) == (3, True)


def test_a_letter_for_a_place_that_its_shard_does_not_have_is_an_orphan(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    captioned(handmade, task)
    handmade.bury(letter(task, reason=Reason.CORRUPT).model_copy(update={"place": 1, "frame_index": 7, "frames_chosen": 9}))
    report = found(handmade)
    assert report.orphans == 1
    assert f"{letter_key(task.shard_id, 1, 7)} speaks of a place" in report.findings[-1]


def test_a_letter_under_another_ones_key_is_invalid(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.commit(task, line(task))
    handmade.job.store.create(letter_key(task.shard_id, 1), letter(task, 0, 2, place=1).model_dump_json().encode())
    report = found(handmade)
    assert any("is the letter of shard" in words for words in report.findings)
