"""What an audit makes of a family that contradicts itself."""

import pytest
from builders import HandmadeJob, below, letter, line, lines

from fleet.audit import AuditReport, audit
from schemas.reasons import Reason
from schemas.task import ShardTask, captions_key


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


def found(handmade: HandmadeJob) -> AuditReport:
    handmade.complete()
    return audit(handmade.job)


def captioned(handmade: HandmadeJob, task: ShardTask) -> None:
    """Commit one line for each video."""
    handmade.commit(task, *(line(task, place=place) for place in range(len(task.videos))))


def test_a_frame_index_that_two_different_frames_claim_is_a_duplicate(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    child = below(task, "0")
    handmade.commit(task, *lines(task, 2))
    other = line(child, 5, 6)
    handmade.commit(child, other.model_copy(update={"frame_index": 1, "frames_chosen": 2}))
    report = found(handmade)
    assert report.duplicates == 1
    assert f"frame 1 of {task.videos[0].uri} is two different frames" in report.findings[0]


def test_lines_that_count_different_numbers_of_frames_prove_nothing(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    handmade.commit(task, line(task, 0, 3), line(task, 1, 2))
    report = found(handmade)
    assert report.invalid == 1
    assert "speak of 2 and of 3 frames" in report.findings[0]


def test_a_video_captioned_in_two_planned_shards_is_a_duplicate(handmade: HandmadeJob) -> None:
    video, other = handmade.film("a.mp4"), handmade.film("b.mp4")
    one, two = handmade.task(video), handmade.task(other, video)
    handmade.plan(one, two)
    captioned(handmade, one)
    captioned(handmade, two)
    report = found(handmade)
    assert (report.duplicates, report.complete) == (1, True)
    assert f"{video.uri} is captioned in shards" in report.findings[0]


def test_a_letter_for_a_frame_that_was_captioned_before_is_told(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    child = below(task, "0", only=(1,))
    handmade.commit(task, *lines(task, 3))
    handmade.commit(child)
    handmade.bury(letter(child, 1, 3))
    report = found(handmade)
    assert (report.invalid, report.clean) == (1, False)
    assert f"frame 1 of {task.videos[0].uri} is captioned in shard {task.shard_id} and dead in {child.shard_id}" in report.findings[0]


def test_a_letter_for_a_video_of_which_every_frame_was_captioned_before_is_told(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    child = below(task, "0")
    handmade.commit(task, *lines(task, 3))
    handmade.commit(child)
    handmade.bury(letter(child))
    report = found(handmade)
    assert report.invalid == 1
    assert "every frame of" in report.findings[0]


def test_a_redrive_of_dead_frames_that_finds_the_object_gone_contradicts_nothing(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    child = below(task, "0", only=(1,))
    handmade.commit(task, *lines(task, 3, but=(1,)))
    handmade.bury(letter(task, 1, 3))
    handmade.job.ask_redrive(child)
    handmade.commit(child)
    handmade.bury(letter(child, reason=Reason.OBJECT_GONE))
    report = found(handmade)
    assert (report.complete, report.clean, report.findings) == (True, True, ())


def test_a_letter_that_a_redrive_answered_is_void_and_explained(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4")
    child = below(task, "0", only=(1,))
    handmade.commit(task, *lines(task, 3, but=(1,)))
    handmade.bury(letter(task, 1, 3))
    handmade.commit(child, line(child, 1, 3))
    report = found(handmade)
    assert (report.superseded_letters, report.dead_frames, report.clean) == (1, 0, True)


def test_a_letter_of_a_video_that_the_shard_was_never_given_is_invalid(handmade: HandmadeJob) -> None:
    task, other = handmade.shard("a.mp4"), handmade.film("x.mp4")
    captioned(handmade, task)
    handmade.bury(letter(task, video=other))
    assert any(f"a letter of {other.uri} lies in shard" in words for words in found(handmade).findings)


# What was read


def test_the_sum_over_the_objects_changes_with_every_byte(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.commit(task, line(task))
    handmade.bury(letter(task, place=1))
    before, again = found(handmade), found(handmade)
    assert (before.objects, before.objects_sha256, before.letters_sha256) == (1, again.objects_sha256, again.letters_sha256)
    key = f"run/{captions_key(task.shard_id)}"
    handmade.job.store._objects[key] = handmade.job.store._objects[key].replace(b'"width":640', b'"width":641')
    after = found(handmade)
    assert after.clean
    assert after.objects_sha256 != before.objects_sha256
    assert after.letters_sha256 == before.letters_sha256
