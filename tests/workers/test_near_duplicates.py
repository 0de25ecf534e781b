"""Keyframes that have the caption of the one before, in a worker's pipeline."""

import pytest
from builders import ANNOTATION, USAGE, below, lines
from shard_trial import BROKEN, BUSY, REFUSED, Scene, Trial, frame, levels

from broker.progress import Tally
from schemas.errors import TransientError
from schemas.recipe import KeyframePolicy
from schemas.record import FrameRecord
from workers.keyframe import DeadFrame
from workers.records import NOTHING_SPENT

WITHIN = KeyframePolicy(duplicate_distance=8)

pytestmark = pytest.mark.timeout(60)  # a pipeline that waits for what never comes


def trial_of(scenes: list[Scene], **answers) -> Trial:
    """A shard whose first video plays these scenes and whose others are empty of meaning."""
    return Trial({"a": scenes, "b": levels(0), "c": levels(0)}, answers, policy=WITHIN)


def copies(trial: Trial) -> dict[int, int | None]:
    """By the index of each captioned frame of the first video, the index of the frame that it was copied from."""
    mine = {record.frame_id: record for record in trial.records() if record.video == trial.shard.videos[0]}
    sources = {record.frame_index: mine.get(record.copied_from or "") for record in mine.values()}
    return {index: source and source.frame_index for index, source in sorted(sources.items())}


def line_of(trial: Trial, index: int) -> FrameRecord:
    return next(record for record in trial.records() if record.video == trial.shard.videos[0] and record.frame_index == index)


def test_a_near_duplicate_is_not_sent_to_the_engine_and_names_its_source() -> None:
    trial = trial_of(levels(10, 12, 18, 100))
    assert trial.run() == []
    assert copies(trial) == {0: None, 1: 0, 2: 0, 3: None}
    assert len(trial.room.futures) == 2 + len("bc")
    assert trial.proven()


def test_a_copy_has_its_own_place_and_the_annotation_of_its_source_and_costs_nothing() -> None:
    trial = trial_of(levels(10, 12))
    trial.run()
    source, copy = line_of(trial, 0), line_of(trial, 1)
    assert (copy.annotation, copy.copied_from, copy.usage, copy.seconds.caption) == (ANNOTATION, source.frame_id, NOTHING_SPENT, 0)
    assert (copy.pts, copy.frame_index, copy.frames_chosen) == (1000, 1, 2)
    assert (source.copied_from, source.usage) == (None, USAGE)


def test_a_slow_drift_does_not_hide_behind_its_small_steps() -> None:
    trial = trial_of(levels(*range(0, 40, 4)))
    trial.run()
    assert copies(trial) == {0: None, 1: 0, 2: 0, 3: None, 4: 3, 5: 3, 6: None, 7: 6, 8: 6, 9: None}


def test_what_was_shown_before_the_last_caption_is_forgotten() -> None:
    trial = trial_of(levels(10, 100, 10))
    trial.run()
    assert copies(trial) == {0: None, 1: None, 2: None}


def test_a_video_copies_nothing_from_the_one_before() -> None:
    trial = trial_of(levels(0))
    trial.run()
    assert [record.copied_from for record in trial.records()] == [None] * 3


def test_without_the_policy_every_frame_is_captioned() -> None:
    trial = Trial()
    trial.run()
    assert {record.copied_from for record in trial.records()} == {None}
    assert len(trial.room.futures) == len(trial.records())


def test_a_dead_frame_between_two_equal_ones_is_a_letter() -> None:
    trial = trial_of([frame(0, 3, level=10), DeadFrame(1, 3, 1.0, BROKEN), frame(2, 3, level=11)])
    trial.run()
    assert copies(trial) == {0: None, 2: 0}
    assert trial.dead() == [("a", 1, "corrupt")]
    assert trial.proven()


def test_copies_die_with_their_source_and_of_the_same_and_the_next_picture_lives() -> None:
    trial = trial_of([*(frame(index, 4, "no", level=10 + index) for index in range(3)), frame(3, 4, level=200)], no=REFUSED)
    trial.run()
    assert trial.dead() == [("a", index, "engine_refused") for index in range(3)]
    assert copies(trial) == {3: None}
    first, second, _ = sorted(trial.letters(), key=lambda letter: letter.frame_index)
    assert first.message.startswith("refused")
    assert "nearly equals frame" in second.message
    assert second.pts_seconds == 1.0
    assert trial.proven()


def test_a_redriven_copy_whose_source_is_elsewhere_is_captioned_and_copied_from() -> None:
    trial = trial_of(levels(10, 11, 12, 13))
    trial.handmade.commit(trial.shard, *lines(trial.shard, 4, but=(1, 3)), *(lines(trial.shard, 1, place=place)[0] for place in (1, 2)))
    assert trial.run(below(trial.shard, "0", only=(1, 3))) == []
    assert copies(trial) == {0: None, 1: None, 2: None, 3: 1}
    assert trial.proven()


def test_copies_count_as_frames_when_their_source_is_captioned() -> None:
    trial = trial_of(levels(10, 11, 12))
    trial.run()
    total = Tally()
    for tally in trial.tallies:
        total = total.plus(tally)
    assert total == Tally(frames=5, videos=3, bytes_read=3, requests=3, object_bytes=3)


def test_an_engine_that_cannot_answer_now_puts_copies_back_too() -> None:
    trial = trial_of([*levels(10, 11, says="ill")], ill=BUSY)
    with pytest.raises(TransientError):
        trial.run()
    assert trial.events == []
