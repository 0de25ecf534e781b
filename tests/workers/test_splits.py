"""A shard that ends its workers is split until one video is left."""

from itertools import count

import pytest
from builders import ATTEMPT, overwrite
from shard_trial import Trial as ShardTrial

from broker.trials import Trial
from fleet.audit import audit
from schemas.reasons import Reason, Stage
from schemas.task import ShardTask, captions_key
from storage.job import Job
from workers.descendants import remainder, split, stand_for
from workers.pipeline import ShardRun
from workers.poison import condemn

GUILTY = Trial(attempts=4, crashes=3, suspect=True, guilty=True, how="SIGSEGV", place=1, stage=Stage.DECODE)


def names(tasks: list[ShardTask]) -> list[tuple[str, list[str]]]:
    return [(task.shard_id.partition(".")[2], [video.uri.rpartition("/")[2] for video in task.videos]) for task in tasks]


def condemned(trial: ShardTrial, task: ShardTask | None = None, *, by: Trial = GUILTY) -> list[ShardTask]:
    run = ShardRun(task or trial.shard, trial.job, trial.handmade.spec, trial.room, ATTEMPT, trial.tallies.append)
    return condemn(run, by)


def halved(trial: ShardTrial, task: ShardTask) -> list[ShardTask]:
    return split(trial.job, task, trial.handmade.spec, why="it crashed", guilty=None)


def test_the_guilty_video_is_parted_from_the_others_without_touching_any_bytes() -> None:
    trial = ShardTrial()
    assert names(condemned(trial)) == [("a", ["b"]), ("b", ["a", "c"])]
    assert trial.room.decoder.asked == []
    assert trial.records() == trial.letters() == []
    assert [(one.shard_id, one.why) for one in trial.job.splits()] == [
        (trial.shard.shard_id, "Alone in its worker it ended it 3 times, the last time by: SIGSEGV.")
    ]


def test_a_shard_whose_guilty_video_is_not_known_falls_into_halves() -> None:
    trial = ShardTrial()
    by = GUILTY.model_copy(update={"place": None})
    assert names(condemned(trial, by=by)) == [("a", ["a"]), ("b", ["b", "c"])]


def test_a_single_guilty_video_is_dead_of_what_it_did() -> None:
    trial = ShardTrial()
    guilty, innocent = condemned(trial)
    assert condemned(trial, guilty, by=GUILTY.model_copy(update={"place": 0})) == []
    assert trial.run(innocent) == []
    [letter] = trial.letters()
    assert (letter.reason, letter.stage, letter.attempts[0].signal) == (Reason.WORKER_CRASHED, Stage.DECODE, "SIGSEGV")
    assert "ended it 3 times" in letter.message
    assert trial.captioned() == [("a", 0), ("a", 1), ("c", 0), ("c", 1)]
    assert trial.proven()


def test_one_whose_workers_vanished_five_times_is_said_to_have_done_that() -> None:
    trial = ShardTrial()
    guilty, _ = condemned(trial)
    vanished = Trial(attempts=6, expiries=5, suspect=True, guilty=True, how="5 claims ran out", place=0, stage=Stage.FETCH)
    condemned(trial, guilty, by=vanished)
    [letter] = trial.letters()
    assert letter.stage is Stage.FETCH
    assert letter.attempts[0].signal == ""
    assert "vanished 5 times" in letter.message


def test_the_split_is_written_before_the_object_that_makes_it_count() -> None:
    trial = ShardTrial()
    condemned(trial)
    assert trial.events == [f"splits/{trial.shard.shard_id}.json", captions_key(trial.shard.shard_id)]


def test_a_split_without_its_object_leaves_the_shard_whole() -> None:
    trial = ShardTrial()
    once = ShardTrial(source=trial.source)
    condemned(once)
    trial.job.write_split(next(once.job.splits()))
    assert stand_for(trial.job, trial.shard.shard_id) == ()
    assert trial.run() == []
    assert trial.proven()


def test_lines_that_somebody_committed_make_the_split_void() -> None:
    trial = ShardTrial()
    trial.run()
    assert condemned(trial) == []
    assert stand_for(trial.job, trial.shard.shard_id) == ()
    assert trial.proven()


def test_a_worker_that_wakes_up_late_loses_the_race_against_the_split() -> None:
    trial = ShardTrial()
    condemned(trial)
    assert names(trial.run()) == [("a", ["b"]), ("b", ["a", "c"])]
    assert trial.records() == []


def test_only_children_that_are_not_done_are_left_open_however_deep() -> None:
    trial = ShardTrial()
    guilty, others = condemned(trial)
    trial.run(guilty)
    assert names(remainder(trial.job, trial.shard)) == [("b", ["a", "c"])]
    left, right = halved(trial, others)
    assert names([left, right]) == [("b.a", ["a"]), ("b.b", ["c"])]
    trial.run(right)
    assert names(remainder(trial.job, trial.shard)) == [("b.a", ["a"])]
    trial.run(left)
    assert remainder(trial.job, trial.shard) == []
    assert trial.proven()


def test_a_child_with_gaps_is_healed_under_its_own_name() -> None:
    trial = ShardTrial()
    guilty, others = condemned(trial)
    trial.run(guilty)
    trial.run(others)
    key = captions_key(others.shard_id)
    overwrite(trial.job.store._store, key, trial.job.store.get(key).splitlines(keepends=True)[0])  # type: ignore[attr-defined]
    assert names(remainder(trial.job, trial.shard)) == [("b.0", ["a"]), ("b.1", ["c"])]


def test_whoever_splits_second_takes_over_the_first_ones_children() -> None:
    trial = ShardTrial()
    first = condemned(trial)
    assert halved(trial, trial.shard) == first


@pytest.mark.parametrize("after", range(3))
def test_a_crash_while_splitting_heals_by_trying_again(after: int) -> None:
    trial = ShardTrial()
    turns = count()

    class Dying:
        """A store whose user dies before a chosen write."""

        url = trial.job.store.url

        def __getattr__(self, name: str) -> object:
            return getattr(trial.job.store, name)

        def create(self, key: str, body: bytes) -> bool:
            if next(turns) == after:
                raise KeyboardInterrupt
            return trial.job.store.create(key, body)

    dying = Job(Dying())  # type: ignore[arg-type]
    try:
        split(dying, trial.shard, trial.handmade.spec, why="it crashed", guilty=None)
    except KeyboardInterrupt:
        assert after < 2
    for child in halved(trial, trial.shard):
        trial.run(child)
    assert audit(trial.job).videos == 3
    assert trial.proven()
