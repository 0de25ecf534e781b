import pytest
from builders import RECIPE, film, new_store
from pydantic import ValidationError

from schemas.recipe import ImageSize, KeyframePolicy, ModelRef, Prompt, Recipe, SamplingParams, house_recipes, load_recipe
from schemas.task import ShardTask, captions_key, letter_key, redrive_key, root_of, shard_id
from schemas.video import UNKNOWN_ETAG, VideoRef, frame_id

VIDEO = VideoRef(uri="s3://b/v.mp4", etag="e", size_bytes=9)
ID = "0123456789abcdef0123456789abcdef"
HOUSE_IDS = {"opencv": "16647ffb1f980fd5dc5a51691a035a02", "vidcap-12b": "344f7ed881eee8a0bfc45b21afa64edb"}
OWN = {"type": "object", "properties": {"mood": {"type": "string"}, "place": {"type": "object", "properties": {"a": {}, "b": {}}}}}
DECIDING = {
    ("model", "name"): "other",
    ("model", "revision"): "2",
    ("model", "quantization"): "fp8",
    ("model", "engine"): {"mm_processor_kwargs": {"max_pixels": 802816}},
    ("prompt", "short_text"): "Be brief!",
    ("prompt", "long_text"): "Describe!",
    ("prompt", "role_order"): "long-is-system",
    ("key_order",): tuple(sorted(RECIPE.key_order)),
    ("answer",): OWN,
    ("sampling", "temperature"): 0.2,
    ("sampling", "top_p"): 0.9,
    ("sampling", "seed"): 1,
    ("sampling", "max_tokens"): 1000,
    ("sampling", "extra"): {"repetition_penalty": 1.05},
    ("keyframes", "min_gap_seconds"): 0.0,
    ("keyframes", "max_per_video"): 0,
    ("keyframes", "scene_threshold"): 27.0,
    ("keyframes", "duplicate_distance"): 8.0,
    ("image", "max_width"): 448,
    ("image", "max_height"): 448,
    ("image", "jpeg_quality"): 80,
}


def leaves() -> set[tuple[str, ...]]:
    """Every field of a recipe but its name, those of its parts one by one."""
    parts = {"model": ModelRef, "prompt": Prompt, "sampling": SamplingParams, "keyframes": KeyframePolicy, "image": ImageSize}
    of_parts = {(part, name) for part, kind in parts.items() for name in kind.model_fields}
    return of_parts | {(name,) for name in Recipe.model_fields if name not in parts and name != "name"}


def changed(path: tuple[str, ...], value: object) -> Recipe:
    table = RECIPE.model_dump(exclude={"key_order"} if path == ("answer",) else None)
    place = table
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return Recipe.model_validate(table)


def test_every_field_of_a_recipe_but_its_name_is_tried_here() -> None:
    assert leaves() == set(DECIDING)


@pytest.mark.parametrize("path", DECIDING, ids=".".join)
def test_whatever_decides_an_answer_changes_the_recipes_id(path: tuple[str, ...]) -> None:
    assert changed(path, DECIDING[path]).recipe_id != RECIPE.recipe_id


def test_a_recipes_own_name_decides_nothing() -> None:
    assert changed(("name",), "other").recipe_id == RECIPE.recipe_id


def test_whole_and_decimal_numbers_make_one_recipe() -> None:
    assert changed(("keyframes", "min_gap_seconds"), 2).recipe_id == changed(("keyframes", "min_gap_seconds"), 2.0).recipe_id


def test_a_recipe_keeps_its_id_over_json() -> None:
    assert Recipe.model_validate_json(RECIPE.model_dump_json()).recipe_id == RECIPE.recipe_id


def test_a_recipes_id_stays_what_it_was_in_earlier_versions() -> None:
    assert RECIPE.recipe_id == "c00fec8e6c209b440bd39ae5442bea47"


def test_what_the_house_recipes_ask_has_the_ids_it_always_had() -> None:
    assert {name: load_recipe(name).recipe_id for name in HOUSE_IDS} == HOUSE_IDS


