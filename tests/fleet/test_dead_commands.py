"""The commands about dead letters, as an operator types them."""

import json
from pathlib import Path

import pytest
from builders import AT, RECIPE, HandmadeJob, below, film, letter, line, lines, spec_of
from clips import Clip, bad_files, make
from fleet_runs import everything, framefleet
from typer.testing import CliRunner, Result

from fleet.cli import app
from fleet.dead import asked_for
from fleet.deadletters import Choice, redrives
from schemas.job import Round, Why
from schemas.reasons import Reason, Stage
from schemas.recipe import KeyframePolicy
from schemas.task import ShardTask, letter_key, redrive_key
from storage.job import Job
from storage.local import LocalStore


@pytest.fixture
def handmade(tmp_path: Path) -> HandmadeJob:
    (tmp_path / "in").mkdir()
    return HandmadeJob(source=LocalStore(str(tmp_path / "in")), job=Job(LocalStore(str(tmp_path / "out"))))


@pytest.fixture
def shard(handmade: HandmadeJob) -> ShardTask:
    """A job of three videos, one captioned but for two frames, two dead."""
    task = handmade.shard("a.mp4", "b.mkv", "c.mp4")
    handmade.commit(task, *lines(task, 5, but=(1, 3)))
    frames = [letter(task, index, 5, reason=Reason.ENGINE_FAILED, stage=Stage.CAPTION, codec="h264") for index in (1, 3)]
    handmade.bury(*frames, letter(task, place=1, codec="vp9"), letter(task, place=2, reason=Reason.OBJECT_GONE, stage=Stage.FETCH))
    handmade.complete()
    return task


def dead(handmade: HandmadeJob, command: str, *words: object) -> Result:
    ended = CliRunner().invoke(app, ["dead", command, handmade.job.url, *map(str, words)])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def rows(ended: Result) -> list[list[str]]:
    return [row.split("\t") for row in ended.stdout.splitlines()]


@pytest.mark.usefixtures("shard")
@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), 4),
        (("--reason", "corrupt", "--reason", "object_gone"), 2),
        (("--stage", "caption"), 2),
        (("--codec", "vp9"), 1),
        (("--codec", "unknown"), 1),
        (("--video", "*/a.mp4", "--codec", "h264"), 2),
        (("--limit", 3), 3),
    ],
)
def test_letters_are_listed_by_what_is_asked_of_them(handmade: HandmadeJob, words: tuple[object, ...], shown: int) -> None:
    assert len(rows(dead(handmade, "list", *words))) == shown
    assert len(json.loads(dead(handmade, "list", "--json", *words).stdout)) == shown


@pytest.mark.usefixtures("shard")
def test_letters_are_counted_by_their_fields(handmade: HandmadeJob) -> None:
    ended = dead(handmade, "list", "--by", "reason,stage,codec")
    assert rows(ended) == [
        ["engine_failed", "caption", "h264", "2"],
        ["corrupt", "decode", "vp9", "1"],
        ["object_gone", "fetch", "unknown", "1"],
    ]
    told = json.loads(dead(handmade, "list", "--by", "codec", "--json", "--limit", 1).stdout)
    assert told == [{"codec": "h264", "letters": 2}]
    assert rows(dead(handmade, "list", "--by", "reason", "--stage", "fetch")) == [["object_gone", "1"]]


@pytest.mark.usefixtures("shard")
def test_a_field_that_letters_do_not_have_is_refused_with_those_they_have(handmade: HandmadeJob) -> None:
    ended = framefleet("dead", "list", handmade.job.url, "--by", "size")
    assert ended.status == 1
    assert "name some of reason, stage, codec, scope" in ended.err


def test_a_dry_run_names_what_would_be_tried_and_writes_nothing(handmade: HandmadeJob, shard: ShardTask, tmp_path: Path) -> None:
    before = everything(tmp_path)
    ended = dead(handmade, "redrive", "--dry-run", "--stage", "caption", "--stage", "decode", "--max-tokens", 900, "--rate", 1)
    assert ended.stdout.splitlines() == [
        f"would try {shard.videos[0].uri} as {shard.shard_id}.0",
        f"would try {shard.videos[1].uri} as {shard.shard_id}.1",
    ]
    assert everything(tmp_path) == before


@pytest.mark.parametrize("words", [("--max-tokens", 0), ("--decode-deadline", 0), ("--frame-deadline", -1), ("--rate", -1)])
def test_a_change_that_makes_no_sense_is_refused(handmade: HandmadeJob, words: tuple[object, ...]) -> None:
    assert CliRunner().invoke(app, ["dead", "redrive", handmade.job.url, *map(str, words)]).exit_code == 2


