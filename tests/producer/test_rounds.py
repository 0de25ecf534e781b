"""Looking at a job's sources again: what is new, what has changed, and what has an older recipe."""

import pytest
from builders import RECIPE, HandmadeJob, film, line, lines, new_store, overwrite, spec_of

from producer.rounds import new_parts
from schemas.errors import OperatorError
from schemas.job import JobSpec, Selection, Why
from schemas.recipe import KeyframePolicy, Recipe
from schemas.task import ShardTask
from schemas.video import VideoRef
from storage import Store
from storage.job import Job
from storage.ledger import PlanPart


def recipe(gap: float) -> Recipe:
    return RECIPE.model_copy(update={"keyframes": KeyframePolicy(min_gap_seconds=gap)})


FIRST, SECOND, THIRD = spec_of(recipe(1)), spec_of(recipe(2)), spec_of(recipe(3))


def begun(source: Store, job: Job, spec: JobSpec = FIRST) -> JobSpec:
    return job.create_spec(spec.model_copy(update={"sources": (source.url,)}))


def looked(job: Job, spec: JobSpec, why: Why = Why.ADDED) -> list[PlanPart]:
    return list(new_parts(job, spec.model_copy(update={"sources": job.spec().sources}), why=why))


def names(parts: list[PlanPart]) -> list[str]:
    return sorted(video.uri.rpartition("/")[2] for part in parts for task in part.shards for video in task.videos)


def captioned(job: Job, task: ShardTask, spec: JobSpec) -> None:
    records = [line(task, place=place, recipe_id=task.recipe_id) for place in range(len(task.videos))]
    assert job.commit(task, records, spec)


@pytest.fixture
def source() -> Store:
    store = new_store()
    for name in "abcd":
        film(store, f"{name}.mp4")
    return store


@pytest.fixture
def job() -> Job:
    return Job(new_store("run"))


def test_the_first_look_is_the_jobs_own(source: Store, job: Job) -> None:
    begun(source, job)
    assert names(looked(job, FIRST)) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert job.ledger().rounds() == ()
    assert job.plan_complete() is not None


def test_a_later_look_is_for_what_is_new_or_has_changed(source: Store, job: Job) -> None:
    begun(source, job)
    looked(job, FIRST)
    film(source, "e.mp4")
    overwrite(source, "a.mp4", b"cut anew")
    assert names(looked(job, FIRST)) == ["a.mp4", "e.mp4"]
    [later] = job.ledger().rounds()
    assert (later.number, later.why, later.recipe_id) == (1, Why.ADDED, FIRST.recipe_id)
    assert looked(job, FIRST) == []
    assert len(job.ledger().rounds()) == 1


def test_a_version_that_a_redrive_has_taken_up_is_not_new(source: Store, job: Job) -> None:
    begun(source, job)
    [task] = [task for part in looked(job, FIRST) for task in part.shards if task.videos[0].uri.endswith("a.mp4")]
    overwrite(source, "a.mp4", b"cut anew")
    now = VideoRef(uri=task.videos[0].uri, etag=source.head("a.mp4").etag, size_bytes=8)
    job.ask_redrive(task.model_copy(update={"shard_id": f"{task.shard_id}.0", "videos": (now,)}))
    assert looked(job, FIRST) == []


def test_a_look_that_was_begun_goes_on_before_another_begins(job: Job) -> None:
    store = new_store()
    for number in range(40):
        film(store, f"{number:02}.mp4")
    begun(store, job)
    first = next(new_parts(job, FIRST.model_copy(update={"sources": (store.url,)})))
    assert sorted(names([first]) + names(looked(job, FIRST))) == [f"{number:02}.mp4" for number in range(40)]
    assert job.ledger().rounds() == ()


def test_stale_are_the_videos_whose_latest_record_has_an_older_recipe(source: Store, job: Job) -> None:
    """The dead have no record, and what is new has none yet: neither is stale."""
    begun(source, job)
    for task in [task for part in looked(job, FIRST) for task in part.shards]:
        if not task.videos[0].uri.endswith("d.mp4"):
            captioned(job, task, FIRST)
    film(source, "e.mp4")
    found = looked(job, SECOND, Why.STALE)
    assert names(found) == ["a.mp4", "b.mp4", "c.mp4"]
    assert {task.recipe_id for part in found for task in part.shards} == {SECOND.recipe_id}
    assert job.spec_for(SECOND.recipe_id).recipe.keyframes.min_gap_seconds == 2
    assert job.latest_spec().recipe_id == SECOND.recipe_id
    assert looked(job, SECOND, Why.STALE) == []


def test_what_comes_after_a_change_of_recipe_has_the_new_one(source: Store, job: Job) -> None:
    begun(source, job)
    for task in [task for part in looked(job, FIRST) for task in part.shards]:
        captioned(job, task, FIRST)
    looked(job, SECOND, Why.STALE)
    film(source, "e.mp4")
    found = looked(job, SECOND)
    assert names(found) == ["e.mp4"]
    assert found[0].header.recipe_id == SECOND.recipe_id


