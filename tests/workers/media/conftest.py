"""One decoder for all tests that do not break it, and a short way of asking it."""

from collections.abc import Callable, Iterator

import pytest
from clips import Bytes

from schemas.recipe import ImageSize, KeyframePolicy
from workers.keyframe import DeadFrame, Keyframe
from workers.media.sandbox import Decoder

ALL = KeyframePolicy(min_gap_seconds=0, max_per_video=0)
Frames = list[Keyframe | DeadFrame]


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    with Decoder() as one:
        yield one


@pytest.fixture
def decode(decoder: Decoder) -> Callable[..., Frames]:
    """All keyframes of a clip, or those asked for."""

    def ask(clip: bytes | Bytes, *, by: Decoder = decoder, policy: KeyframePolicy = ALL, image: ImageSize = ImageSize(), **only) -> Frames:  # noqa: B008
        source = clip if isinstance(clip, Bytes) else Bytes(clip)
        return list(by.keyframes(source, policy=policy, image=image, **only))

    return ask
