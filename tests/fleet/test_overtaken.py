"""Letters that a later look at the sources has made history."""

import pytest
from builders import RECIPE, HandmadeJob, letter, line, overwrite, spec_of

from fleet.audit import audit
from fleet.deadletters import Choice, live_letters, redrives
from fleet.overtaken import Overtaken
from fleet.status import status_of
from producer.rounds import new_parts
from schemas.job import JobSpec, Why
from schemas.reasons import Reason
from schemas.recipe import KeyframePolicy
from schemas.task import ShardTask

OTHER = spec_of(RECIPE.model_copy(update={"keyframes": KeyframePolicy(min_gap_seconds=9)}))


@pytest.fixture
def handmade() -> HandmadeJob:
    """A planned job whose sources can be looked at again."""
    made = HandmadeJob()
    made.shard("a.mp4", "b.mp4", "c.mp4")
    made.complete()
    made.job.store.replace("job.json", made.spec.model_copy(update={"sources": (made.source.url,)}).model_dump_json().encode())
    return made


@pytest.fixture
def shard(handmade: HandmadeJob) -> ShardTask:
    """Its shard: the first video had changed, the second is broken, the third has a line and a dead frame."""
    [task] = handmade.job.ledger().planned("")
    handmade.commit(task, line(task, 0, 2, place=2))
    handmade.bury(letter(task, reason=Reason.OBJECT_CHANGED), letter(task, place=1), letter(task, 1, 2, place=2))
    return task


def looked(handmade: HandmadeJob, spec: JobSpec | None = None, why: Why = Why.ADDED) -> list[ShardTask]:
    asked = (spec or handmade.spec).model_copy(update={"sources": (handmade.source.url,)})
    return [task for part in new_parts(handmade.job, asked, why=why) for task in part.shards]


def stand(handmade: HandmadeJob) -> list[str]:
    """The videos that have a letter that stands, as each who tells of letters has it."""
    named = sorted(found.video.uri[-5:] for _, found in live_letters(handmade.job, Choice()))
    assert sum(status_of(handmade.job, None).dead_by_reason.values()) == len(named)
    report = audit(handmade.job)
    assert (report.dead_videos + report.dead_frames, sum(report.dead_by_reason.values())) == (len(named), len(named))
    assert report.superseded_letters == len(list(handmade.job.letters())) - len(named)
    return named


@pytest.mark.usefixtures("shard")
def test_a_letter_about_a_version_that_was_planned_anew_stands_no_more(handmade: HandmadeJob) -> None:
    assert stand(handmade) == ["a.mp4", "b.mp4", "c.mp4"]
    overwrite(handmade.source, "a.mp4", b"cut anew")
    [added] = looked(handmade)
    assert stand(handmade) == ["b.mp4", "c.mp4"]
    handmade.commit(added, line(added))
    assert stand(handmade) == ["b.mp4", "c.mp4"]
    assert [task.videos[0].uri[-5:] for task in redrives(handmade.job, Choice())] == ["b.mp4", "c.mp4"]


@pytest.mark.usefixtures("shard")
def test_what_died_again_in_a_later_look_stands_once(handmade: HandmadeJob) -> None:
    overwrite(handmade.source, "a.mp4", b"cut anew")
    [added] = looked(handmade)
    handmade.commit(added)
    handmade.bury(letter(added, reason=Reason.TRUNCATED))
    assert stand(handmade) == ["a.mp4", "b.mp4", "c.mp4"]
    assert status_of(handmade.job, None).dead_by_reason == {"corrupt": 2, "truncated": 1}


@pytest.mark.usefixtures("shard")
def test_a_dead_frame_of_an_older_recipe_stands_no_more_once_another_is_asked_of_its_video(handmade: HandmadeJob) -> None:
    looked(handmade, OTHER, Why.STALE)
    assert stand(handmade) == ["a.mp4", "b.mp4"]


@pytest.mark.usefixtures("shard")
def test_letters_of_every_look_are_history_after_the_next(handmade: HandmadeJob) -> None:
    for words in (b"cut anew", b"cut once more"):
        overwrite(handmade.source, "a.mp4", words)
        [added] = looked(handmade)
        handmade.commit(added)
        handmade.bury(letter(added, reason=Reason.OBJECT_CHANGED))
    assert [found.shard_id for _, found in live_letters(handmade.job, Choice(reasons=(Reason.OBJECT_CHANGED,)))] == [added.shard_id]


def test_later_looks_that_are_too_long_to_be_read_leave_letters_as_they_are(handmade: HandmadeJob, shard: ShardTask) -> None:
    overwrite(handmade.source, "a.mp4", b"cut anew")
    looked(handmade)
    for most, overtaken in ((0, False), (1, True)):
        with Overtaken(handmade.job.ledger(), most=most) as known:
            assert known.has(letter(shard)) is overtaken
