"""Another look at the sources of a job that is planned to its end, and jobs of several sources."""

import json
from pathlib import Path

import pytest
from builders import AT, film, new_store, overwrite, spec_of
from planning import bodies, folder, job_of, opened, run, run_interrupted, videos_of

from producer.plan import plan
from schemas.errors import OperatorError
from schemas.job import JobSpec, Round, Why
from storage import Store
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


def twice_named(tmp_path: Path, *, films: int) -> tuple[Store, JobSpec]:
    """A folder, and a manifest that knows its files by other etags."""
    store, rows = new_store(), list[str]()
    for number in range(films):
        video = film(store, f"{number:04}.mp4")
        rows.append(json.dumps({"uri": video.uri, "etag": "another", "size_bytes": 1}) + "\n")
    (tmp_path / "films.jsonl").write_text("".join(rows))
    return store, spec_of(sources=(store.url, str(tmp_path / "films.jsonl")))


def test_another_look_does_not_take_the_second_row_of_a_video_for_a_change_of_it(tmp_path: Path) -> None:
    store, spec = twice_named(tmp_path, films=20)
    job = job_of(spec)
    assert len(videos_of(run(job, spec))) == 20
    overwrite(store, "0007.mp4", b"another cut")
    assert videos_of(list(plan(job, spec, opened(spec), later=again(job, spec)))) == ["0007.mp4"]


def test_another_look_at_sources_that_overlap_does_not_depend_on_how_often_its_producer_died(tmp_path: Path) -> None:
    store, spec = twice_named(tmp_path, films=20)
    whole, broken = job_of(spec), job_of(spec)
    run(whole, spec)
    run(broken, spec)
    for number in range(5, 400, 2):
        overwrite(store, f"{number:04}.mp4", b"another cut")
    run(whole, spec, later=again(whole, spec))
    run_interrupted(broken, spec, later=again(broken, spec))
    assert bodies(broken) == bodies(whole)
    assert whole.plan_complete().videos == 20 + 198
    assert len([key for key in bodies(whole) if "round-00001/part" in key]) == 3


def test_a_look_that_another_producer_began_meanwhile_is_not_gone_on_with_otherwise() -> None:
    store = new_store()
    spec = spec_of(source=store.url)
    job = job_of(spec)
    run(job, spec)
    for number in range(60):
        film(store, f"{number:04}.mp4")
    mine = again(job, spec).model_copy(update={"created_by": "bob"})
    next(plan(job, spec, opened(spec), later=again(job, spec)))
    before = bodies(job)
    with pytest.raises(OperatorError, match=r"Another producer is planning .*: round 1 appeared"):
        next(plan(job, spec, opened(spec), later=mine))
    assert bodies(job) == before


def test_a_folder_that_is_away_is_not_taken_for_one_that_is_read_to_its_end(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for number in range(60):
        (films / f"{number:04}.mp4").write_bytes(b"film")
    spec = spec_of(source=str(films))
    job = job_of(spec)
    next(plan(job, spec, opened(spec)))
    films.rename(tmp_path / "elsewhere")
    with pytest.raises(OperatorError, match="There is no source"):
        run(job, spec)
    (tmp_path / "elsewhere").rename(films)
    assert len(videos_of(run(job, spec))) == 60
