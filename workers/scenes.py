"""Keyframes at which a scene begins, found by PySceneDetect on small pictures: the one door to it."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from schemas.recipe import ImageSize, KeyframePolicy
from workers.keyframe import DeadFrame, Form, Keyframe, Picture
from workers.media import ByteSource
from workers.media.sampling import evenly
from workers.media.sandbox import Decoder

SMALL = ImageSize(max_width=256, max_height=256)
"""What PySceneDetect scales pictures to by default; its thresholds are made for that."""


def scene_keyframes(
    decoder: Decoder,
    source: ByteSource,
    *,
    policy: KeyframePolicy,
    image: ImageSize,
    form: Form = Form.RGB,
    only_frames: frozenset[int] | None = None,
) -> Iterator[Keyframe | DeadFrame]:
    """Decode a video twice, as `Decoder.keyframes` does once: small, to find its scenes, then the keyframes that begin them.

    The first pass takes every keyframe that keeps the policy's gap; `max_per_video` holds for the scenes, and indexes count them.

    Raises:
        PermanentError: as `Decoder.keyframes` does; also, the passes do not agree.
    """
    candidates = KeyframePolicy(min_gap_seconds=policy.min_gap_seconds, max_per_video=0)
    starts, rest = find_scenes(decoder.keyframes(source, policy=candidates, image=SMALL), threshold=policy.scene_threshold)
    chosen = [*evenly(starts, most=policy.max_per_video), *rest]
    indexes = {candidate: index for index, candidate in enumerate(chosen) if only_frames is None or index in only_frames}
    every = policy.model_copy(update={"max_per_video": 0})
    for frame in decoder.keyframes(source, policy=every, image=image, form=form, only_frames=frozenset(indexes)):
        yield replace(frame, frame_index=indexes.pop(frame.frame_index), frames_chosen=len(chosen))
    if indexes:
        raise PermanentError(Reason.DECODER_CRASHED, Stage.DECODE, "The decoder's second pass found fewer keyframes than its first.")


def find_scenes(frames: Iterable[Keyframe | DeadFrame], *, threshold: float) -> tuple[list[int], list[int]]:
    """Find the frames that begin a scene, and the dead one, if any, that stands for all that cannot be read; both by their indexes.

    A frame begins a scene if it is the first, or differs by `threshold` or more from the one before. So does a dead one: nobody knows.
    """
    scenes = Scenes(threshold)
    starts, rest = list[int](), list[int]()
    for frame in frames:
        if isinstance(frame, Keyframe):
            starts += [frame.frame_index] if scenes.begin_with(frame.picture) else []
        else:
            (rest if frame.pts_seconds is None else starts).append(frame.frame_index)
    return starts, rest


class Scenes:
    """PySceneDetect's ContentDetector, shown one keyframe after the other: the mean change of hue, saturation and brightness counts."""

    def __init__(self, threshold: float) -> None:
        with _hidden("av"):  # it would load FFmpeg into this process for a reader that is never used
            from scenedetect import ContentDetector, FrameTimecode  # noqa: PLC0415 - only who asks for scenes waits for it

        self._new_detector: Callable[[], Any] = lambda: ContentDetector(threshold=threshold, min_scene_len=0)
        self._time = FrameTimecode(0, fps=1.0)
        """Any will do: without a least length of scenes the detector passes it through."""
        self._shape = (0, 0)

    def begin_with(self, picture: Picture) -> bool:
        """Whether a new scene begins with this RGB picture; one of another shape begins one always."""
        shape, self._shape = self._shape, (picture.width, picture.height)
        if shape != self._shape:
            self._detector = self._new_detector()
        cuts = self._detector.process_frame(self._time, np.ascontiguousarray(picture.array[:, :, ::-1]))
        return bool(cuts) or shape != self._shape


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Have what is imported in this block do without a module that is optional to it."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # documented: importing it raises ModuleNotFoundError
    try:
        yield
    finally:
        sys.modules.pop(module, None)
