import pytest
from builders import ANNOTATION, HandmadeJob, below, letter, line, lines, spec_of

from fleet.audit import EXAMPLES, AuditReport, audit
from fleet.reconcile import with_gaps
from schemas.job import SUFFIXES
from schemas.reasons import Reason
from schemas.task import captions_key
from storage.lines import to_lines
from storage.slices import pack


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


def found(handmade: HandmadeJob) -> AuditReport:
    handmade.complete()
    return audit(handmade.job)


@pytest.mark.parametrize("compression", SUFFIXES)
def test_a_job_with_every_frame_captioned_or_dead_is_complete_and_clean(compression: str) -> None:
    handmade = HandmadeJob(spec_of(compression=compression))
    one, two = handmade.shard("a.mp4", "b.mp4"), handmade.shard("c.mp4")
    handmade.commit(one, *lines(one, 3, but=(1,)))
    handmade.bury(letter(one, 1, 3, reason=Reason.ENGINE_REFUSED), letter(one, place=1))
    handmade.commit(two, *lines(two, 2))
    report = found(handmade)
    assert (report.complete, report.clean) == (True, True)
    assert (report.shards, report.videos, report.captioned_videos, report.frames) == (2, 3, 2, 4)
    assert (report.dead_videos, report.dead_frames, report.superseded_letters) == (1, 1, 0)
    assert report.dead_by_reason == {"corrupt": 1, "engine_refused": 1}
    assert report.findings == ()


def test_an_empty_plan_is_complete_and_clean(handmade: HandmadeJob) -> None:
    report = found(handmade)
    assert (report.complete, report.clean, report.videos) == (True, True, 0)


def test_a_job_whose_plan_still_grows_is_not_complete(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task, line(task))
    report = audit(handmade.job)
    assert (report.complete, report.plan_complete, report.clean) == (False, False, True)


def test_a_shard_without_an_object_is_named(handmade: HandmadeJob) -> None:
    done, left = handmade.shard("a.mp4"), handmade.shard("b.mp4")
    handmade.commit(done, line(done))
    report = found(handmade)
    assert (report.uncommitted, report.complete, report.clean) == (1, False, True)
    assert report.findings == (f"uncommitted: shard {left.shard_id} has no object",)


def test_letters_do_not_stand_for_a_commit(handmade: HandmadeJob) -> None:
    handmade.bury(letter(handmade.shard("a.mp4")))
    assert found(handmade).uncommitted == 1


def test_a_descendants_commit_does_not_stand_for_its_roots(handmade: HandmadeJob) -> None:
    child = below(handmade.shard("a.mp4"), "0")
    handmade.commit(child, line(child))
    assert found(handmade).uncommitted == 1


