"""What a real fleet logs as JSON: every line parses, says what it is about, and tells no secret."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from chat_server import ChatServer, Reply, Request, completion, failure
from clips import Clip, make
from fleet_runs import Ended, audited, command, framefleet, free_port, redis_server, running, wait_until

from broker.messages import short_name
from fleet.audit import audit
from schemas.annotation import FIELDS
from storage.job import open_job
from workers.engines.scripted import scripted_answer
from workers.keyframe import Form, Picture

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIA0123456789ABCDEF",
    "AWS_SECRET_ACCESS_KEY": "0123456789abcdef/0123456789ABCDEF+012345",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEJr-session-token",
    "FRAMEFLEET_OPENAI_API_KEY": "sk-of-the-endpoint-0123456789",
    "HF_TOKEN": "hf_0123456789abcdefghij",
}
PASSWORD = "s3cr3t-of-the-broker"
ANSWER = scripted_answer(Picture.of(np.zeros((2, 2, 3), np.uint8), form=Form.JPEG, jpeg_quality=90), FIELDS)
ALWAYS = {"timestamp", "level", "logger", "event", "worker"}


class BusyNowAndThen:
    """An endpoint that sends every third question away, and tells the key that it was sent."""

    def __call__(self, request: Request) -> Reply:
        if request.number % 3 == 2:
            return failure(503, f"busy; your key is {request.headers.get('Authorization')}", Retry_After="0")
        return completion(ANSWER)


class Run:
    """A job over good videos and a bad one, worked by a worker that logs JSON."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder, self.source, self.job = folder, folder / "in", folder / "job"
        self.env = SECRETS | {"FRAMEFLEET_LOG_FORMAT": "json", "FRAMEFLEET_BROKER_URL": broker, "FRAMEFLEET_GRACE_SECONDS": "25"}
        self.env |= {"FRAMEFLEET_METRICS_PORT": str(free_port())}
        self.source.mkdir()
        for name in ("good", "fine", "third"):
            (self.source / f"{name}.mp4").write_bytes(make(Clip(frames=4, gop=1, seconds_between_frames=2)))  # type: ignore[arg-type]
        (self.source / "bad.mp4").write_bytes(make(Clip())[:-1500])
        with ChatServer(BusyNowAndThen()) as server:
            self.launched = framefleet(
                *("launch", self.source, "--out", self.job, "--engine", "openai", "--videos-per-shard", 2), env=self.env
            )
            self.worked = self._work(server.url)

    def _work(self, url: str) -> Ended:
        words = command("worker", "--engine", "openai", "--openai-url", url, "--openai-model", "tiny")
        with running(words, self.folder / "said", self.env) as worker:
            wait_until(lambda: worker.family() and audit(open_job(str(self.job))).complete)
            worker.signal(signal.SIGTERM)
            return worker.ended()

    def shards(self) -> dict[str, set[str]]:
        """The names of videos by their shard."""
        part = open_job(str(self.job)).ledger().first_part()
        assert part is not None
        return {shard.shard_id: {video.uri.rpartition("/")[2] for video in shard.videos} for shard in part.shards}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("lines")
    with redis_server(folder) as url:
        with redis.Redis.from_url(url) as client:
            client.config_set("requirepass", PASSWORD)
        yield Run(folder, url.replace("//", f"//:{PASSWORD}@"))


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_all_that_a_worker_says_is_json_from_its_start_to_its_end(run: Run) -> None:
    assert run.worked.status == 0, run.worked.err
    assert audited(run.job).captioned_videos == 3
    assert run.worked.out == ""
    found = lines(run.worked.err)
    assert [line for line in found if not line.keys() >= ALWAYS] == []
    assert {line["worker"].rpartition(":")[0] != "" for line in found} == {True}
    assert "/metrics is served" in found[0]["event"]
    assert "this worker is told to end" in found[-1]["event"]


def test_a_worker_that_cannot_start_says_why_in_json(run: Run, tmp_path: Path) -> None:
    words = command(
        "worker", "--engine", "openai", "--openai-url", f"http://me:{PASSWORD}@127.0.0.1:{free_port()}/v1", "--openai-model", "tiny"
    )
    with running(words, tmp_path, run.env) as worker:
        ended = worker.ended()
    assert ended.status == 4, ended.err
    found = lines(ended.err)
    assert [line for line in found if not line.keys() >= ALWAYS] == []
    assert [line["level"] for line in found if line["event"].startswith("this worker cannot start: ")] == ["error"]
    assert PASSWORD not in ended.err


def test_every_line_of_a_shard_says_which_and_of_a_video_which(run: Run) -> None:
    shards, job = run.shards(), short_name(open_job(str(run.job)).url)
    found = [line for line in lines(run.worked.err) if "shard" in line]
    assert {line["shard"] for line in found} == shards.keys()
    assert {(line["job"], line["attempt"]) for line in found} == {(job, 1)}
    assert [line for line in found if line.get("video") not in {None, *shards[line["shard"]]}] == []
    assert len([line for line in found if line["event"].startswith("committed:")]) == len(shards)
    [dead] = [line for line in found if line["event"].startswith("dead, truncated at ")]
    assert dead["video"] == "bad.mp4"


def test_a_line_of_the_engines_thread_says_for_which_video_it_asks_again(run: Run) -> None:
    again = [line for line in lines(run.worked.err) if "asking again" in line["event"]]
    assert again
    assert [line for line in again if not {"shard", "video", "attempt"} <= line.keys()] == []
    assert {line["video"] for line in again} <= {"good.mp4", "fine.mp4", "third.mp4"}


def test_a_commands_words_for_people_are_lines_of_json_too(run: Run) -> None:
    assert run.launched.status == 0
    found = lines(run.launched.err)
    assert [line["event"] for line in found if "shards enqueued" in line["event"]] != []
    assert {(line["logger"], line["level"]) for line in found} == {("framefleet", "info")}


def test_a_command_that_cannot_go_on_says_why_in_json(run: Run, tmp_path: Path) -> None:
    ended = framefleet("reconcile", tmp_path / "nothing", env=run.env | {"FRAMEFLEET_LOG_LEVEL": "warning"})
    assert ended.status == 1
    [line] = lines(ended.err)
    assert line["level"] == "error"
    assert line["event"].startswith("framefleet: There is no job at ")


def test_without_being_asked_commands_speak_to_people(run: Run, tmp_path: Path) -> None:
    ended = framefleet("reconcile", tmp_path / "nothing", env=run.env | {"FRAMEFLEET_LOG_FORMAT": "text"})
    assert ended.err.startswith("framefleet: There is no job at ")


def test_a_log_format_that_nobody_knows_is_refused_in_a_sentence() -> None:
    ended = framefleet("status", "nowhere", env={"FRAMEFLEET_LOG_FORMAT": "yaml"})
    assert ended.status == 1
    assert ended.err.startswith("framefleet: FRAMEFLEET_LOG_FORMAT: ")


def test_no_secret_of_the_environment_is_told(run: Run) -> None:
    said = run.launched.said + run.worked.said
    assert [secret for secret in (*SECRETS.values(), PASSWORD) if secret in said] == []
