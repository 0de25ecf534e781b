from itertools import chain

import pytest
from builders import ANNOTATION, AT, RECIPE, HandmadeJob, letter, line, spec_of
from pydantic import ValidationError

from schemas import annotation, job, recipe, record, task, video
from schemas.model import Model
from schemas.reasons import ADVICE, Reason
from schemas.record import DeadLetter, FrameRecord
from schemas.task import Changes, ShardTask, Split

KINDS = sorted(
    {
        kind
        for kind in chain.from_iterable(vars(module).values() for module in (annotation, job, recipe, record, task, video))
        if isinstance(kind, type) and issubclass(kind, Model) and kind is not Model
    },
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_model_is_frozen_and_refuses_unknown_keys(kind: type[Model]) -> None:
    assert kind.model_config["frozen"]
    assert kind.model_config["extra"] == "forbid"


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RECIPE.name = "other"


def test_an_unknown_key_is_refused_at_any_depth() -> None:
    spec = spec_of().model_dump(mode="json")
    with pytest.raises(ValidationError, match=r"recipe\.sampling\.top_k"):
        job.JobSpec.model_validate(spec | {"recipe": spec["recipe"] | {"sampling": {"top_k": 1}}})


def test_a_line_and_a_letter_survive_json() -> None:
    shard = HandmadeJob().shard("a.mp4")
    assert FrameRecord.model_validate_json(line(shard).model_dump_json()) == line(shard)
    assert DeadLetter.model_validate_json(letter(shard, 1, 3).model_dump_json()) == letter(shard, 1, 3)


def test_a_line_of_another_schema_version_is_refused() -> None:
    shard = HandmadeJob().shard("a.mp4")
    with pytest.raises(ValidationError, match="schema_version"):
        line(shard, schema_version=2)


def test_the_nine_fields_of_a_line_stand_under_one_key() -> None:
    dumped = line(HandmadeJob().shard("a.mp4")).model_dump()
    assert dumped["annotation"] == ANNOTATION.model_dump()
    assert not set(annotation.FIELDS) & set(dumped)


def test_a_line_with_an_object_of_an_own_schema_survives_json() -> None:
    own = {"mood": "calm", "things": ["a lamp", {"n": 1.5}], "none": None}
    made = line(HandmadeJob().shard("a.mp4"), own_schema=True, annotation=own)
    again = FrameRecord.model_validate_json(made.model_dump_json())
    assert (again, again.annotation) == (made, own)


def test_nine_fields_of_an_own_schema_stay_the_object_that_they_are() -> None:
    own = ANNOTATION.model_dump(mode="json") | {"description": "x" * 5000}
    made = line(HandmadeJob().shard("a.mp4"), own_schema=True, annotation=own)
    assert FrameRecord.model_validate_json(made.model_dump_json()).annotation == own


@pytest.mark.parametrize("fields", [{"summary": ""}, {"mood": "calm"}], ids=str)
def test_nine_fields_that_do_not_fit_are_not_taken_for_somebodys_own(fields: dict[str, str]) -> None:
    annotation = ANNOTATION.model_dump(mode="json") | fields
    with pytest.raises(ValidationError, match=next(iter(fields))):
        line(HandmadeJob().shard("a.mp4"), annotation=annotation)


def test_an_own_annotation_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValidationError, match="annotation"):
        line(HandmadeJob().shard("a.mp4"), own_schema=True, annotation=["calm"])


def test_a_line_from_before_there_were_own_schemas_is_read() -> None:
    made = line(HandmadeJob().shard("a.mp4"))
    again = FrameRecord.model_validate_json(made.model_dump_json(exclude={"own_schema"}))
    assert again == made
    assert again.annotation == ANNOTATION


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_to_do(reason: Reason) -> None:
    assert ADVICE[reason].endswith(".")


def test_no_advice_is_left_over() -> None:
    assert set(ADVICE) == set(Reason)


def test_a_spec_is_the_same_work_whoever_asked_and_whatever_the_recipe_is_called() -> None:
    renamed = RECIPE.model_copy(update={"name": "other"})
    assert spec_of().same_work_as(spec_of(renamed, created_by="bob", framefleet="9"))


@pytest.mark.parametrize(
    "fields", [{"source": "memory://x"}, {"videos_per_shard": 2}, {"compression": "gz"}, {"selection": job.Selection(limit=1)}], ids=str
)
def test_a_spec_that_asks_for_another_output_is_other_work(fields: dict[str, object]) -> None:
    assert not spec_of().same_work_as(spec_of(**fields))


def test_a_task_without_changes_is_written_as_it_always_was() -> None:
    task = HandmadeJob().shard("a.mp4")
    assert set(task.model_dump()) == {"job", "shard_id", "recipe_id", "videos", "only_frames", "earlier_letters"}
    assert '"changes"' not in task.model_dump_json()
    assert ShardTask.model_validate_json(task.model_dump_json()) == task


def test_a_tasks_changes_travel_with_it_and_into_splits() -> None:
    task = HandmadeJob().shard("a.mp4", "b.mp4").model_copy(update={"changes": Changes(max_tokens=900)})
    assert ShardTask.model_validate(task.model_dump(mode="json")) == task
    split = Split(shard_id=task.shard_id, children=(task, task), why="it crashed", at=AT)
    assert Split.model_validate_json(split.model_dump_json()).children[0].changes.max_tokens == 900


@pytest.mark.parametrize("field", Changes.model_fields)
def test_a_change_to_nothing_is_refused(field: str) -> None:
    with pytest.raises(ValidationError):
        Changes.model_validate({field: 0})