def test_a_third_recipe_replaces_the_latest_of_each_video_once(source: Store, job: Job) -> None:
    begun(source, job)
    for task in [task for part in looked(job, FIRST) for task in part.shards]:
        captioned(job, task, FIRST)
    again = [task for part in looked(job, SECOND, Why.STALE) for task in part.shards]
    captioned(job, again[0], SECOND)  # the others are not done yet: their latest record is that of the first recipe
    assert names(looked(job, THIRD, Why.STALE)) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


def test_a_version_that_another_one_has_replaced_is_not_stale(source: Store, job: Job) -> None:
    begun(source, job)
    for task in [task for part in looked(job, FIRST) for task in part.shards]:
        captioned(job, task, FIRST)
    overwrite(source, "a.mp4", b"cut anew")
    for task in [task for part in looked(job, FIRST) for task in part.shards]:
        captioned(job, task, FIRST)
    found = looked(job, SECOND, Why.STALE)
    assert names(found) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    [video] = [video for part in found for task in part.shards for video in task.videos if video.uri.endswith("/a.mp4")]
    assert video.etag == source.head("a.mp4").etag


def test_a_job_cannot_go_back_to_a_recipe_that_it_has_left(source: Store, job: Job) -> None:
    begun(source, job)
    for task in [task for part in looked(job, FIRST) for task in part.shards]:
        captioned(job, task, FIRST)
    looked(job, SECOND, Why.STALE)
    with pytest.raises(OperatorError, match=f"went from recipe {FIRST.recipe_id} to {SECOND.recipe_id} and cannot go back"):
        looked(job, FIRST, Why.STALE)


def test_another_recipe_waits_until_the_plan_is_complete(job: Job) -> None:
    store = new_store()
    for number in range(40):
        film(store, f"{number:02}.mp4")
    spec = begun(store, job)
    next(new_parts(job, spec))
    with pytest.raises(OperatorError, match=r"is still being planned with recipe .*: run that launch to its end first"):
        looked(job, SECOND, Why.STALE)


def test_a_look_for_the_stale_does_not_depend_on_how_often_its_producer_died() -> None:
    source, jobs = new_store(), [HandmadeJob(FIRST).job for _ in range(2)]
    handmades = [HandmadeJob(FIRST, source, job) for job in jobs]
    videos = [film(source, f"{number:03}.mp4") for number in range(150)]
    for handmade in handmades:
        tasks = [handmade.task(*videos[first : first + 3]) for first in range(0, 150, 3)]
        handmade.plan(*tasks)
        handmade.complete()
        for task in tasks:
            assert handmade.commit(task, *lines(task, 2), line(task, place=1), line(task, place=2))
    whole, broken = jobs
    looked(whole, SECOND, Why.STALE)
    while next(new_parts(broken, SECOND, why=Why.STALE), None):
        pass
    plans = [
        [(head.header.cursor, head.header.shards, head.sha256) for head in job.ledger().heads() if head.header.round]
        for job in (whole, broken)
    ]
    assert plans[0] == plans[1]
    assert sum(shards for _, shards, _ in plans[0]) > 16


def test_a_limit_is_of_all_looks_together(job: Job) -> None:
    source = new_store()
    for number in range(60):
        film(source, f"{number:02}.mp4")
    limited = begun(source, job, spec_of(recipe(1), selection=Selection(limit=40)))
    assert len(names(looked(job, limited))) == 40
    assert looked(job, limited) == []
    overwrite(source, "07.mp4", b"cut anew")
    overwrite(source, "50.mp4", b"cut anew")
    assert names(looked(job, limited)) == ["07.mp4"]


def test_a_limit_of_a_later_look_holds_over_a_resume(job: Job) -> None:
    source = new_store()
    for number in range(20):
        film(source, f"{number:03}.mp4")
    limited = begun(source, job, spec_of(recipe(1), selection=Selection(limit=100)))
    looked(job, limited)
    for number in range(20, 300):
        film(source, f"{number:03}.mp4")
    while next(new_parts(job, limited), None) and job.plan_complete() is None:
        pass
    assert job.plan_complete().videos == 100


def test_a_limit_leaves_no_video_stale(source: Store, job: Job) -> None:
    limited = begun(source, job, spec_of(recipe(1), selection=Selection(limit=2)))
    looked(job, limited)
    film(source, "0.mp4")
    for task in [task for part in (*job.ledger().parts(), *looked(job, limited)) for task in part.shards]:
        captioned(job, task, limited)
    other = spec_of(recipe(2), selection=Selection(limit=2))
    assert names(looked(job, other, Why.STALE)) == ["0.mp4", "a.mp4", "b.mp4"]


def test_a_changed_video_that_was_redriven_is_not_planned_again(source: Store, job: Job) -> None:
    begun(source, job)
    [shard] = [task for part in looked(job, FIRST) for task in part.shards if task.videos[0].uri.endswith("/a.mp4")]
    overwrite(source, "a.mp4", b"cut anew")
    now = shard.videos[0].model_copy(update={"etag": source.head("a.mp4").etag})
    job.ask_redrive(shard.model_copy(update={"shard_id": f"{shard.shard_id}.0", "videos": (now,)}))
    assert looked(job, FIRST) == []
    overwrite(source, "a.mp4", b"cut once more")
    assert names(looked(job, FIRST)) == ["a.mp4"]