def test_a_video_neither_captioned_nor_dead_is_named(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.commit(task, line(task))
    report = found(handmade)
    assert (report.uncovered, report.complete) == (1, False)
    assert report.findings[0].startswith(f"uncovered: {task.videos[1].uri} of shard {task.shard_id}: the video is neither")


def test_frames_neither_captioned_nor_dead_are_counted(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task, *lines(task, 5, but=(1, 2, 3)))
    handmade.bury(letter(task, 1, 5))
    report = found(handmade)
    assert report.uncovered == 1
    assert "2 of its frames are neither" in report.findings[0]


def test_shards_with_gaps_are_handed_to_who_heals_them(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.commit(task, line(task))
    assert with_gaps(handmade.job, handmade.job.ledger()) == [task]


def test_a_descendant_closes_the_gap(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    child = below(task, "1", 1)
    handmade.commit(task, line(task))
    handmade.commit(child, line(child))
    assert found(handmade).complete


def test_a_frame_with_two_lines_is_a_duplicate_even_across_descendants(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    child = below(task, "0")
    handmade.commit(task, *lines(task, 2))
    handmade.commit(child, line(child, 1, 2))
    report = found(handmade)
    assert (report.duplicates, report.complete, report.clean) == (1, True, False)


def test_a_frame_with_two_lines_in_one_object_is_a_duplicate(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task, line(task), line(task))
    assert found(handmade).duplicates == 1


def test_an_object_that_was_never_planned_is_an_orphan(handmade: HandmadeJob) -> None:
    stranger = handmade.task(handmade.film("x.mp4"))
    handmade.commit(stranger, line(stranger))
    report = found(handmade)
    assert (report.orphans, report.clean) == (1, False)
    assert stranger.shard_id in report.findings[0]


def test_a_letter_of_a_shard_that_was_never_planned_is_an_orphan(handmade: HandmadeJob) -> None:
    handmade.bury(letter(handmade.task(handmade.film("x.mp4"))))
    assert found(handmade).orphans == 1


def test_a_foreign_file_among_the_captions_is_an_orphan(handmade: HandmadeJob) -> None:
    handmade.job.store.create("captions/readme.txt", b"hello")
    assert found(handmade).orphans == 1


def test_a_line_of_a_video_that_the_shard_was_never_given_is_invalid(handmade: HandmadeJob) -> None:
    task, other = handmade.shard("a.mp4"), handmade.film("x.mp4")
    handmade.commit(task, line(task), line(task, video=other))
    report = found(handmade)
    assert (report.invalid, report.clean) == (1, False)
    assert f"a line of {other.uri} lies in shard" in report.findings[0]


def test_a_line_of_another_recipe_is_invalid(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task, line(task, recipe_id="other"))
    assert found(handmade).invalid == 1


@pytest.mark.parametrize("spoiled", ["not json", "{}", '{"schema_version": 2}', ""])
def test_a_line_that_is_none_is_invalid_and_costs_its_neighbours_nothing(handmade: HandmadeJob, spoiled: str) -> None:
    task = handmade.shard("a.mp4")
    key = captions_key(task.shard_id)
    handmade.job.store.create(key, to_lines(lines(task, 2), key=key) + spoiled.encode() + b"\n")
    report = found(handmade)
    assert (report.invalid, report.frames, report.complete, report.clean) == (1, 2, True, False)
    assert f"{key} line 3" in report.findings[0]


def test_a_line_that_contradicts_itself_is_invalid(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task, line(task, frame_id="f" * 32))
    assert found(handmade).invalid == 1


@pytest.mark.parametrize("compression", ["zst", "gz"])
def test_an_object_that_was_cut_is_invalid_and_its_videos_uncovered(compression: str) -> None:
    handmade = HandmadeJob(spec_of(compression=compression))
    task = handmade.shard("a.mp4")
    key = captions_key(task.shard_id, SUFFIXES[compression])
    handmade.job.store.create(key, to_lines(lines(task, 2), key=key)[:-9])
    report = found(handmade)
    assert (report.invalid, report.uncovered, report.uncommitted) == (1, 1, 0)
    assert f"{key} cannot be unpacked" in report.findings[0]


@pytest.mark.parametrize("compression", ["zst", "gz"])
def test_an_object_that_was_spoiled_is_invalid(compression: str) -> None:
    handmade = HandmadeJob(spec_of(compression=compression))
    task = handmade.shard("a.mp4")
    key = captions_key(task.shard_id, SUFFIXES[compression])
    body = bytearray(to_lines(lines(task, 2), key=key))
    body[20:40] = b"\xff" * 20
    handmade.job.store.create(key, bytes(body))
    assert found(handmade).invalid == 1


def test_a_letter_that_is_none_is_invalid(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task, line(task))
    handmade.job.store.create(f"dead/{task.shard_id[:2]}/{task.shard_id}-0.json", b"{}")
    report = found(handmade)
    assert report.invalid == 1
    assert "is no dead letter" in report.findings[0]


def test_a_copy_beside_its_source_is_clean(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    source = line(task, 0, 2)
    handmade.commit(task, source, line(task, 1, 2, copied_from=source.frame_id))
    report = found(handmade)
    assert (report.invalid, report.frames, report.uncovered) == (0, 2, 0)


@pytest.mark.parametrize("fault", ["no source", "a copy of a copy", "of another video", "another text"])
def test_a_copy_that_is_none_is_invalid(handmade: HandmadeJob, fault: str) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    source, copy, other = line(task, 0, 3), line(task, 1, 3), line(task, 0, 1, place=1)
    other_text = ANNOTATION.model_copy(update={"summary": "Other."})
    wrong = {
        "no source": {"copied_from": "0" * 32},
        "a copy of a copy": {"copied_from": copy.frame_id},
        "of another video": {"copied_from": other.frame_id},
        "another text": {"copied_from": source.frame_id, "annotation": other_text},
    }[fault]
    copy = copy.model_copy(update={"copied_from": source.frame_id})
    handmade.commit(task, source, copy, line(task, 2, 3, **wrong), other)
    report = found(handmade)
    assert report.invalid == 1
    assert "frame 2" in report.findings[0]
    assert "is no copy of" in report.findings[0]


def test_a_video_captioned_and_dead_in_one_shard_is_invalid(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.commit(task, line(task), line(task, 0, 2, place=1), line(task, 1, 2, place=1))
    handmade.bury(letter(task), letter(task, 1, 2, place=1))
    report = found(handmade)
    assert report.invalid == 2
    assert all("both captioned and dead" in words for words in report.findings)


def test_a_letter_that_a_descendant_answered_is_superseded_and_no_contradiction(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    child = below(task, "0")
    handmade.commit(task)
    handmade.bury(letter(task))
    handmade.commit(child, *lines(child, 2))
    report = found(handmade)
    assert (report.complete, report.clean) == (True, True)
    assert (report.superseded_letters, report.dead_videos, report.captioned_videos) == (1, 0, 1)
    assert report.dead_by_reason == {}


def test_a_letter_that_was_followed_by_another_counts_once(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    child = below(task, "0")
    handmade.commit(task)
    handmade.commit(child)
    handmade.bury(letter(task, reason=Reason.OBJECT_CHANGED), letter(child, reason=Reason.TRUNCATED))
    report = found(handmade)
    assert (report.superseded_letters, report.dead_videos) == (1, 1)
    assert report.dead_by_reason == {"truncated": 1}


def test_findings_are_spelled_out_up_to_a_bound_and_all_counted(handmade: HandmadeJob) -> None:
    for number in range(EXAMPLES + 5):
        handmade.shard(f"{number}.mp4")
    report = found(handmade)
    assert (report.uncommitted, len(report.findings)) == (EXAMPLES + 5, EXAMPLES)


def test_a_part_of_the_plan_that_was_lost_leaves_the_job_incomplete(handmade: HandmadeJob) -> None:
    for name in ("a.mp4", "b.mp4"):
        task = handmade.shard(name)
        handmade.commit(task, line(task))
    handmade.complete()
    del handmade.job.store._objects["run/plan/part-00001.jsonl.zst"]
    del handmade.job.store._objects[f"run/{captions_key(task.shard_id)}"]
    assert not audit(handmade.job).complete


def test_a_part_of_the_plan_that_was_altered_leaves_the_job_unproven(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.complete()
    part = next(handmade.job.ledger().parts())
    shorter = task.model_copy(update={"videos": task.videos[:1]})
    key = "plan/part-00000.jsonl.zst"
    handmade.job.store._objects[f"run/{key}"] = pack(part.header, [shorter])
    handmade.commit(task, line(task))
    report = audit(handmade.job)
    assert not (report.complete and report.clean)
