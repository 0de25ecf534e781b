from datetime import UTC, datetime, timedelta

import pytest
from builders import RECIPE, HandmadeJob, line, lines, overwrite

from fleet.learnt import SPREAD, Learnt, learnt_from, lessons_of, work_from
from schemas.errors import OperatorError
from schemas.record import Usage
from schemas.task import ShardTask
from schemas.video import VideoRef
from schemas.work import Work
from storage.slices import PREFIXES

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def video(name: str, size_bytes: int) -> VideoRef:
    return VideoRef(uri=f"s3://b/{name}", etag=name, size_bytes=size_bytes)


def worked(made: HandmadeJob, one: VideoRef, frames: int) -> ShardTask:
    task = made.task(one)
    made.commit(task, *lines(task, frames))
    return task


def test_a_job_teaches_how_many_frames_a_byte_has_by_suffix():
    made = HandmadeJob()
    for number in range(5):
        worked(made, video(f"{number}.mp4", 1000), frames=10)
        worked(made, video(f"{number}.MKV", 500), frames=20)

    work = learnt_from(made.job)

    assert work.frames_per_byte == {".mkv": pytest.approx(0.04), ".mp4": pytest.approx(0.01)}
    assert work.frames(2000, ".mp4", most=0) == 20


def test_a_video_cut_short_by_the_recipe_does_not_make_frames_rare():
    made = HandmadeJob()
    most = RECIPE.keyframes.max_per_video
    worked(made, video("short.mp4", 1000), frames=10)
    worked(made, video("endless.mp4", 10_000_000), frames=most)
    worked(made, video("endless.ts", 6400), frames=most)

    assert learnt_from(made.job).frames_per_byte == {".mp4": pytest.approx(0.01), ".ts": pytest.approx(most / 6400)}


def test_a_job_without_records_teaches_nothing():
    made = HandmadeJob()

    assert learnt_from(made.job) == made.spec.work


def test_what_records_do_not_tell_stays_as_the_job_had_it():
    made = HandmadeJob()
    known = Work(frames_per_byte={".avi": 0.5, ".mp4": 0.5}, seconds_per_frame=0.2)
    overwrite(made.job.store, "job.json", made.spec.model_copy(update={"work": known}).model_dump_json().encode())
    worked(made, video("a.mp4", 1000), frames=10)

    assert learnt_from(made.job) == known.model_copy(update={"frames_per_byte": {".avi": 0.5, ".mp4": pytest.approx(0.01)}})


def test_prefixes_are_looked_at_evenly_and_no_more_of_them_than_it_takes():
    assert sorted(SPREAD) == list(PREFIXES)
    assert SPREAD[:4] == ("00", "80", "40", "c0")

    made = HandmadeJob()
    for number in range(300):
        task = made.task(video(f"{number}.mp4", 1000))
        made.commit(task, line(task))
    learnt = lessons_of(made.job, most=30)

    assert 30 <= len(learnt.records) < 60
    assert learnt.prefixes < 100


def test_what_a_line_takes_is_told_by_compression():
    made = HandmadeJob()
    worked(made, video("a.mp4", 1000), frames=30)
    learnt = lessons_of(made.job)

    assert learnt.line_bytes("none") == pytest.approx(len(line(learnt_task(learnt)).model_dump_json()) + 1, rel=0.1)
    assert learnt.line_bytes("zst") < learnt.line_bytes("none") / 5


def learnt_task(learnt: Learnt) -> ShardTask:
    one = learnt.records[0]
    return ShardTask(job=one.job, shard_id=one.shard_id, recipe_id=one.recipe_id, videos=(one.video,))


def test_tokens_are_told_where_the_engine_counts_them():
    made = HandmadeJob()
    task = worked(made, video("a.mp4", 1000), frames=1)
    silent = Usage(prompt_tokens=None, image_tokens=None, output_tokens=None, finish_reason="stop", rung="constrained")

    learnt = Learnt()
    learnt.add([line(task), line(task, usage=silent)])

    assert learnt.tokens_per_frame() == {"prompt": 10, "output": 20}


def timed(*times: str, frames: int = 100, commits: int = 10, prefixes: int = 256) -> Learnt:
    made = HandmadeJob()
    learnt = Learnt(commits=commits, prefixes=prefixes, times=list(times))
    learnt.add(lines(made.task(video("a.mp4", 1000)), frames))
    return learnt


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


def test_the_speed_is_that_of_all_accelerators_from_the_first_commit_to_the_last():
    assert timed(at(0), at(700), at(1000)).seconds_per_frame(4) == pytest.approx(4.0)
    assert timed(at(0), at(1000), prefixes=64).seconds_per_frame(4) == pytest.approx(1.0), "a quarter of the prefixes was seen"


def test_no_speed_is_told_where_commits_have_no_times():
    assert timed("", "").seconds_per_frame(4) is None
    assert timed(at(0)).seconds_per_frame(4) is None
    assert timed().seconds_per_frame(4) is None


def test_a_spoiled_line_is_named():
    made = HandmadeJob()
    task = worked(made, video("a.mp4", 1000), frames=1)
    overwrite(made.job.store, f"captions/{task.shard_id[:2]}/{task.shard_id}.jsonl", b"{\n")

    with pytest.raises(OperatorError, match="framefleet audit"):
        lessons_of(made.job)


def test_an_estimates_file_gives_its_work(tmp_path):
    work = Work(frames_per_byte={".mp4": 1e-6})
    alone, estimate = tmp_path / "work.json", tmp_path / "estimate.json"
    alone.write_text(work.model_dump_json())
    estimate.write_text(f'{{"videos": 7, "work": {work.model_dump_json()}}}')

    assert work_from(str(alone)) == work_from(str(estimate)) == work


@pytest.mark.parametrize("text", ["", "[]", '{"videos": 7}', '{"work": {"seconds_per_frame": -1}}', '{"work": 7}'])
def test_a_file_that_says_nothing_of_work_is_refused(tmp_path, text):
    path = tmp_path / "work.json"
    path.write_text(text)

    with pytest.raises(OperatorError, match="framefleet plan --json"):
        work_from(str(path))
    with pytest.raises(OperatorError, match="No such file"):
        work_from(str(tmp_path / "nowhere.json"))
