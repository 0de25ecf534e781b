"""The two ways to ask one model: in the worker's own process, and over HTTP."""

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fleet_runs import free_port, wait_until
from hosted import RECIPE, Hosted, asked, picture
from PIL import Image

from schemas.errors import FleetError
from workers.engines import Answer, Ask
from workers.engines.openai import OpenAiEngine
from workers.keyframe import Form, Picture

START_SECONDS = 180.0


@pytest.fixture(scope="module")
def address(gemma3: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A vLLM server of the tiny model."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    words = [
        *(str(Path(sys.executable).with_name("vllm")), "serve", str(gemma3), "--served-model-name", "tiny"),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", "8192", "--max-num-seqs", "4", "--enforce-eager"),
        *("--kv-cache-memory-bytes", str(64 << 20), "--limit-mm-per-prompt", '{"image": 1}'),
        *("--structured-outputs-config", '{"backend": "guidance", "disable_any_whitespace": true}'),
    ]
    with (tmp_path_factory.mktemp("served") / "said").open("wb") as said:
        server = subprocess.Popen(words, stdout=said, stderr=said, env=os.environ | {"VLLM_NO_USAGE_STATS": "1"})
        try:
            wait_until(lambda: server.poll() is not None or answers(url), within_seconds=START_SECONDS)
            yield url
        finally:
            server.terminate()
            server.wait()


def answers(url: str) -> bool:
    async def go() -> None:
        engine = OpenAiEngine(base_url=url, patience_seconds=0.1, retries=0)
        try:
            await engine.probe()
        finally:
            await engine.close()

    try:
        asyncio.run(go())
    except FleetError:
        return False
    return True


def over_http(url: str, pictures: list[Picture]) -> list[Answer]:
    async def go() -> list[Answer]:
        engine = OpenAiEngine(base_url=url, model="tiny")
        ask = Ask(recipe=RECIPE, max_tokens=RECIPE.sampling.max_tokens, temperature=0.0, seed=0)
        try:
            return [await engine.answer(one, ask) for one in pictures]
        finally:
            await engine.close()

    return asyncio.run(go())


def as_jpeg(one: Picture) -> Picture:
    return Picture.of(one.array, form=Form.JPEG, jpeg_quality=90)


def unpacked(one: Picture) -> Picture:
    """What is left of a picture that went through a JPEG."""
    pixels = np.asarray(Image.open(io.BytesIO(one.jpeg)).convert("RGB"))
    return Picture.of(pixels, form=Form.RGB, jpeg_quality=90)


def test_both_ways_give_the_same_annotations(engine: Hosted, address: str) -> None:
    pictures = [as_jpeg(picture(seed)) for seed in range(4)]
    there = [json.loads(answer.text) for answer in over_http(address, pictures)]
    here = [json.loads(asked(engine, unpacked(one))[0].text) for one in pictures]
    assert there == here
    assert len({json.dumps(annotation) for annotation in here}) > 1
