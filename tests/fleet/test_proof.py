import json
from pathlib import Path

import pytest
from builders import AT, RECIPE, HandmadeJob, below, letter, line, lines

from fleet.audit import audit
from fleet.proof import Papers, Proof, differences, proof_of, read_proof
from schemas.errors import OperatorError
from schemas.job import Round, Why
from schemas.recipe import KeyframePolicy
from schemas.task import ShardTask, captions_key, letter_key
from storage.slices import pack


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


@pytest.fixture
def shard(handmade: HandmadeJob) -> ShardTask:
    """A finished job of one shard, with a captioned and a dead video."""
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.commit(task, *lines(task, 3))
    handmade.bury(letter(task, place=1))
    handmade.complete()
    return task


def proven(handmade: HandmadeJob) -> Proof:
    return proof_of(handmade.job, audit(handmade.job))


def test_a_proof_says_what_was_found_and_of_what(handmade: HandmadeJob, shard: ShardTask) -> None:
    proof = proven(handmade)
    [part] = handmade.job.ledger().seals()
    assert (proof.job, proof.recipe_id, proof.plan) == (handmade.job.url, shard.recipe_id, (part,))
    assert (proof.complete, proof.clean, proof.dead_by_reason) == (True, True, {"corrupt": 1})
    assert {name: proof.counts[name] for name in ("shards", "videos", "frames", "objects", "dead_videos", "duplicates")} == {
        "shards": 1,
        "videos": 2,
        "frames": 3,
        "objects": 1,
        "dead_videos": 1,
        "duplicates": 0,
    }


def test_a_proof_names_every_recipe_that_the_job_has_had(handmade: HandmadeJob, shard: ShardTask) -> None:
    then = proven(handmade)
    other = RECIPE.model_copy(update={"keyframes": KeyframePolicy(min_gap_seconds=9)})
    says = {"why": Why.STALE, "created_at": AT, "created_by": "ann", "framefleet": "0.1.0"}
    for number in (1, 2):
        assert handmade.job.create_round(Round(number=number, recipe=other, recipe_id=other.recipe_id, **says))
    now = proven(handmade)
    assert (now.recipe_id, now.later_recipe_ids) == (shard.recipe_id, (other.recipe_id,))
    assert f"later_recipe_ids was () and is ('{other.recipe_id}',)" in list(differences(then, now))


@pytest.mark.usefixtures("shard")
def test_a_job_that_nobody_touched_still_is_what_its_proof_says(handmade: HandmadeJob) -> None:
    then = proven(handmade)
    now = proven(handmade).model_copy(update={"framefleet": "9.9", "job": "s3://elsewhere/copy"})
    assert list(differences(then, now)) == []


@pytest.mark.parametrize("touch", ["a line", "a letter", "a lost object", "a redrive", "the plan"])
def test_whatever_is_touched_is_told(handmade: HandmadeJob, shard: ShardTask, touch: str) -> None:
    then = proven(handmade)
    objects = handmade.job.store._objects
    captions, dead = (f"run/{key}" for key in (captions_key(shard.shard_id), letter_key(shard.shard_id, 1)))
    match touch:
        case "a line":
            objects[captions] = objects[captions].replace(b"A red square.", b"A red circle.")
            says = ["the committed objects are not those that were read"]
        case "a letter":
            objects[dead] = objects[dead].replace(b"It is broken.", b"It is brokem.")
            says = ["the dead letters are not those that were read"]
        case "a lost object":
            del objects[captions]
            says = ["complete was True and is False", "frames was 3 and is 0", "uncommitted was 0 and is 1"]
        case "a redrive":
            child = below(shard, "1", 1)
            handmade.commit(child, line(child))
            says = ["superseded_letters was 0 and is 1", "objects was 1 and is 2"]
        case _:
            [key] = [key for key in objects if "plan/part" in key]
            part = next(handmade.job.ledger().parts())
            objects[key] = pack(part.header.model_copy(update={"cursor": "memory://elsewhere"}), part.shards)
            says = ["plan/part-00000.jsonl.zst of the plan is not what it was"]
    found = list(differences(then, proven(handmade)))
    assert set(says) <= set(found)


@pytest.mark.usefixtures("shard")
def test_a_proof_is_written_and_checked(handmade: HandmadeJob, tmp_path: Path) -> None:
    said: list[str] = []
    file = tmp_path / "proof.json"
    assert Papers(file, None).settle(proven(handmade), say=said.append)
    assert json.loads(file.read_text())["counts"]["frames"] == 3
    assert read_proof(file).complete
    assert Papers(None, file).settle(proven(handmade), say=said.append)
    assert "still is what" in said[-1]


def test_a_check_that_fails_says_in_which_ways(handmade: HandmadeJob, shard: ShardTask, tmp_path: Path) -> None:
    said: list[str] = []
    file = tmp_path / "proof.json"
    Papers(file, None).settle(proven(handmade), say=said.append)
    del handmade.job.store._objects[f"run/{captions_key(shard.shard_id)}"]
    assert not Papers(None, file).settle(proven(handmade), say=said.append)
    assert any("is not what" in words for words in said)
    assert "  frames was 3 and is 0" in said


def test_a_proof_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    file.write_text("{}")
    with pytest.raises(OperatorError, match="never written over"):
        Papers(file, None)


@pytest.mark.parametrize("body", [None, "", "{}", "[]"])
def test_what_is_no_proof_is_refused_before_the_audit(tmp_path: Path, body: str | None) -> None:
    file = tmp_path / "proof.json"
    if body is not None:
        file.write_text(body)
    with pytest.raises(OperatorError, match=r"cannot be read|is no proof"):
        Papers(None, file)


@pytest.mark.usefixtures("shard")
def test_a_proof_that_cannot_be_written_is_an_operators_error(handmade: HandmadeJob, tmp_path: Path) -> None:
    papers = Papers(tmp_path / "nowhere" / "proof.json", None)
    with pytest.raises(OperatorError, match="name another file"):
        papers.settle(proven(handmade), say=print)
