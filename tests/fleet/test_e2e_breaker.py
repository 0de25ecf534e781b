"""A fault of the whole fleet stops the fleet, and kills nobody."""

import threading
from pathlib import Path

import numpy as np
import redis
from chat_server import ChatServer, Reply, Request, completion
from clips import Clip
from fleet_runs import Running, audited, command, letters, running, wait_until, write_clips

from broker.scripts import BREAKER
from schemas.annotation import FIELDS
from workers.engines.scripted import scripted_answer
from workers.keyframe import Form, Picture

ANSWER = scripted_answer(Picture.of(np.zeros((2, 2, 3), np.uint8), form=Form.JPEG, jpeg_quality=90), FIELDS)
VIDEOS = 30
FEWEST_TOKENS = 100
"""Fewer are asked for only to see whether somebody answers."""


def breaker_of(run: Running) -> bool:
    """Whether the run's private broker has an open breaker."""
    for worker in run.workers():
        socket = worker.environ().get("FRAMEFLEET_BROKER_URL", "").removeprefix("redis+socket://")
        with redis.Redis(unix_socket_path=socket) as client:
            return bool(client.exists(BREAKER))
    return False


def test_a_model_that_talks_nonsense_for_a_while_leaves_no_dead_letter(tmp_path: Path) -> None:
    sick, workers_are_there = True, threading.Barrier(2)
    probed = threading.Event()

    def script(request: Request) -> Reply:
        if request.question["max_tokens"] < FEWEST_TOKENS:  # a worker asks whether the endpoint is there
            workers_are_there.wait(30)
            probed.set()
            return completion(ANSWER)
        probed.wait(30)
        return completion("nonsense" if sick else ANSWER)

    clips = write_clips(tmp_path / "clips", VIDEOS, Clip(frames=1))
    with ChatServer(script) as server:
        options = ("--engine", "openai", "--openai-url", server.url, "--openai-model", "tiny", "--workers", 2, "--videos-per-shard", 2)
        words = command("caption", clips, "--out", tmp_path / "job", *options)
        with running(words, tmp_path / "said") as run:
            wait_until(lambda: run.family() and breaker_of(run))
            wait_until(lambda: "The breaker is open" in (tmp_path / "said" / "stderr").read_text())
            sick = False
            ended = run.ended()
    assert ended.status == 0, ended.said
    assert "videos failed with invalid_answer on 2 workers" in ended.err
    assert "closed again" in ended.err
    assert letters(tmp_path / "job") == {}
    assert audited(tmp_path / "job").frames == VIDEOS