def test_house_recipes_all_ask_for_something_else() -> None:
    assert len({load_recipe(name).recipe_id for name in house_recipes()}) == len(house_recipes())


def test_the_order_of_keys_in_an_own_schema_decides_an_answer_at_any_depth() -> None:
    place = {"type": "object", "properties": {"b": {}, "a": {}}}
    other = OWN | {"properties": OWN["properties"] | {"place": place}}
    assert changed(("answer",), OWN).recipe_id != changed(("answer",), other).recipe_id
    assert changed(("answer",), OWN).recipe_id != changed(("answer",), OWN).model_copy(update={"key_order": ("place", "mood")}).recipe_id


def test_a_recipe_with_an_own_schema_keeps_its_id_over_json() -> None:
    recipe = changed(("answer",), OWN)
    again = Recipe.model_validate_json(recipe.model_dump_json())
    assert (again, again.recipe_id) == (recipe, recipe.recipe_id)


def test_a_shard_is_named_by_its_recipe_and_its_videos_in_order() -> None:
    a, b = (VIDEO.model_copy(update={"uri": uri}) for uri in ("s3://b/a", "s3://b/b"))
    assert shard_id("r", [a, b]) == shard_id("r", (a, b))
    assert len({shard_id("r", [a, b]), shard_id("r", [b, a]), shard_id("r", [a]), shard_id("q", [a, b])}) == 4


def test_a_shards_name_follows_the_etag_and_not_the_size() -> None:
    assert shard_id("r", [VIDEO]) != shard_id("r", [VIDEO.model_copy(update={"etag": "f"})])
    assert shard_id("r", [VIDEO]) == shard_id("r", [VIDEO.model_copy(update={"size_bytes": 1})])


def test_names_do_not_run_into_each_other() -> None:
    one = [VideoRef(uri="a", etag="bc", size_bytes=0)]
    other = [VideoRef(uri="ab", etag="c", size_bytes=0)]
    assert shard_id("r", one) != shard_id("r", other)


def test_a_frame_is_named_by_its_video_stream_and_time() -> None:
    ids = [frame_id(VIDEO, stream_index=0, pts=0), frame_id(VIDEO, stream_index=1, pts=0), frame_id(VIDEO, stream_index=0, pts=1)]
    ids += [frame_id(VIDEO.model_copy(update={field: "x"}), stream_index=0, pts=0) for field in ("uri", "etag")]
    assert len(set(ids)) == 5
    assert ids[0] == frame_id(VIDEO, stream_index=0, pts=0)
    assert len(ids[0]) == 32


def test_a_shards_objects_lie_under_the_first_byte_of_its_root() -> None:
    assert captions_key(f"{ID}.3.0", ".zst") == f"captions/01/{ID}.3.0.jsonl.zst"
    assert letter_key(f"{ID}.3", 0) == f"dead/01/{ID}.3-0.json"
    assert letter_key(ID, 2, 7) == f"dead/01/{ID}-2.7.json"
    assert redrive_key(f"{ID}.3") == f"redrives/{ID}.3.json"
    assert root_of(f"{ID}.3.0") == root_of(ID) == ID


@pytest.mark.parametrize("name", ["", "abc", ID.upper(), f"{ID}.", f"{ID}..1", f"{ID}/x", f"{ID}.A", f"{ID}\n", f"../{ID}"])
def test_a_task_refuses_a_shard_id_that_is_none(name: str) -> None:
    with pytest.raises(ValidationError, match="shard_id"):
        ShardTask(job="memory://j", shard_id=name, recipe_id="r", videos=(VIDEO,))


def test_a_task_without_videos_is_refused() -> None:
    with pytest.raises(ValidationError, match="videos"):
        ShardTask(job="memory://j", shard_id=ID, recipe_id="r", videos=())


def test_no_store_gives_the_etag_that_means_unknown() -> None:
    assert UNKNOWN_ETAG == "?"
    assert film(new_store(), "v.mp4").etag != UNKNOWN_ETAG
