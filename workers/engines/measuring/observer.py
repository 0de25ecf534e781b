"""All measurements of one picture."""

from importlib.metadata import version

import cv2
import numpy as np

from schemas.annotation import FrameAnnotation
from workers.engines.measuring.detectors import Detectors, Seen
from workers.engines.measuring.pixels import Pixels8, measure
from workers.engines.measuring.wording import annotate

VERSIONS = {"opencv": cv2.__version__} | {name: version(name) for name in ("rapidocr-onnxruntime", "onnxruntime")}
TEST_WORDS = "FRAME 2026"


class Observer:
    """Measures pictures; one per thread. Loading takes about a second and 100 MB."""

    def __init__(self) -> None:
        # Workers are many and each measures alone: threads of OpenCV's own would only fight over the cores.
        cv2.setNumThreads(1)
        self._detectors = Detectors()

    def annotate(self, rgb: Pixels8) -> FrameAnnotation:
        """Say what can be measured in a picture of shape (height, width, 3)."""
        pixels = measure(rgb)
        return annotate(pixels, Seen() if pixels.uniform else self._detectors.look(rgb))

    def self_test(self) -> None:
        """Measure a drawn picture.

        Raises:
            RuntimeError: the words in it were not read.
        """
        drawn = np.full((120, 320, 3), 255, np.uint8)
        cv2.putText(drawn, TEST_WORDS, (20, 75), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (0, 0, 0), 3)
        objects = self.annotate(drawn).objects
        if not any(TEST_WORDS.split(maxsplit=1)[0] in found for found in objects):
            raise RuntimeError(f"the words {TEST_WORDS!r} were not read in a drawn picture, but: {objects}")
