import pytest
from builders import ATTEMPT, below, letter, line, lines, overwrite
from shard_trial import BROKEN, BUSY, REFUSED, Trial, frame, frames

from broker.progress import Tally
from schemas.errors import FatalError, TransientError
from schemas.record import Scope
from schemas.video import UNKNOWN_ETAG, VideoRef
from storage import open_store
from workers.keyframe import DeadFrame
from workers.pipeline import ShardRun

pytestmark = pytest.mark.timeout(60)  # a pipeline that waits for what never comes


def both(*names: str) -> list[tuple[str, int]]:
    return [(name, index) for name in names for index in range(2)]


def test_a_shard_is_captioned_and_committed_as_one_object() -> None:
    trial = Trial()
    assert trial.run() == []
    assert trial.captioned() == both("a", "b", "c")
    assert len(trial.events) == 1
    assert trial.proven()


def test_lines_stand_in_the_order_of_videos_and_frames() -> None:
    trial = Trial()
    trial.run()
    assert [record.video for record in trial.records()] == [video for video in trial.shard.videos for _ in range(2)]
    assert [record.frame_index for record in trial.records()] == [0, 1] * 3


@pytest.mark.parametrize("bad", ["a", "b", "c"])
def test_one_bad_video_never_costs_its_neighbours(bad: str) -> None:
    trial = Trial({bad: [BROKEN]})
    trial.run()
    assert trial.captioned() == both(*sorted({"a", "b", "c"} - {bad}))
    assert trial.dead() == [(bad, None, "corrupt")]
    assert trial.letters()[0].place == "abc".index(bad)
    assert trial.proven()


def test_a_video_that_is_gone_changed_or_came_late_is_dead_with_its_reason() -> None:
    trial = Trial()
    store, (a, b, c) = trial.source, trial.shard.videos
    overwrite(store, "a", b"new")
    gone = b.model_copy(update={"uri": f"{store.url}/gone"})
    late = VideoRef(uri=c.uri, etag=UNKNOWN_ETAG, size_bytes=0)
    trial.run(trial.shard.model_copy(update={"videos": (a, gone, late)}))
    assert trial.dead() == [("a", None, "object_changed"), ("c", None, "object_changed"), ("gone", None, "object_gone")]


def test_a_dead_frame_is_a_letter_and_its_neighbours_are_lines() -> None:
    trial = Trial({"a": [frame(0, 3), DeadFrame(1, 3, 1.0, BROKEN), frame(2, 3)]})
    trial.run()
    assert trial.captioned() == [("a", 0), ("a", 2), *both("b", "c")]
    [found] = trial.letters()
    assert (found.scope, found.frame_index, found.frames_chosen, found.pts_seconds) == (Scope.FRAME, 1, 3, 1.0)
    assert trial.proven()


def test_a_frame_the_engine_refuses_is_a_letter() -> None:
    trial = Trial({"a": [frame(0, 2, "no"), frame(1, 2)]}, {"no": REFUSED})
    trial.run()
    assert trial.dead() == [("a", 0, "engine_refused")]
    assert trial.captioned() == [("a", 1), *both("b", "c")]
    assert trial.proven()


def test_a_failure_in_mid_video_makes_letters_for_the_frames_not_reached() -> None:
    trial = Trial({"b": [frame(0, 5), DeadFrame(1, 5, None, REFUSED), frame(2, 5), BROKEN]})
    trial.run()
    assert trial.captioned() == [*both("a"), ("b", 0), ("b", 2), *both("c")]
    assert trial.dead() == [("b", 1, "engine_refused"), ("b", 3, "corrupt"), ("b", 4, "corrupt")]
    assert trial.proven()


def test_a_failure_behind_the_last_frame_costs_nothing() -> None:
    trial = Trial({"a": [*frames(2), BROKEN]})
    trial.run()
    assert trial.captioned() == both("a", "b", "c")
    assert trial.dead() == []


def test_a_shard_of_nothing_but_failures_commits_an_empty_object() -> None:
    trial = Trial({name: [BROKEN] for name in "abc"})
    assert trial.run() == []
    [(name, meta)] = trial.job.committed()
    assert (name, meta.size_bytes) == (trial.shard.shard_id, 0)
    assert len(trial.letters()) == 3
    assert trial.proven()


def test_letters_are_written_after_the_commit() -> None:
    trial = Trial({"a": [BROKEN], "b": [frame(0, 2), BROKEN]})
    trial.run()
    assert [event.partition("/")[0] for event in trial.events] == ["captions", "dead", "dead"]


def test_a_committed_shard_is_not_worked_again() -> None:
    trial = Trial()
    trial.run()
    assert trial.run() == []
    assert [name for name, _ in trial.room.decoder.asked] == ["a", "b", "c"]


def test_a_committed_shard_that_lacks_something_is_healed_by_a_descendant() -> None:
    trial = Trial({"b": [BROKEN]})
    trial.handmade.commit(trial.shard, *lines(trial.shard, 2), *lines(trial.shard, 2, place=2))
    [child] = trial.run()
    assert child == below(trial.shard, "1", 1)
    assert trial.room.decoder.asked == []
    assert trial.run(child) == []
    assert trial.dead() == [("b", None, "corrupt")]
    assert trial.proven()


