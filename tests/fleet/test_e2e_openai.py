"""The main job with an OpenAI-compatible endpoint."""

import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from chat_server import ChatServer, Reply, Request, completion, failure, models
from clips import Clip
from fleet_runs import (
    Ended,
    audited,
    command,
    everything,
    frame_ids,
    framefleet,
    free_port,
    letters,
    records,
    running,
    wait_until,
    write_clips,
)

from schemas.annotation import FIELDS
from workers.engines.scripted import scripted_answer
from workers.keyframe import Form, Picture

KEY = "sk-e2e-secret-0123456789"
ANSWER = scripted_answer(Picture.of(np.zeros((2, 2, 3), np.uint8), form=Form.JPEG, jpeg_quality=90), FIELDS)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), 3, Clip(frames=4, gop=1, seconds_between_frames=2))  # type: ignore[arg-type]


def caption(clips: Path, job: Path, url: str, env: Mapping[str, str] | None = None) -> Ended:
    return framefleet(*words_for(clips, job, url), env=env)


def words_for(clips: Path, job: Path, url: str) -> tuple[object, ...]:
    """One worker, so that the endpoint's first request is the only one that asks whether it is there."""
    return ("caption", clips, "--out", job, "--engine", "openai", "--openai-url", url, "--openai-model", "tiny", "--workers", 1)


def logs_named_in(said: str) -> Iterator[Path]:
    for folder in re.findall(r"logs are in (\S+);", said):
        yield from Path(folder).glob("*")


def test_an_endpoint_captions_every_frame_and_its_usage_is_kept(clips: Path, tmp_path: Path) -> None:
    with ChatServer(lambda _: completion(ANSWER, tokens=(900, 150))) as server:
        ended = caption(clips, tmp_path / "job", server.url, {"FRAMEFLEET_OPENAI_API_KEY": KEY})
        assert ended.status == 0, ended.said
        assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer {KEY}"}
        assert audited(tmp_path / "job").frames == 12
        assert len(server.questions) == 12 + 1  # and one whether it is there at all
        assert {question["model"] for question in server.questions} == {"tiny"}
    usages = [record.usage for record in records(tmp_path / "job")]
    assert {(usage.prompt_tokens, usage.output_tokens, usage.finish_reason) for usage in usages} == {(900, 150, "stop")}
    assert KEY not in ended.said
    assert not [name for name, body in everything(tmp_path / "job").items() if KEY.encode() in body]


def test_an_endpoint_that_is_down_stops_the_run_and_buries_nobody(clips: Path, tmp_path: Path) -> None:
    port = free_port()
    ended = caption(clips, tmp_path / "job", f"http://127.0.0.1:{port}/v1")
    assert ended.status == 1
    assert str(port) in ended.err
    assert "running the same command again goes on from here" in ended.err
    assert letters(tmp_path / "job") == {}
    assert frame_ids(tmp_path / "job") == []
    with ChatServer(lambda _: completion(ANSWER), port=port) as server:
        assert caption(clips, tmp_path / "job", server.url).status == 0
    assert audited(tmp_path / "job").captioned_videos == 3


def test_a_refused_key_stops_the_run_and_is_never_written_down(clips: Path, tmp_path: Path) -> None:
    def refuse(request: Request) -> Reply:
        return failure(401, f"the key {request.headers['Authorization']} is not known")

    with ChatServer(refuse, listing=failure(401, f"the key {KEY} is not known")) as server:
        ended = caption(clips, tmp_path / "job", server.url, {"FRAMEFLEET_OPENAI_API_KEY": KEY})
    assert ended.status == 1
    assert "FRAMEFLEET_OPENAI_API_KEY" in ended.err
    logs = list(logs_named_in(ended.err))
    assert logs
    for text in (ended.said, *(log.read_text() for log in logs), *map(repr, everything(tmp_path / "job").values())):
        assert KEY not in text
    assert letters(tmp_path / "job") == {}


def test_an_endpoint_that_loses_its_model_in_mid_run_buries_nobody(clips: Path, tmp_path: Path) -> None:
    def forget(request: Request) -> Reply:
        if request.number <= 4:
            return completion(ANSWER)
        server.listing = models("another")
        return failure(404, "the model is not here")

    with ChatServer(forget) as server:
        ended = caption(clips, tmp_path / "job", server.url)
    assert ended.status == 1
    assert "The workers cannot go on" in ended.err
    assert "the model is not here" in ended.err or "another" in ended.err
    assert letters(tmp_path / "job") == {}
    with ChatServer(lambda _: completion(ANSWER)) as server:
        assert caption(clips, tmp_path / "job", server.url).status == 0
    assert audited(tmp_path / "job").frames == 12


def test_an_operator_is_told_of_an_overloaded_endpoint_and_may_give_up(clips: Path, tmp_path: Path) -> None:
    def overload(request: Request) -> Reply:
        return completion(ANSWER) if request.number == 1 else failure(503, "overloaded")

    with ChatServer(overload) as server:
        words = command(*words_for(clips, tmp_path / "job", server.url))
        with running(words, tmp_path / "said", {"FRAMEFLEET_OPENAI_PATIENCE_SECONDS": "1"}) as run:
            wait_until(lambda: "A worker says" in (tmp_path / "said" / "stderr").read_text())
            run.signal(signal.SIGINT)
            ended = run.ended()
            assert run.left_behind() == []
    assert ended.status == 130
    assert "overloaded" in ended.err
    assert letters(tmp_path / "job") == {}
