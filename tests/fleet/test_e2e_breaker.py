"""A fault of the whole fleet stops the fleet, and kills nobody."""

import itertools
import threading
from pathlib import Path

import numpy as np
from chat_server import ChatServer, Reply, Request, completion
from clips import Clip
from fleet_runs import PATIENCE_SECONDS, Running, audited, command, letters, running, wait_until, write_clips

from broker.app import make_app
from broker.trials import Trials
from schemas.annotation import FIELDS
from workers.engines.scripted import scripted_answer
from workers.keyframe import Form, Picture

ANSWER = scripted_answer(Picture.of(np.zeros((2, 2, 3), np.uint8), form=Form.JPEG, jpeg_quality=90), FIELDS)
VIDEOS = 30
FEWEST_TOKENS = 100
"""Fewer are asked for only to see whether somebody answers."""


def trials_of(run: Running, job: Path) -> Trials:
    """What the run's private broker knows of its shards."""
    wait_until(run.workers)
    [worker, *_] = run.workers()
    return Trials(make_app(worker.environ()["FRAMEFLEET_BROKER_URL"]), f"file://{job}")


def test_a_model_that_talks_nonsense_before_there_is_a_second_worker_leaves_no_dead_letter(tmp_path: Path) -> None:
    sick, probes, said = True, itertools.count(1), tmp_path / "said" / "stderr"
    tried_again = threading.Event()

    def script(request: Request) -> Reply:
        if request.question["max_tokens"] >= FEWEST_TOKENS:
            return completion("nonsense" if sick else ANSWER)
        if next(probes) > 1:  # the second worker, too, asks whether the endpoint is there
            tried_again.wait(PATIENCE_SECONDS)
        return completion(ANSWER)

    clips = write_clips(tmp_path / "clips", VIDEOS, Clip(frames=1))
    with ChatServer(script) as server:
        options = ("--engine", "openai", "--openai-url", server.url, "--openai-model", "tiny", "--workers", 2, "--videos-per-shard", 1)
        words = command("caption", clips, "--out", tmp_path / "job", *options)
        with running(words, tmp_path / "said") as run:
            trials = trials_of(run, tmp_path / "job")
            wait_until(lambda: max(trials.attempts().values(), default=0) > 1)
            tried_again.set()
            wait_until(lambda: "The breaker is open" in said.read_text())
            sick = False
            ended = run.ended()
    assert ended.status == 0, ended.said
    assert "videos failed with invalid_answer on 2 workers" in ended.err
    assert "closed again" in ended.err
    assert letters(tmp_path / "job") == {}
    assert audited(tmp_path / "job").frames == VIDEOS