@pytest.mark.usefixtures("shard")
def test_a_replay_wants_to_be_agreed_to(handmade: HandmadeJob) -> None:
    ended = framefleet("dead", "replay", handmade.job.url, "b.mkv")
    assert ended.status == 1
    assert "add --local" in ended.err


def test_a_replay_shows_what_fails_and_what_does_not_and_leaves_the_job_alone(tmp_path: Path) -> None:
    handmade = HandmadeJob(source=LocalStore(str(tmp_path / "in")), job=Job(LocalStore(str(tmp_path / "out"))))
    good = film(handmade.source, "good.mp4", make(Clip()))
    bad = film(handmade.source, "bad.mp4", bad_files()["encrypted.mp4"]())
    task = handmade.task(good, bad)
    handmade.plan(task)
    handmade.commit(task)
    handmade.bury(letter(task), letter(task, place=1, reason=Reason.DECODER_CRASHED))
    before = everything(tmp_path / "out")
    replay = ("dead", "replay", handmade.job.url)

    ended = framefleet(*replay, "bad.mp4", "--local", "--engine", "scripted", "--keep-file", tmp_path / "kept")
    assert ended.status == 3, ended.said
    assert ended.out.startswith("the video: dead, encrypted (probe, h264)\n")
    assert "Supply a clear copy" in ended.out
    assert "0 frames answered, 1 dead letters; nothing was written into the job." in ended.err
    assert (tmp_path / "kept").read_bytes() == (tmp_path / "in" / "bad.mp4").read_bytes()

    ended = framefleet(*replay, f"{task.shard_id}-0", "--local", "--engine", "scripted", "--json")
    assert ended.status == 0, ended.said
    assert {record["frame_index"] for record in ended.json["records"]} == set(range(len(ended.json["records"])))
    assert ended.json["letters"] == []
    assert everything(tmp_path / "out") == before


def test_redrives_are_put_on_record_one_by_one_at_their_pace(handmade: HandmadeJob, shard: ShardTask) -> None:
    tasks = asked_for(handmade.job, redrives(handmade.job, Choice()))
    assert list(handmade.job.redrives()) == []
    first = next(tasks)
    assert [task.shard_id for task in handmade.job.redrives()] == [first.shard_id]
    assert len([first, *tasks]) == len(list(handmade.job.redrives())) == 3
    assert first.shard_id == f"{shard.shard_id}.0"


def test_a_redrive_under_way_is_left_as_it_was_asked_and_told(
    handmade: HandmadeJob, shard: ShardTask, capsys: pytest.CaptureFixture[str]
) -> None:
    first = below(shard, "1", 1)
    assert list(asked_for(handmade.job, [first])) == [first]
    later = first.model_copy(update={"earlier_letters": (letter_key(shard.shard_id, 1),)})
    assert list(asked_for(handmade.job, [later])) == [first]
    assert "is under way as" in capsys.readouterr().err
    assert handmade.job.store.get(redrive_key(first.shard_id)) == first.model_dump_json().encode() + b"\n"


def test_an_audit_is_kept_as_proof_and_checked(handmade: HandmadeJob, shard: ShardTask, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    assert framefleet("audit", handmade.job.url, "--proof", proof).status == 0
    ended = framefleet("audit", handmade.job.url, "--check", proof)
    assert ended.status == 0
    assert "still is what" in ended.err
    child = below(shard, "2", 2)
    handmade.commit(child, line(child))
    ended = framefleet("audit", handmade.job.url, "--check", proof)
    assert ended.status == 1
    assert "superseded_letters was 0 and is 1" in ended.err
    assert framefleet("audit", handmade.job.url, "--proof", proof).status == 1


def test_a_letter_is_replayed_with_the_recipe_of_its_shard(handmade: HandmadeJob, tmp_path: Path) -> None:
    good = film(handmade.source, "good.mp4", make(Clip()))
    recipe = RECIPE.model_copy(update={"keyframes": KeyframePolicy(max_per_video=1)})
    later = HandmadeJob(spec_of(recipe), handmade.source, Job(LocalStore(str(tmp_path / "other")))).task(good)
    says = {"why": Why.STALE, "created_at": AT, "created_by": "ann", "framefleet": "0.1.0"}
    assert handmade.job.create_round(Round(number=1, recipe=recipe, recipe_id=recipe.recipe_id, **says))
    handmade.bury(letter(later.model_copy(update={"job": handmade.job.url}), recipe_id=recipe.recipe_id))
    ended = framefleet("dead", "replay", handmade.job.url, "good.mp4", "--local", "--engine", "scripted", "--json")
    assert ended.status == 0, ended.said
    assert len(ended.json["records"]) == 1
