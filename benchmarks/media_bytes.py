"""How many bytes and requests keyframes cost, container by container, as the stand-in for S3 counts them."""

from pathlib import Path

from media_bounds import bound
from media_clips import Reel, Video, spare_folder, write
from media_reading import WrongError, keyframes, listed, opened
from s3_stand_in import BUCKET, s3_stand_in

from schemas.errors import FleetError
from workers.media.sandbox import Decoder

MOST_PER_VIDEO = 16
FRAGMENTED = "frag_keyframe+empty_moov+default_base_moof"
AIMS = {"mp4": 1.05, "mov": 1.05, "mkv": 1.35, "webm": 1.45, "fragmented": 1.25, "ts": 4.0}


def videos(*, width: int, height: int) -> list[tuple[Video, float | None]]:
    """A video of each kind, and how near to its lower bound it shall be read; None where no index tells what to read."""
    h264, hevc, av1, vp9 = (Reel(codec, width, height) for codec in ("h264", "hevc", "av1", "vp9"))
    return [
        (Video("mp4, index behind", h264), AIMS["mp4"]),
        (Video("mp4, index in front", h264, options={"movflags": "faststart"}), AIMS["mp4"]),
        (Video("mp4, hevc", hevc), AIMS["mp4"]),
        (Video("mp4, av1", av1), AIMS["mp4"]),
        (Video("mov", h264, "mov"), AIMS["mov"]),
        (Video("mkv", h264, "mkv"), AIMS["mkv"]),
        (Video("webm, vp9", vp9, "webm"), AIMS["webm"]),
        (Video("fragmented mp4, sidx", h264, options={"movflags": f"{FRAGMENTED}+global_sidx+skip_trailer"}), AIMS["fragmented"]),
        (Video("fragmented mp4, mfra", h264, options={"movflags": FRAGMENTED}), AIMS["fragmented"]),
        (Video("fragmented mp4, no index", h264, options={"movflags": f"{FRAGMENTED}+skip_trailer"}), None),
        (Video("mpeg-ts", h264, "ts"), AIMS["ts"]),
    ]


def measure_bytes(*, seconds: int, width: int, height: int) -> list[dict[str, object]]:
    """Read a video of each kind."""
    with spare_folder() as folder, Decoder() as decoder:
        return [_tried(video, decoder, folder, seconds, aim) for video, aim in videos(width=width, height=height)]


def _tried(video: Video, decoder: Decoder, folder: Path, seconds: int, aim: float | None) -> dict[str, object]:
    try:
        return {"case": video.case} | _measure(video, decoder, folder, seconds) | {"aim": aim}
    except (FleetError, WrongError) as error:
        return {"case": video.case, "failed": f"{type(error).__name__}: {error}"}


def _measure(video: Video, decoder: Decoder, folder: Path, seconds: int) -> dict[str, object]:
    path = folder / f"video.{video.container}"
    write(video, path, seconds=seconds)
    with s3_stand_in(folder) as stand_in:
        ref = listed(f"s3://{BUCKET}/{path.name}")
        stand_in.take()
        with opened(ref) as source:
            frames = keyframes(decoder, source, most=MOST_PER_VIDEO)
        seen = stand_in.take()[path.name]
    if len(frames) != MOST_PER_VIDEO or source.fetched.requests != seen.requests:
        raise WrongError(f"{len(frames)} keyframes in {source.fetched} as we count, {seen} as the store does.")
    least = bound(path, [frame.pts for frame in frames])
    path.unlink()
    return {
        "bytes_over_bound": round(seen.body_bytes / least.total_bytes, 3),
        "requests": seen.requests,
        "bytes_read": seen.body_bytes,
        "index_bytes": least.index_bytes,
        "keyframe_bytes": least.keyframe_bytes,
        "object_bytes": ref.size_bytes,
        "whole_over_bound": round(ref.size_bytes / least.total_bytes, 1),
    }
