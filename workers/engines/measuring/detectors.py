"""Text, faces and upright people, found by the models that ship in the wheels of RapidOCR and OpenCV.

Thresholds are high on purpose: a face that is missed is a gap, a face that is not there is an invention. Profile faces are not looked
for, since OpenCV's cascade for them scored a cartoon's belly higher than real heads.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import cv2.data
import numpy as np
import numpy.typing as npt
from rapidocr_onnxruntime import RapidOCR

from workers.engines.measuring.boxes import Box, merge
from workers.engines.measuring.pixels import Pixels8, shrink
from workers.engines.measuring.text import Reading, Text, judge

FACE_CASCADE = "haarcascade_frontalface_alt2.xml"
FACE_SIDE = 400
FACE_LEAST_SIDE = 20
FACE_NEIGHBOURS = 10
"""Windows that must agree on a face; false ones had up to 4 in the footage this was tried on, true ones 22 and more."""
PERSON_WINDOW = (64, 128)
PERSON_SIDE, PERSON_HEIGHT = 640, 280
PERSON_SCORE = 1.0
"""Least distance from the SVM's border; cars reached 0.8 in the footage this was tried on, people up to 2."""
TEXT_SIDE = 512
"""Longest side of the copy that text is searched in; it is read from the full picture."""
MOST_LINES = 5
"""Areas of text that are read, largest first: reading costs 40 to 100 ms an area."""
LONGEST_LINE = 60
"""Areas longer than this many times their height are not read, since the cost grows with it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the detectors found in a frame."""

    faces: tuple[Box, ...] = ()
    people: tuple[Box, ...] = ()
    text: Text = Text()  # noqa: RUF009 - a frozen value


class Detectors:
    """The three detectors. They keep state while they work, so a set belongs to one thread."""

    def __init__(self) -> None:
        self._faces = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / FACE_CASCADE))
        if self._faces.empty():
            raise FileNotFoundError(FACE_CASCADE)
        self._people = cv2.HOGDescriptor()
        self._people.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector()))
        # One line at a time: in a batch, short lines are padded to the longest, which costs time and makes answers depend on neighbours.
        self._ocr: Any = RapidOCR(use_cls=False, intra_op_num_threads=1, inter_op_num_threads=1, det_limit_type="max", rec_batch_num=1)

    def look(self, rgb: Pixels8) -> Seen:
        """Look for all three in a picture of shape (height, width, 3)."""
        bgr = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
        grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        return Seen(self._find_faces(grey), self._find_people(grey), self._find_text(bgr))

    def _find_faces(self, grey: Pixels8) -> tuple[Box, ...]:
        small = shrink(grey, FACE_SIDE)
        least = (FACE_LEAST_SIDE, FACE_LEAST_SIDE)
        found, neighbours = self._faces.detectMultiScale2(small, scaleFactor=1.2, minNeighbors=FACE_NEIGHBOURS, minSize=least)
        return _boxes(found, neighbours, small)

    def _find_people(self, grey: Pixels8) -> tuple[Box, ...]:
        small = shrink(grey, PERSON_SIDE, height=PERSON_HEIGHT)
        if small.shape[1] < PERSON_WINDOW[0] or small.shape[0] < PERSON_WINDOW[1]:
            return ()
        found, scores = self._people.detectMultiScale(small, winStride=(8, 8), padding=(8, 8), scale=1.05)
        sure = np.ravel(scores) >= PERSON_SCORE
        return _boxes(np.reshape(found, (-1, 4))[sure], np.ravel(scores)[sure], small)

    def _find_text(self, bgr: Pixels8) -> Text:
        small = shrink(bgr, TEXT_SIDE)
        found, _ = self._ocr.text_det(small)
        if found is None or not len(found):
            return Text()
        scale = np.array([bgr.shape[1] / small.shape[1], bgr.shape[0] / small.shape[0]], np.float32)
        corners = np.asarray(self._ocr.sorted_boxes(found), np.float32) * scale
        chosen = _readable(corners)
        crops = self._ocr.get_crop_img_list(bgr, list(corners[chosen]))
        answers, _ = self._ocr.text_rec(crops) if crops else ([], 0)
        frame = (bgr.shape[1], bgr.shape[0])
        readings = [
            Reading(str(words), float(score), _around(area, frame)) for area, (words, score) in zip(corners[chosen], answers, strict=True)
        ]
        return judge(readings, untried=len(corners) - len(chosen))


def _readable(corners: npt.NDArray[np.float32]) -> list[int]:
    """Choose which areas (n, 4, 2) to read, in their own order: the largest ones that are not too long."""
    lengths = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1), np.linalg.norm(corners[:, 3] - corners[:, 0], axis=1)
    longer, shorter = np.maximum(*lengths), np.minimum(*lengths)
    fit = [index for index in range(len(corners)) if longer[index] <= LONGEST_LINE * shorter[index]]
    return sorted(sorted(fit, key=lambda index: (-float(longer[index] * shorter[index]), index))[:MOST_LINES])


def _around(area: npt.NDArray[np.float32], frame: tuple[int, int]) -> Box:
    """The upright box around the four corners of an area."""
    (left, top), (right, bottom) = area.min(axis=0).tolist(), area.max(axis=0).tolist()
    return Box.in_pixels((left, top, right - left, bottom - top), frame=frame)


def _boxes(found: Any, scores: Any, picture: Pixels8) -> tuple[Box, ...]:
    frame = (picture.shape[1], picture.shape[0])
    pairs = zip(np.reshape(found, (-1, 4)).tolist(), np.ravel(scores).tolist(), strict=True)
    return merge(Box.in_pixels(rectangle, frame=frame, score=score) for rectangle, score in pairs)
