import clips
import pytest
from clips import Clip

from schemas.errors import PermanentError
from schemas.reasons import Reason
from workers.media import Limits
from workers.media.sandbox import Decoder

EXPECTED = {
    "empty.mp4": Reason.EMPTY_FILE,
    "text.mp4": Reason.NOT_A_VIDEO,
    "playlist.mp4": Reason.NOT_A_VIDEO,
    "truncated_no_index.mp4": Reason.TRUNCATED,
    "audio_only.m4a": Reason.NO_VIDEO_STREAM,
    "cover_art.m4a": Reason.NO_VIDEO_STREAM,
    "encrypted.mp4": Reason.ENCRYPTED,
    "unknown_codec.mp4": Reason.UNSUPPORTED_CODEC,
    "no_keyframe.mp4": Reason.NO_KEYFRAME,
    "too_long.mkv": Reason.TOO_LONG,
    "too_large.mkv": Reason.TOO_LARGE,
}


def reason_of(decode, clip: bytes, **kwargs) -> Reason:
    with pytest.raises(PermanentError) as caught:
        decode(clip, **kwargs)
    return caught.value.reason


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bad_file_is_refused_for_its_reason(name: str, decode) -> None:
    assert reason_of(decode, clips.bad_files()[name]()) is EXPECTED[name]


def test_a_fragmented_encrypted_file_is_encrypted(decode) -> None:
    assert reason_of(decode, clips.make(Clip(options=clips.DEMO_KEY | clips.FRAGMENTED))) is Reason.ENCRYPTED


def test_a_stream_that_was_tuned_into_late_has_no_keyframe(decode) -> None:
    clip = clips.make(Clip(container="mpegts", gop=100, frames=100))
    tables, rest = clip[: 3 * 188], clip[len(clip) // 188 // 2 * 188 :]
    assert reason_of(decode, tables + rest) is Reason.NO_KEYFRAME


def test_other_manifests_are_no_videos(decode) -> None:
    assert reason_of(decode, b"ffconcat version 1.0\nfile '/etc/passwd'\n" * 20) is Reason.NOT_A_VIDEO
    assert reason_of(decode, b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 4000 RTP/AVP 96\r\n" * 20) is Reason.NOT_A_VIDEO


def test_the_limits_are_the_decoders_own(decode) -> None:
    clip = clips.make(Clip())
    with Decoder(limits=Limits(max_pixels=100 * 96)) as small, Decoder(limits=Limits(max_duration_seconds=3)) as short:
        assert reason_of(decode, clip, by=small) is Reason.TOO_LARGE
        assert reason_of(decode, clip, by=short) is Reason.TOO_LONG


CODECS = {
    "encrypted.mp4": "h264",
    "no_keyframe.mp4": "h264",
    "too_long.mkv": "h264",
    "too_large.mkv": "mjpeg",
    "text.mp4": "",
    "audio_only.m4a": "",
    "unknown_codec.mp4": "",
    "truncated_no_index.mp4": "",
}


@pytest.mark.parametrize("name", CODECS)
def test_a_refusal_names_the_codec_where_it_was_found_out(name: str, decode) -> None:
    with pytest.raises(PermanentError) as caught:
        decode(clips.bad_files()[name]())
    assert caught.value.codec == CODECS[name]


@pytest.mark.parametrize(
    ("clip", "codec"),
    [
        (Clip(), "h264"),
        (Clip(options=clips.FRAGMENTED), "h264"),
        (Clip(container="matroska", codec="libvpx-vp9"), "vp9"),
        (Clip(container="mpegts", codec="mpeg2video"), "mpeg2video"),
        (Clip(container="avi", codec="mpeg4"), "mpeg4"),
    ],
)
def test_every_reader_names_the_codec_as_ffmpeg_does(clip: Clip, codec: str, decode) -> None:
    assert {frame.codec for frame in decode(clips.make(clip))} == {codec}
