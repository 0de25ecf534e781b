import threading
import uuid
from pathlib import Path

import pytest
from builders import AT, RECIPE, HandmadeJob, below, letter, line, lines, new_store, spec_of

from schemas.errors import OperatorError
from schemas.job import SUFFIXES, PlanComplete, Round, Selection, Why
from schemas.recipe import Recipe
from schemas.task import captions_key
from storage import open_store
from storage.job import Job, open_job

OTHER = RECIPE.model_copy(update={"key_order": tuple(sorted(RECIPE.key_order))})


@pytest.fixture(params=["memory", "folder"])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return open_job(str(tmp_path / "run") if request.param == "folder" else f"memory://{uuid.uuid4().hex}/run")


def test_an_empty_prefix_is_no_job(job: Job) -> None:
    assert not job.exists()
    with pytest.raises(OperatorError, match=r"There is no job at .*run: it has no job\.json"):
        job.spec()


def test_a_spec_is_read_as_it_was_written(job: Job) -> None:
    assert job.create_spec(spec_of()) == spec_of() == job.spec()
    assert job.exists()


def test_asking_the_same_again_keeps_the_spec_that_stands(job: Job) -> None:
    job.create_spec(spec_of())
    assert job.create_spec(spec_of(created_by="bob")).created_by == "ann"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"source": "memory://x"}, "its source is memory://clips, not memory://x"),
        ({"compression": "gz"}, "its compression is none, not gz"),
        ({"videos_per_shard": 9}, "its videos_per_shard is 0, not 9"),
        ({"selection": Selection(limit=3)}, r"its selection\.limit is 0, not 3"),
    ],
)
def test_other_work_is_refused_by_what_differs(job: Job, fields: dict[str, object], says: str) -> None:
    job.create_spec(spec_of())
    with pytest.raises(OperatorError, match=f"holds another job: {says}\\. Use another output"):
        job.create_spec(spec_of(**fields))


def test_another_recipe_is_refused_by_its_id(job: Job) -> None:
    job.create_spec(spec_of())
    with pytest.raises(OperatorError, match=rf"{RECIPE.recipe_id}.*, not .*{OTHER.recipe_id}\)\. Use another output, or .* --only-stale"):
        job.create_spec(spec_of(OTHER))


def test_all_differences_are_named_together(job: Job) -> None:
    job.create_spec(spec_of())
    with pytest.raises(OperatorError, match=r"its source is .*; its compression is"):
        job.create_spec(spec_of(source="memory://x", compression="gz"))


def test_a_spec_of_another_version_is_refused_with_its_place(job: Job) -> None:
    job.store.create("job.json", spec_of().model_dump_json().replace('"schema_version":1', '"schema_version":2').encode())
    with pytest.raises(OperatorError, match=r"run/job\.json was written by another version"):
        job.spec()


def test_a_plan_is_complete_once_it_is_said_to_be(job: Job) -> None:
    assert job.plan_complete() is None
    complete = PlanComplete(parts=(), shards=0, videos=0, skipped={"excluded": 1})
    job.complete_plan(complete)
    assert job.plan_complete() == complete


def later(recipe: Recipe, number: int = 1) -> Round:
    return Round(
        number=number, why=Why.STALE, recipe=recipe, recipe_id=recipe.recipe_id, created_at=AT, created_by="bob", framefleet="0.1.0"
    )


def test_shards_have_the_recipe_of_their_round(job: Job) -> None:
    job.create_spec(spec_of())
    assert job.create_round(later(OTHER))
    assert not job.create_round(later(RECIPE))
    assert [job.spec_for(recipe.recipe_id).recipe for recipe in (RECIPE, OTHER)] == [RECIPE, OTHER]
    with pytest.raises(OperatorError, match="has no recipe ffff"):
        job.spec_for("ffff")


def test_who_asks_again_asks_for_the_latest_recipe(job: Job) -> None:
    job.create_spec(spec_of())
    job.create_round(later(OTHER))
    assert job.create_spec(spec_of(OTHER)).recipe == OTHER
    with pytest.raises(OperatorError, match=f"{OTHER.recipe_id}.*, not .*{RECIPE.recipe_id}"):
        job.create_spec(spec_of())


def test_a_plan_is_complete_once_all_its_rounds_are(job: Job) -> None:
    job.create_spec(spec_of())
    job.complete_plan(PlanComplete(parts=(), shards=2, videos=3, skipped={"excluded": 1}))
    job.create_round(later(OTHER))
    assert job.plan_complete() is None
    job.complete_plan(PlanComplete(parts=(), shards=1, videos=1, skipped={}), number=1)
    assert job.plan_complete() == PlanComplete(parts=(), shards=3, videos=4, skipped={})


