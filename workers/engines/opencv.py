"""The embedded default engine: real measurements on the CPU, said in the nine fields, and nothing invented.

A single frame shows no movement, so `actions` is always empty; what cannot be measured gets one fixed value.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from schemas.annotation import FrameAnnotation
from schemas.errors import FatalError, PermanentError, UnsuitableError
from schemas.reasons import Reason, Stage
from workers.engines import Answer, Ask
from workers.keyframe import Form, Picture

MODEL = "opencv-measurements"
"""The only model whose recipes are answered here: a record must not claim to come from another."""
ADVICE = (
    "Install framefleet with its dependencies again (opencv-python-headless, rapidocr-onnxruntime, onnxruntime), or choose another engine."
)


class Observer(Protocol):
    """Measures pictures; used by one thread only."""

    def annotate(self, rgb: npt.NDArray[np.uint8]) -> FrameAnnotation:
        """Say what can be measured in a picture of shape (height, width, 3)."""

    def self_test(self) -> None:
        """Measure a picture whose contents are known; raise if they are not found."""


class OpenCvEngine:
    """Measures text, faces, people, colours and light, in `threads` threads with one set of models each (about 100 MB).

    `load` makes such a set. Models load at the first probe, or else at the first question.

    Raises:
        FatalError: a library cannot be imported.
    """

    def __init__(self, *, threads: int = 1, load: Callable[[], Observer] | None = None) -> None:
        bundled, versions = _import_measuring()
        self.concurrency = threads
        self.takes = Form.RGB
        self.versions = {"engine": "opencv"} | versions
        self._load = load or bundled
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="opencv")

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        """Measure one picture; the same pixels get the same answer."""
        if ask.recipe.model.name != MODEL:
            wrong = ask.recipe.model.name
            raise UnsuitableError(
                f"The opencv engine is no {wrong}, it measures: start the job with `--recipe opencv`, or choose another engine."
            )
        if ask.recipe.answer is not None:
            raise UnsuitableError(
                "The opencv engine says its nine fields and knows no other schema: choose another engine for this recipe."
            )
        annotation = await asyncio.get_running_loop().run_in_executor(self._pool, self._annotate, picture)
        return Answer(text=_as_json(annotation, ask.recipe.key_order), finish_reason="stop")

    async def probe(self) -> None:
        """Load the models, and measure a drawn picture in each thread."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._pool, self._self_test) for _ in range(self.concurrency)))

    def waiting(self) -> int | None:
        """Say nothing: it has no queue but ours."""
        return None

    async def close(self) -> None:
        """Let the threads end after the picture they are at."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _annotate(self, picture: Picture) -> FrameAnnotation:
        observer = self._observer()
        try:
            return observer.annotate(picture.array)
        except Exception as error:
            self._self_test()
            message = f"The picture of {picture.width} x {picture.height} cannot be measured: {type(error).__name__}: {error}"
            raise PermanentError(Reason.ENGINE_FAILED, Stage.CAPTION, message) from error

    def _self_test(self) -> None:
        """Tell whether this process can measure at all: a failure is the picture's fault only if this works."""
        observer = self._observer()
        try:
            observer.self_test()
        except Exception as error:
            raise FatalError(f"The opencv engine fails on a picture it knows: {type(error).__name__}: {error}. {ADVICE}") from error

    def _observer(self) -> Observer:
        """This thread's own set of models, loaded when it is first needed."""
        if not hasattr(self._own, "observer"):
            try:
                self._own.observer = self._load()
            except Exception as error:
                raise FatalError(f"The opencv engine's models do not load: {type(error).__name__}: {error}. {ADVICE}") from error
        observer: Observer = self._own.observer
        return observer


def _import_measuring() -> tuple[Callable[[], Observer], dict[str, str]]:
    """Import the heavy libraries here, where their failure can be said; returns what makes observers, and the versions."""
    try:
        from workers.engines.measuring import observer  # noqa: PLC0415
    except ImportError as error:
        raise FatalError(f"The opencv engine's libraries do not load: {error}. {ADVICE}") from error
    return observer.Observer, observer.VERSIONS


def _as_json(annotation: FrameAnnotation, key_order: Sequence[str]) -> str:
    fields = annotation.model_dump(mode="json")
    return json.dumps({key: fields[key] for key in key_order}, ensure_ascii=False)
