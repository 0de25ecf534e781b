"""A video that ends whoever works on it costs itself, and nobody else."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from chat_server import ChatServer, Reply, Request, completion
from clips import Clip, make
from fleet_runs import Running, audited, command, dead, letters, records, running, shown
from PIL import Image

from schemas.annotation import FIELDS
from schemas.reasons import Reason, Stage
from workers.engines.scripted import scripted_answer
from workers.keyframe import Form, Picture

ANSWER = scripted_answer(Picture.of(np.zeros((2, 2, 3), np.uint8), form=Form.JPEG, jpeg_quality=90), FIELDS)
WHITE, BLACK = 235, 20


def clip(level: int) -> bytes:
    """Two keyframes of one grey."""

    def paint(number: int) -> av.VideoFrame:
        return av.VideoFrame.from_ndarray(np.full((96, 128), level + number, np.uint8), format="gray")

    return make(Clip(frames=2, gop=1, seconds_between_frames=Fraction(2), paint=paint))


def is_white(jpeg: bytes) -> bool:
    return float(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")).mean()) > 128


def test_a_video_that_ends_its_workers_is_found_and_the_others_of_its_shard_are_captioned(tmp_path: Path) -> None:
    runs, crashes = list[Running](), list[int]()

    def script(request: Request) -> Reply:
        if "image_url" in str(request.question) and is_white(request.jpeg):
            crashes.append(request.number)
            for worker in runs[0].workers():
                worker.kill()
            return Reply(hang_up=True)
        return completion(ANSWER)

    folder = tmp_path / "clips"
    folder.mkdir()
    for name, level in {"a": BLACK, "b": BLACK, "poison": WHITE, "z": BLACK}.items():
        (folder / f"{name}.mp4").write_bytes(clip(level))
    with ChatServer(script) as server:
        options = ("--engine", "openai", "--openai-url", server.url, "--openai-model", "tiny", "--workers", 1, "--videos-per-shard", 4)
        words = command("caption", folder, "--out", tmp_path / "job", *options)
        with running(words, tmp_path / "said") as run:
            runs.append(run)
            ended = run.ended()
    assert ended.status == 3, ended.said
    assert "ended with SIGKILL" in ended.err
    assert dead(tmp_path / "job") == {("poison.mp4", None): Reason.WORKER_CRASHED}
    [letter] = letters(tmp_path / "job").values()
    assert (letter.stage, letter.attempts[0].signal) == (Stage.CAPTION, "SIGKILL")
    assert audited(tmp_path / "job").frames == 6
    assert {uri.rpartition("/")[2] for uri, _ in shown(records(tmp_path / "job"))} == {"a.mp4", "b.mp4", "z.mp4"}
    assert len(crashes) >= 6
