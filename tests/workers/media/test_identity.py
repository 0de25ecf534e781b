"""A keyframe read alone is the one that a full decode shows at that time stamp, bit for bit, whatever codec and container."""

import hashlib
import io
from dataclasses import replace

import av
import clips
import numpy as np
import pytest
import splices
from clips import Clip

from workers.keyframe import Keyframe
from workers.media.pictures.decoding import decode_alone
from workers.media.pictures.rendering import Renderer, pixel_aspect
from workers.media.readers.opening import Video

OPEN_H264 = {"preset": "fast", "x264-params": "open-gop=1:bframes=3:b-adapt=0:scenecut=0:keyint=10:min-keyint=10"}
OPEN_HEVC = {
    "preset": "fast",
    "x265-params": "open-gop=1:bframes=3:scenecut=0:keyint=10:min-keyint=10:log-level=none:pools=none:frame-threads=1",
}
ALT_REF = {"deadline": "good", "cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"}
HIDDEN_FRAMES = {"preset": "10", "svtav1-params": "keyint=10:lp=1:lookahead=20"}
TWO_B = {"bf": "2", "b_strategy": "0"}
CODECS = {
    "h264": Clip(),
    "h264, open gop": Clip(codec_options=OPEN_H264),
    "h264, 10 bits, interlaced": Clip(pix_fmt="yuv420p10le", codec_options={"profile": "high10", "x264-params": "tff=1:scenecut=0"}),
    "hevc": Clip(codec="libx265"),
    "hevc, open gop": Clip(codec="libx265", codec_options=OPEN_HEVC),
    "vp8": Clip(codec="libvpx", codec_options={"deadline": "realtime", "cpu-used": "8"}),
    "vp8, alt ref": Clip(codec="libvpx", codec_options=ALT_REF),
    "vp9": Clip(codec="libvpx-vp9"),
    "vp9, alt ref": Clip(codec="libvpx-vp9", codec_options=ALT_REF),
    "av1": Clip(codec="libsvtav1", codec_options=HIDDEN_FRAMES),
    "mpeg4": Clip(codec="mpeg4", rate=25),
    "mpeg4, b-frames": Clip(codec="mpeg4", rate=25, codec_options=TWO_B),
    "mpeg2": Clip(codec="mpeg2video", rate=25),
    "mpeg2, b-frames": Clip(codec="mpeg2video", rate=25, codec_options=TWO_B),
    "mjpeg": Clip(codec="mjpeg", pix_fmt="yuvj420p", gop=1, frames=12),
    "prores": Clip(codec="prores_ks", pix_fmt="yuv422p10le", gop=1, frames=12),
}
CONTAINERS = {
    "mp4": ("mp4", {}),
    "mp4, index in front": ("mp4", clips.FASTSTART),
    "mp4, fragmented": ("mp4", clips.FRAGMENTED),
    "mp4, fragmented, sidx": ("mp4", {"movflags": "frag_keyframe+empty_moov+global_sidx+default_base_moof"}),
    "mp4, fragmented, dash": ("mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof+dash"}),
    "mov": ("mov", {}),
    "mkv": ("matroska", {}),
    "mkv, live": ("matroska", {"live": "1"}),
    "webm": ("webm", {}),
    "avi": ("avi", {}),
    "mpeg-ts": ("mpegts", {}),
    "mpeg-ts, blu-ray": ("mpegts", {"mpegts_m2ts_mode": "1"}),
    "mpeg-ps": ("mpeg", {}),
    "flv": ("flv", {}),
    "ogg": ("ogg", {}),
    "asf": ("asf", {}),
}
MP4 = ("mp4", "mp4, index in front", "mp4, fragmented", "mp4, fragmented, sidx", "mp4, fragmented, dash")
MKV = ("mkv", "mkv, live")
STREAMS = ("mpeg-ts", "mpeg-ts, blu-ray")
HOLDS = {
    "h264": (*MP4, "mov", *MKV, "avi", *STREAMS, "mpeg-ps", "flv", "asf"),
    "hevc": (*MP4, "mov", *MKV, *STREAMS, "mpeg-ps", "flv"),
    "vp8": (*MKV, "webm", "avi", "ogg", "asf"),
    "vp9": (*MP4, *MKV, "webm", "avi", "flv", "asf"),
    "av1": (*MP4, *MKV, "webm", "avi", "flv", "asf"),
    "mpeg4": (*MP4, "mov", *MKV, "avi", *STREAMS, "mpeg-ps", "asf"),
    "mpeg2": (*MP4, "mov", *MKV, "avi", *STREAMS, "mpeg-ps", "asf"),
    "mjpeg": ("mp4", "mp4, fragmented", "mov", *MKV, "avi", "asf"),
    "prores": ("mov", *MKV),
}
UNSTAMPED = {("h264", "mpeg-ps"), ("hevc", "mpeg-ps")}
"""FFmpeg gives these frames no time stamps, decoded in full or alone: only the pictures can be compared."""
PAIRS = [(codec, container) for codec in CODECS for container in HOLDS[codec.split(",")[0]]]


def digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


def shown(clip: bytes) -> list[tuple[int | None, str]]:
    """Time stamp and picture of every keyframe of a full decode."""
    renderer = Renderer(max_width=896, max_height=896)
    with av.open(io.BytesIO(clip)) as container:
        stream = container.streams.video[0]
        keys = ((frame, pixel_aspect(stream)) for frame in container.decode(stream) if frame.key_frame)
        return [(frame.pts, digest(renderer.render(frame, pixel_aspect=aspect))) for frame, aspect in keys]


def read(clip: bytes, decode) -> list[tuple[int, str]]:
    frames = decode(clip)
    assert all(isinstance(frame, Keyframe) for frame in frames)
    return [(frame.pts, digest(frame.picture.array)) for frame in frames]


@pytest.mark.parametrize(("codec", "container"), PAIRS)
def test_keyframes_equal_those_of_a_full_decode(codec: str, container: str, decode) -> None:
    muxer, options = CONTAINERS[container]
    clip = clips.make(replace(CODECS[codec], container=muxer, options=options))
    found, expected = read(clip, decode), shown(clip)
    assert len(expected) >= 4
    assert len({picture for _, picture in expected}) == len(expected)
    if (codec.split(",", maxsplit=1)[0], container) in UNSTAMPED:
        assert [picture for _, picture in found] == [picture for _, picture in expected]
        assert len({pts for pts, _ in found}) == len(found)
    else:
        assert found == expected


def planes(frame: av.VideoFrame) -> list[str]:
    """A digest of every plane's bytes, without the padding of its lines."""
    lines = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
    widths = [plane.width * (component.bits + 7 >> 3) for plane, component in zip(frame.planes, frame.format.components, strict=True)]
    return [digest(line[: plane.height, :width]) for line, plane, width in zip(lines, frame.planes, widths, strict=True)]


@pytest.mark.parametrize("codec", CODECS)
def test_decoded_planes_equal_those_of_a_full_decode(codec: str) -> None:
    clip = clips.make(replace(CODECS[codec], container="matroska"))
    whole = {frame.pts: planes(frame) for frame in splices.frames_of(clip) if frame.key_frame}
    alone = {}
    with av.open(io.BytesIO(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count, stream.codec_context.skip_frame = 1, "NONKEY"
        video = Video(container, stream, stream.time_base)
        for packet in container.demux(stream):
            if packet.size and packet.is_keyframe:
                frame = decode_alone(video, packet)
                alone[frame.pts] = planes(frame)
    assert len(alone) >= 4
    assert alone == whole


EDITS = {
    "begins a little late": [(3.5, 0.5)],
    "begins behind the first keyframe": [(2.4, 1.3)],
    "begins with nothing": [(0.7, None), (3.0, 0.0)],
    "leaves out the middle": [(1.5, 0.0), (1.5, 2.5)],
    "is shown to its third second": [(3.0, 0.0)],
}


@pytest.mark.parametrize("edits", EDITS)
@pytest.mark.parametrize("codec", ["h264", "h264, open gop", "hevc", "mpeg4, b-frames"])
def test_edit_lists_are_followed_as_by_a_full_decode(codec: str, edits: str, decode) -> None:
    clip = splices.with_edits(clips.make(replace(CODECS[codec], container="mov")), EDITS[edits])
    expected = shown(clip)
    assert expected
    assert read(clip, decode) == expected
