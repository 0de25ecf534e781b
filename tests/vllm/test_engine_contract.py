"""The contract that all engines keep, kept by vLLM on a tiny model."""

from contextlib import asynccontextmanager

import pytest
from hosted import RECIPE as TINY
from hosted import Hosted
from test_contract import *  # noqa: F403 - the contract's own tests run here, with another candidate
from test_contract import Candidate


@pytest.fixture
def candidate(engine: Hosted) -> Candidate:
    @asynccontextmanager
    async def vllm():
        yield engine

    return Candidate(vllm, "vllm", TINY)