def test_a_commit_lost_to_another_leaves_its_bytes_and_no_letters() -> None:
    trial = Trial({"a": [frame(0, 2), BROKEN], "b": [BROKEN]})
    theirs = [line(trial.shard, index, 2, place=place, attempts=7) for place in range(3) for index in range(2)]

    def rival(tally: Tally) -> None:
        if tally.requests:
            trial.handmade.commit(trial.shard, *theirs)

    assert ShardRun(trial.shard, trial.job, trial.handmade.spec, trial.room, ATTEMPT, rival).run() == []
    assert trial.records() == theirs
    assert trial.letters() == []
    assert trial.proven()


def test_a_commit_lost_to_another_that_died_before_its_letters_leaves_the_remainder() -> None:
    trial = Trial()

    def rival(tally: Tally) -> None:
        if tally.requests:
            trial.handmade.commit(trial.shard, *lines(trial.shard, 3, but=(1,)), *lines(trial.shard, 1, place=2))

    children = ShardRun(trial.shard, trial.job, trial.handmade.spec, trial.room, ATTEMPT, rival).run()
    assert children == [below(trial.shard, "0", only=(1,)), below(trial.shard, "1", 1)]
    assert trial.letters() == []


@pytest.mark.parametrize("error", [BUSY, FatalError("unfit"), RuntimeError("a bug")], ids=lambda error: type(error).__name__)
def test_an_error_that_is_no_videos_fault_commits_nothing_and_cancels_what_is_in_flight(error: Exception) -> None:
    trial = Trial({"a": [frame(0, 1, "?")], "b": [frame(0, 2), error]}, {"?": None})
    with pytest.raises(type(error)):
        trial.run()
    assert trial.events == []
    assert trial.room.futures[0].cancelled()


@pytest.mark.parametrize("error", [BUSY, FatalError("unfit")], ids=lambda error: type(error).__name__)
def test_an_engine_that_cannot_answer_now_commits_nothing_and_cancels_what_is_in_flight(error: Exception) -> None:
    trial = Trial({"a": [frame(0, 2, "ill"), frame(1, 2)], "c": [frame(0, 1, "?")]}, {"ill": error, "?": None})
    with pytest.raises(type(error)):
        trial.run()
    assert trial.events == []
    assert all(future.done() for future in trial.room.futures)


def test_a_shard_that_was_put_back_is_worked_anew() -> None:
    trial = Trial({"b": [BUSY]})
    with pytest.raises(TransientError):
        trial.run()
    trial.scripts.clear()
    assert trial.run() == []
    assert trial.captioned() == both("a", "b", "c")


def test_a_descendant_captions_only_its_frames() -> None:
    trial = Trial({"a": frames(5)})
    trial.handmade.commit(trial.shard, *lines(trial.shard, 5, but=(1, 3)), *lines(trial.shard, 2, place=1), *lines(trial.shard, 2, place=2))
    child = below(trial.shard, "0", only=(1, 3))
    assert trial.run() == [child]
    assert trial.run(child) == []
    assert trial.room.decoder.asked == [("a", frozenset({1, 3}))]
    assert trial.captioned() == [("a", index) for index in range(5)] + both("b", "c")
    assert trial.proven()


def test_a_descendant_that_fails_in_mid_video_makes_letters_for_its_own_frames_alone() -> None:
    trial = Trial({"a": [*frames(2), BROKEN]})
    trial.scripts["a"] = [frame(1, 5), BROKEN]
    trial.run(below(trial.shard, "0", only=(1, 3)))
    assert trial.captioned() == [("a", 1)]
    assert trial.dead() == [("a", 3, "corrupt")]


def test_a_redriven_video_that_dies_again_names_its_earlier_letters() -> None:
    trial = Trial({"a": [BROKEN]})
    trial.handmade.bury(letter(trial.shard))
    key = next(key for key, _ in trial.job.letters())
    trial.run(below(trial.shard, "0").model_copy(update={"earlier_letters": (key,)}))
    assert [one.earlier for one in trial.letters() if one.shard_id != trial.shard.shard_id] == [(key,)]


def test_progress_counts_frames_videos_and_letters() -> None:
    trial = Trial({"a": [frame(0, 3), DeadFrame(1, 3, 1.0, BROKEN), frame(2, 3, "no")], "b": [BROKEN]}, {"no": REFUSED})
    trial.run()
    total = Tally()
    for tally in trial.tallies:
        total = total.plus(tally)
    assert total == Tally(frames=3, videos=3, dead=3, bytes_read=3, requests=3, object_bytes=3)


def test_the_next_video_is_decoded_while_the_engine_captions_the_one_before() -> None:
    trial = Trial({"a": [frame(0, 1, "?")], "b": [frame(0, 1, "?")], "c": [frame(0, 1), BUSY]}, {"?": None})
    with pytest.raises(TransientError):
        trial.run()
    assert [name for name, _ in trial.room.decoder.asked] == ["a", "b", "c"]


@pytest.fixture
def on_s3(s3_bucket: str) -> Trial:
    """A trial whose videos lie on S3."""
    return Trial(source=open_store(s3_bucket))


def test_a_denied_video_among_readable_ones_is_dead(on_s3: Trial, s3_server) -> None:
    s3_server.denied.add(on_s3.shard.videos[1].uri)
    on_s3.run()
    assert on_s3.dead() == [("b", None, "access_denied")]
    assert on_s3.captioned() == both("a", "c")


def test_a_worker_that_is_denied_everything_commits_nothing(on_s3: Trial, s3_server) -> None:
    s3_server.denied |= {video.uri for video in on_s3.shard.videos}
    on_s3.events.clear()
    with pytest.raises(FatalError, match="s3:GetObject"):
        on_s3.run()
    assert on_s3.events == []
