"""Another look at the sources of a job that is planned to its end, and jobs of several sources."""

from builders import AT, film, new_store, overwrite, spec_of
from planning import bodies, folder, job_of, opened, run, run_interrupted, videos_of

from producer.plan import plan
from schemas.job import JobSpec, Round, Why
from storage.job import Job


def again(job: Job, spec: JobSpec) -> Round:
    """Another look at the sources."""
    return Round(
        number=len(job.ledger().rounds()) + 1,
        why=Why.ADDED,
        recipe=spec.recipe,
        recipe_id=spec.recipe_id,
        created_at=AT,
        created_by="ann",
        framefleet="0.1.0",
    )


def test_another_look_plans_only_what_is_new_or_has_changed() -> None:
    store = new_store()
    for number in range(40):
        film(store, f"{number:04}.mp4")
    spec = spec_of(source=store.url)
    job = job_of(spec)
    run(job, spec)
    film(store, "0040.mp4")
    overwrite(store, "0007.mp4", b"another cut")
    found = list(plan(job, spec, opened(spec), later=again(job, spec)))
    assert sorted(videos_of(found)) == ["0007.mp4", "0040.mp4"]
    complete = job.plan_complete()
    assert (complete.videos, complete.skipped) == (42, {"planned before": 39})
    assert [(head.header.round, head.header.part) for head in job.ledger().heads()] == [(0, 0), (0, 1), (1, 0)]


def test_another_look_that_finds_nothing_leaves_no_trace() -> None:
    spec = spec_of(source=folder(20))
    job = job_of(spec)
    run(job, spec)
    before = bodies(job)
    assert list(plan(job, spec, opened(spec), later=again(job, spec))) == []
    assert bodies(job) == before


def test_another_look_does_not_depend_on_how_often_its_producer_died() -> None:
    store = new_store()
    for number in range(20):
        film(store, f"{number:04}.mp4")
    spec = spec_of(source=store.url)
    whole, broken = job_of(spec), job_of(spec)
    run(whole, spec)
    run(broken, spec)
    for number in range(20, 400, 2):
        film(store, f"{number:04}.mp4")
    run(whole, spec, later=again(whole, spec))
    run_interrupted(broken, spec, later=again(broken, spec))
    assert bodies(broken) == bodies(whole)
    assert len([key for key in bodies(whole) if "round-00001/part" in key]) == 3


def test_the_files_of_several_sources_are_planned_one_source_after_the_other() -> None:
    spec = spec_of(sources=(folder(30), folder(12)))
    whole, broken = job_of(spec), job_of(spec)
    parts = run(whole, spec)
    run_interrupted(broken, spec)
    assert bodies(broken) == bodies(whole)
    assert len(set(videos_of(parts))) == 30
    assert len(videos_of(parts)) == 42
    assert parts[-1].header.cursor == "1:0011.mp4"