def test_one_of_many_racing_commits_wins(job: Job) -> None:
    handmade = HandmadeJob(job=job)
    task = handmade.shard("a.mp4")
    start, won = threading.Barrier(8), []

    def commit(attempt: int) -> None:
        start.wait()
        if handmade.commit(task, line(task, attempts=attempt)):
            won.append(attempt)

    threads = [threading.Thread(target=commit, args=(attempt,)) for attempt in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = won
    assert [record.attempts for record in job.records(task.shard_id)] == [winner]


def test_a_shard_is_committed_once_its_object_is_there(job: Job) -> None:
    handmade = HandmadeJob(job=job)
    task = handmade.shard("a.mp4")
    assert not job.is_committed(task.shard_id, handmade.spec)
    assert handmade.commit(task)
    assert job.is_committed(task.shard_id, handmade.spec)
    assert not job.is_committed(f"{task.shard_id}.0", handmade.spec)
    assert job.records(task.shard_id) == []


@pytest.mark.parametrize("compression", SUFFIXES)
def test_committed_shards_are_listed_by_name_whatever_the_compression(compression: str) -> None:
    handmade = HandmadeJob(spec_of(compression=compression))
    task = handmade.shard("a.mp4")
    child, grandchild = below(task, "0"), below(task, "0.0")
    for one in (task, child, grandchild):
        assert handmade.commit(one, *lines(one, 2))
    names = [task.shard_id, child.shard_id, grandchild.shard_id]
    assert sorted(name for name, _ in handmade.job.committed()) == names
    assert sorted(name for name, _ in handmade.job.committed(child.shard_id)) == names[1:]
    assert [meta.key for name, meta in handmade.job.committed() if name == task.shard_id] == [
        captions_key(task.shard_id, SUFFIXES[compression])
    ]
    assert sorted(handmade.job.records(child.shard_id), key=repr) == sorted(lines(child, 2) + lines(grandchild, 2), key=repr)
    assert [handmade.job.is_committed(name, handmade.spec) for name in names] == [True] * 3


def test_the_lines_of_an_object_are_read_raw(job: Job) -> None:
    handmade = HandmadeJob(job=job)
    task = handmade.shard("a.mp4")
    handmade.commit(task, *lines(task, 3))
    [(_, meta)] = job.committed()
    assert job.lines(meta) == [record.model_dump_json().encode() for record in lines(task, 3)]


def test_the_first_letter_about_a_video_stands(job: Job) -> None:
    task = HandmadeJob(job=job).shard("a.mp4")
    assert job.write_letter(letter(task, message="first"))
    assert not job.write_letter(letter(task, message="second"))
    assert [found.message for _, found in job.letters()] == ["first"]


def test_letters_are_found_by_their_shard_and_its_descendants(job: Job) -> None:
    handmade = HandmadeJob(job=job)
    task, other = handmade.shard("a.mp4"), handmade.shard("b.mp4")
    child = below(task, "0")
    for one in (letter(task), letter(child, 2, 5), letter(other)):
        job.write_letter(one)
    root = f"dead/{task.shard_id[:2]}/{task.shard_id}"
    assert [key for key, _ in job.letters(task.shard_id)] == [f"{root}-0.json", f"{root}.0-0.2.json"]
    assert len(list(job.letters())) == 3


def test_redrives_that_were_asked_for_are_read_back(job: Job) -> None:
    task = below(HandmadeJob(job=job).shard("a.mp4", "b.mp4"), "1", place=1, only=(2,))
    job.ask_redrive(task)
    job.ask_redrive(task)
    assert list(job.redrives()) == [task]


def test_a_job_is_named_by_its_prefix() -> None:
    store = new_store("below/it")
    assert Job(store).url == store.url == open_store(store.url).url


def test_a_recipe_of_the_same_name_is_told_apart_by_its_keyframes(job: Job) -> None:
    job.create_spec(spec_of())
    fewer = RECIPE.model_copy(update={"keyframes": RECIPE.keyframes.model_copy(update={"max_per_video": 3})})
    most = RECIPE.keyframes.max_per_video
    with pytest.raises(OperatorError, match=rf"its keyframes\.max_per_video is {most}, not 3; its recipe is test"):
        job.create_spec(spec_of(fewer))


def test_a_recipe_that_was_left_is_refused_with_the_latest(job: Job) -> None:
    job.create_spec(spec_of())
    assert job.create_round(later(OTHER))
    assert job.recipe_ids() == (RECIPE.recipe_id, OTHER.recipe_id)
    with pytest.raises(OperatorError, match=rf"left that recipe .* ask with the latest, test \({OTHER.recipe_id}\)") as said:
        job.create_spec(spec_of())
    assert "--only-stale" not in str(said.value)
    assert job.create_spec(spec_of(OTHER)).recipe_id == OTHER.recipe_id
