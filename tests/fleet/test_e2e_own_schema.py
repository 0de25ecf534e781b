"""A recipe that brings its own JSON Schema, from the command line to the audit."""

import json
from pathlib import Path

import pytest
from chat_server import ChatServer, completion
from clips import Clip
from fleet_runs import Ended, audited, dead, framefleet, letters, objects, records, unpacked, write_clips

from schemas.answer import misfits
from schemas.reasons import Reason

SCHEMA = {
    "type": "object",
    "properties": {
        "mood": {"enum": ["calm", "tense", "glad"]},
        "things": {"type": "array", "items": {"$ref": "#/$defs/thing"}, "minItems": 1, "maxItems": 3},
        "share_of_sky": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["mood", "things", "share_of_sky"],
    "additionalProperties": False,
    "$defs": {
        "thing": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 20}, "count": {"type": "integer", "minimum": 1}},
            "required": ["name", "count"],
            "additionalProperties": False,
        }
    },
}
RECIPE = """
name = "moods"
key_order = ["things", "mood", "share_of_sky"]
answer_file = "moods.json"
[model]
name = "tiny"
revision = "1"
[prompt]
short_text = "You look at pictures."
long_text = "What is the mood?"
"""
GOOD = json.dumps({"things": [{"name": "lamp", "count": 2}], "mood": "calm", "share_of_sky": 0.25})


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "moods.json").write_text(json.dumps(SCHEMA))
    path = tmp_path / "moods.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), 2, Clip(frames=3, gop=1, seconds_between_frames=2))


def caption(clips: Path, job: Path, recipe: Path, *options: object) -> Ended:
    return framefleet("caption", clips, "--out", job, "--recipe", recipe, "--workers", 1, *options)


def test_lines_carry_the_recipes_own_object_and_an_audit_counts_them(clips: Path, recipe: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    ended = caption(clips, job, recipe, "--engine", "scripted")
    assert ended.status == 0, ended.said
    lines = [json.loads(line) for name, body in objects(job).items() for line in unpacked(name, body).splitlines()]
    assert len(lines) == 6
    for line in lines:
        assert line["own_schema"] is True
        assert list(line["annotation"]) == ["things", "mood", "share_of_sky"]
        assert misfits(line["annotation"], SCHEMA) == []
    assert len({json.dumps(line["annotation"]) for line in lines}) > 1
    assert [record.annotation for record in records(job)] == [line["annotation"] for line in lines]
    assert audited(job).frames == 6
    assert framefleet("audit", job).status == framefleet("status", job).status == 0


def test_an_answer_outside_the_schema_is_a_dead_letter_with_what_was_said(clips: Path, recipe: Path, tmp_path: Path) -> None:
    job, bad = tmp_path / "job", GOOD.replace("calm", "odd")
    with ChatServer(lambda request: completion(GOOD if request.question["seed"] else bad)) as server:
        asked = ("--engine", "openai", "--openai-url", server.url, "--openai-model", "tiny", "--max-frames", 1, "--videos-per-shard", 2)
        assert caption(clips, job, recipe, *asked).status == 0
        assert [(record.usage.rung, record.annotation) for record in records(job)] == [("reseeded", json.loads(GOOD))] * 2
        server.script = lambda _: completion(bad)
        other = tmp_path / "other"
        assert caption(clips, other, recipe, *asked).status == 3
    assert set(dead(other).values()) == {Reason.INVALID_ANSWER}
    assert {letter.raw_answer for letter in letters(other).values()} == {bad}
    assert all("mood: enum" in letter.message for letter in letters(other).values())
    assert audited(other).dead_frames == 2


def test_a_schema_that_is_none_is_refused_before_anything_is_written(clips: Path, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "moods.json").write_text(json.dumps(SCHEMA | {"required": "mood"}))
    ended = caption(clips, tmp_path / "job", recipe, "--engine", "scripted")
    assert ended.status == 1
    assert "answer is no valid JSON Schema at required" in ended.err
    assert not (tmp_path / "job").exists()


def test_the_schema_of_a_recipes_answers_is_printed_with_its_keys_in_order(recipe: Path) -> None:
    ended = framefleet("schema", "annotation", "--recipe", recipe)
    assert list(ended.json["properties"]) == ["things", "mood", "share_of_sky"]
    assert ended.json == SCHEMA
