"""Checkpoints that tests of the real vLLM share, and the environment it runs in here."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hosted import Hosted

sys.path.append(str(Path(__file__).parents[1] / "workers" / "engines"))  # where the contract of all engines lies

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the offline engine's core in this process: seconds saved
    "OMP_NUM_THREADS": "1",  # models this small are 25 times slower on two
    "TORCHDYNAMO_DISABLE": "1",  # a picture processor would be compiled by a C++ compiler for half a minute
}
os.environ.update(ENVIRONMENT)  # before torch and vLLM are imported, which is when they read it


def pytest_configure(config: pytest.Config) -> None:
    """Their own warnings are not ours to mend."""
    for module in ("vllm", "torch", "transformers"):
        config.addinivalue_line("filterwarnings", rf"ignore:::{module}\..*")
    config.addinivalue_line("filterwarnings", "ignore:Unclosed context:ResourceWarning")  # vLLM leaves its ZeroMQ context to the collector


@pytest.fixture(scope="session")
def gemma3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Gemma 3 in BF16."""
    from tiny_gemma3 import write_gemma3  # noqa: PLC0415 - transformers takes seconds to import

    return write_gemma3(tmp_path_factory.mktemp("checkpoints") / "gemma3")


@pytest.fixture(scope="session")
def gemma3_fp8(gemma3: Path) -> Path:
    """The same Gemma 3, quantised beforehand."""
    from tiny_gemma3 import write_gemma3_fp8  # noqa: PLC0415

    return write_gemma3_fp8(gemma3.with_name("gemma3-fp8"), source=gemma3)


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-VL in BF16."""
    from tiny_qwen import write_qwen  # noqa: PLC0415

    return write_qwen(tmp_path_factory.mktemp("checkpoints") / "qwen")


@pytest.fixture(scope="session")
def nemotron(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Nemotron Nano v2 VL without weights: `dummy` or `drawn` is its load format."""
    from tiny_nemotron import write_nemotron  # noqa: PLC0415

    return write_nemotron(tmp_path_factory.mktemp("checkpoints") / "nemotron")


@pytest.fixture(scope="session")
def engine(gemma3: Path) -> "Iterator[Hosted]":
    """The tiny Gemma 3 in our engine, for all tests that do it no harm."""
    from hosted import hosted  # noqa: PLC0415

    with hosted(gemma3) as started:
        yield started


@pytest.fixture(scope="session")
def newline(gemma3: Path) -> str:
    """The number of the token that ends a line."""
    vocabulary = json.loads((gemma3 / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    return str(vocabulary["\n"])
