from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import pytest
from builders import RECIPE, film, new_store, overwrite
from clips import FASTSTART, FRAGMENTED, Clip, make

from fleet.probe import Probe, Prober, Reckoning
from schemas.reasons import Reason
from schemas.recipe import KeyframePolicy
from schemas.record import Fetched
from schemas.video import VideoRef
from storage import Store
from workers.fetch import open_video
from workers.keyframe import Keyframe
from workers.media.costs import ReadCosts
from workers.media.ranges import StoreSource
from workers.media.sandbox import Decoder
from workers.settings import WorkerSettings

CLOSE = ReadCosts(request_bytes=1024)


def noise(number: int) -> av.VideoFrame:
    """A picture that no codec makes small, so that keyframes lie far apart as they do in films."""
    return av.VideoFrame.from_ndarray(np.random.default_rng(number).integers(0, 255, (144, 176, 3), np.uint8), format="rgb24")


LONG = {"frames": 40, "gop": 8, "width": 176, "height": 144, "paint": noise}
EVERY_KEYFRAME = RECIPE.model_copy(update={"keyframes": KeyframePolicy(min_gap_seconds=0, max_per_video=0)})
FEW = RECIPE.model_copy(update={"keyframes": KeyframePolicy(min_gap_seconds=2, max_per_video=3)})
CONTAINERS = {
    "mp4": Clip(**LONG),
    "faststart": Clip(options=FASTSTART, **LONG),
    "fragmented": Clip(options=FRAGMENTED, **LONG),
    "matroska": Clip(container="matroska", **LONG),
    "mpegts": Clip(container="mpegts", **LONG),
    "flv": Clip(container="flv", **LONG),
}


@pytest.fixture(scope="module")
def bodies() -> dict[str, bytes]:
    return {name: make(clip) for name, clip in CONTAINERS.items()}


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with closing(Prober(WorkerSettings(), EVERY_KEYFRAME)) as one:
        yield one


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as one:
        yield one


@dataclass
class Counting:
    """A store that counts the bytes it hands out."""

    inner: Store
    url: str
    bytes_read: int = 0

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        self.bytes_read += end - start
        return self.inner.get_range(key, start=start, end=end, etag=etag)


def worked(video: VideoRef, policy: KeyframePolicy, costs: ReadCosts, decoder: Decoder) -> tuple[int, Fetched]:
    """What a worker finds in a video, and reads of it."""
    with closing(open_video(video, costs=costs)) as source:
        frames = list(decoder.keyframes(source, policy=policy, image=RECIPE.image))
        return sum(isinstance(frame, Keyframe) for frame in frames), source.fetched


@pytest.mark.parametrize("recipe", [EVERY_KEYFRAME, FEW], ids=["all", "few"])
def test_a_probe_tells_what_a_worker_will_find_and_read(bodies, recipe, decoder):
    store = new_store()
    videos = [film(store, f"{name}.bin", body) for name, body in bodies.items()]
    with closing(Prober(WorkerSettings(read_costs="1024"), recipe)) as prober:
        probes = prober.probe_all(videos)

    for video, probe in zip(videos, probes, strict=True):
        frames, fetched = worked(video, recipe.keyframes, CLOSE, decoder)
        assert (probe.video, probe.frames, probe.dead) == (video, frames, None)
        close = 1.0 if "mpegts" in video.uri else 0.1  # how far its windows grow depends on what was fetched ahead by then
        assert probe.fetched.bytes_read == pytest.approx(fetched.bytes_read, rel=close), video.uri
        assert probe.fetched.requests == pytest.approx(fetched.requests, rel=max(close, 0.35), abs=2), video.uri


def test_a_probe_reads_no_more_than_the_index_and_the_first_keyframes(bodies, decoder):
    inner = new_store()
    video = film(inner, "a.mp4", bodies["mp4"])
    store = Counting(inner, inner.url)
    source = Reckoning(StoreSource(store, "a.mp4", video, costs=CLOSE), CLOSE)
    with closing(decoder.keyframes(source, policy=EVERY_KEYFRAME.keyframes, image=RECIPE.image)) as frames:
        next(frames)

    assert store.bytes_read < 90_000
    assert 150_000 < source.fetched.bytes_read < video.size_bytes


def test_a_small_video_is_read_at_once(prober):
    video = film(new_store(), "a.mp4", make(Clip()))

    assert prober.probe(video).fetched == Fetched(bytes_read=video.size_bytes, requests=1)


def test_what_will_be_dead_is_told_by_its_reason(prober, bodies):
    store = new_store()
    text = film(store, "text.mp4", b"no video at all" * 100)
    cut = film(store, "cut.mp4", bodies["mp4"][: len(bodies["mp4"]) // 2])
    gone = VideoRef(uri=f"{store.url}/gone.mp4", etag="e", size_bytes=5000)
    changed = film(store, "changed.mp4", bodies["mp4"])
    overwrite(store, "changed.mp4", bodies["flv"])
    empty = VideoRef(uri=f"{store.url}/empty.mp4", etag="e", size_bytes=0)

    reasons = [probe.dead for probe in prober.probe_all([text, cut, gone, changed, empty])]

    assert reasons == [Reason.NOT_A_VIDEO, Reason.TRUNCATED, Reason.OBJECT_GONE, Reason.OBJECT_CHANGED, Reason.EMPTY_FILE]
    assert all(prober.probe(video).frames == 0 for video in (text, cut))


def test_scenes_are_found_as_a_worker_finds_them():
    scenes = RECIPE.model_copy(update={"keyframes": KeyframePolicy(min_gap_seconds=0, max_per_video=0, scene_threshold=27)})
    video = film(new_store(), "a.mp4", make(Clip(frames=12, gop=1, rate=10, seconds_between_frames=Fraction(2))))
    with closing(Prober(WorkerSettings(), scenes)) as prober:
        probe = prober.probe(video)

    assert probe.dead is None
    assert 1 <= probe.frames <= 12


def test_probes_are_heard_of_one_by_one(prober):
    heard: list[Probe] = []
    video = film(new_store(), "a.mp4", make(Clip()))

    assert prober.probe_all([video, video], progress=heard.append) == heard
