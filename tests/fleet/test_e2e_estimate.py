"""What an estimate says, beside what the job that follows really has."""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from clips import Clip, make
from fleet_runs import SLIDES, Ended, command, dead, framefleet, objects, records, redis_server, running, slow, wait_until, write_clips

LONG = Clip(container="matroska", frames=30, gop=1, seconds_between_frames=Fraction(2), width=320, height=240)


@dataclass(frozen=True)
class Done:
    """A finished job, and what was said of it before."""

    source: Path
    job: Path
    estimate: dict[str, Any]

    def estimated(self, *options: object) -> Ended:
        return framefleet("plan", self.source, "--price", 2, "--engine", "scripted", *options)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("estimate")
    source, job = write_clips(folder / "in", 20), folder / "out"
    for number in range(4):
        (source / f"long-{number}.mkv").write_bytes(make(LONG))
    (source / "cut.mp4").write_bytes(make(SLIDES)[:1500])
    (source / "text.mp4").write_text("no video\n" * 50)
    (source / "notes.txt").write_text("not wanted")
    before = Done(source, job, {}).estimated("--json")
    assert before.status == 0, before.err
    assert sorted(source.parent.iterdir()) == [source], "an estimate writes nothing"
    (folder / "estimate.json").write_text(before.out)
    ended = framefleet("caption", source, "--out", job, "--engine", "scripted", "--work", folder / "estimate.json")
    assert ended.status == 3, ended.err
    return Done(source, job, before.json)


def test_an_estimate_of_all_videos_is_what_the_job_has(done):
    audit = framefleet("audit", done.job, "--json").json
    lines = records(done.job)

    assert done.estimate["sample"]["whole"]
    assert done.estimate["videos"] == audit["videos"] == 26
    assert done.estimate["skipped"] == {"no video suffix": 1}
    assert {done.estimate["frames"][end] for end in ("low", "expected", "high")} == {len(lines)}
    assert sum(done.estimate["dead_by_reason"].values()) == len(dead(done.job)) == 2
    assert set(done.estimate["dead_by_reason"]) == {reason.value for reason in dead(done.job).values()}
    read = sum({record.video.uri: record.fetched.bytes_read for record in lines}.values())
    assert done.estimate["bytes_read"]["expected"] == pytest.approx(read, rel=0.02)
    assert done.estimate["shards"] == pytest.approx(audit["shards"], rel=0.25)


def test_what_was_learnt_is_what_shards_are_cut_by(done):
    assert json.loads((done.job / "job.json").read_text())["work"] == done.estimate["work"]


def test_a_sample_brings_an_interval_that_holds_what_the_job_has(done):
    found = done.estimated("--sample", 8, "--json").json

    assert found["sample"]["probed"] < 26
    assert found["frames"]["low"] <= len(records(done.job)) <= found["frames"]["high"]


def test_a_job_alike_teaches_the_bytes_of_a_line(done):
    found = done.estimated("--like", done.job, "--accelerators", 2, "--json").json

    assert found["caption_bytes"] == pytest.approx(sum(map(len, objects(done.job).values())), rel=0.01)
    assert any("records of the like job" in words for words in found["measured"])
    assert found["work"]["seconds_per_frame"] != done.estimate["work"]["seconds_per_frame"]


def test_people_are_told_the_same(done):
    ended = done.estimated()

    assert f"frames\t{len(records(done.job))}\tcounted" in ended.out
    assert "$ total" in ended.out
    assert "nobody measured" in ended.out


def test_a_launch_whose_budget_is_spent_pauses_the_job_and_notes_what_was_spent(tmp_path):
    source, job = write_clips(tmp_path / "in", 12), tmp_path / "out"
    with redis_server(tmp_path) as broker:
        asked = ("launch", source, "--out", job, "--broker", broker, "--engine", "scripted", "--videos-per-shard", 1)
        asked = (*asked, "--budget", "0.5", "--price", 3600)  # a dollar a second
        with (
            running(command("worker"), tmp_path / "worker", slow(seconds=0.5) | {"FRAMEFLEET_BROKER_URL": broker}),
            running(command(*asked, "--window", 2), tmp_path / "launch") as launch,
        ):
            wait_until((job / "control.json").exists)
            control = json.loads((job / "control.json").read_text())
            launch.signal(2)
            ended = launch.ended()
    assert (control["state"], control["by"]) == ("paused", "budget")
    assert "dollars are spent" in control["why"]
    assert ended.err.count("dollars are spent. Workers obey") == 1
    assert json.loads((job / "producer" / "000001.json").read_text())["spent"]["worker_seconds"] >= 0.5
