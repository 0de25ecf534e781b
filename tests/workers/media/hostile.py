"""A corpus of files that mean harm or were harmed, each made in the test's own process from a seed."""

import random
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import clips
from clips import FASTSTART, FRAGMENTED, Clip

TRUNCATIONS = range(1, 100)
FLIPS = 24
"""Mutants of each clip, with up to a thousandth of its bytes changed."""
SEED = 20261121
ENDLESS_BYTES = 1 << 40
MILLION = 1_000_000

KINDS: dict[str, Clip] = {
    "mp4": Clip(frames=20, gop=5),
    "mp4, index in front": Clip(frames=20, gop=5, options=FASTSTART),
    "mov, mpeg4": Clip(container="mov", codec="mpeg4", frames=20, gop=5),
    "fragmented mp4": Clip(frames=20, gop=5, options=FRAGMENTED),
    "mkv": Clip(container="matroska", frames=20, gop=5),
    "webm, vp9": Clip(container="webm", codec="libvpx-vp9", frames=20, gop=5),
    "mpegts, mpeg2": Clip(container="mpegts", codec="mpeg2video", frames=20, gop=5, rate=25),
    "avi, mjpeg": Clip(container="avi", codec="mjpeg", pix_fmt="yuvj420p", frames=8, gop=1),
    "flv": Clip(container="flv", frames=20, gop=5),
}


@dataclass(frozen=True)
class Trap:
    """Where a file that is opened on a hostile word would be noticed."""

    path: str
    port: int


def truncations(clip: bytes) -> Iterator[bytes]:
    """Cut a clip at every percent."""
    return (clip[: len(clip) * percent // 100] for percent in TRUNCATIONS)


def mutants(clip: bytes, seed: str, *, count: int = FLIPS) -> Iterator[bytes]:
    """Change a few bytes of a clip, more of them near its ends, where the tables are."""
    dice = random.Random(f"{SEED} {seed}")  # noqa: S311 - reproducible, no secret
    for _ in range(count):
        mutant = bytearray(clip)
        for _ in range(dice.randint(1, max(1, len(clip) // 1000))):
            place = int(len(clip) * dice.random() ** 3)
            mutant[place if dice.random() < 0.5 else -1 - place] = dice.randrange(256)
        yield bytes(mutant)


def playlists(trap: Trap) -> dict[str, bytes]:
    """Texts in which FFmpeg would find other files and sockets to open, if it were let."""
    url = f"http://127.0.0.1:{trap.port}/v.ts"
    lists = {
        "hls of a file": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{trap.path}\n#EXT-X-ENDLIST\n",
        "hls of a url": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n",
        "hls of a concat": f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:9,\nconcat:{trap.path}|{url}\n#EXT-X-ENDLIST\n",
        "hls of a subfile": f"#EXTM3U\n#EXTINF:9,\nsubfile,,start,0,end,64,,:{trap.path}\n#EXT-X-ENDLIST\n",
        "hls with a key": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:9,\nfile://{trap.path}\n#EXT-X-ENDLIST\n',
        "ffconcat": f"ffconcat version 1.0\nfile '{trap.path}'\n",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {trap.port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet mimeType="video/mp4">'
        f"<Representation><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "a word for subfile": f"subfile,,start,0,end,0,,:{trap.path}",
        "a redirecting asf": f"[Reference]\r\nRef1={url}\r\n",
    }
    texts = {name: text.encode() for name, text in lists.items()}
    return texts | {f"{name}, behind a box": box(b"ftyp", b"isom\0\0\2\0isom") + text for name, text in texts.items()}


def references(trap: Trap) -> dict[str, bytes]:
    """An MP4 whose data lie in another file, as `dref` can say."""
    clip = clips.make(Clip(frames=4))
    here = box(b"url ", bytes(3) + b"\1")
    outside = box(b"url ", bytes(4) + f"file://{trap.path}\0".encode())
    for parent in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        size = clip.index(parent) - 4
        clip = clip[:size] + (int.from_bytes(clip[size : size + 4]) + len(outside) - len(here)).to_bytes(4) + clip[size + 4 :]
    return {"mp4 with outside data": clip.replace(here, outside)}


def absurdities() -> dict[str, Callable[[], bytes]]:
    """Headers that promise what no machine can hold."""
    return {
        "65535 x 65535 pixels, mp4": lambda: with_size(clips.make(Clip(frames=4)), 65535),
        "65535 x 65535 pixels, avi": lambda: avi_with_size(clips.make(KINDS["avi, mjpeg"]), 65535),
        "65535 x 65535 pixels, in the codec": lambda: jpeg_with_size(clips.make(KINDS["avi, mjpeg"]), 65535),
        "2^31 seconds": lambda: with_duration(clips.make(Clip(frames=4)), 2**31),
        "a million samples, none of them key": million_samples,
        "boxes without end": lambda: box(b"ftyp", b"isom\0\0\2\0isom") + b"".join(box(b"free", b"") for _ in range(20_000)),
        "a box within a box within a box": lambda: box(b"ftyp", b"isom\0\0\2\0isom") + nested(b"moov", 2000),
        "an ebml head that says it is endless": lambda: b"\x1aE\xdf\xa3" + b"\x01" + b"\xff" * 7 + bytes(4096),
    }


def changing_dimensions() -> bytes:
    """A transport stream whose pictures grow in mid-stream."""
    small = clips.make(Clip(container="mpegts", frames=10, gop=5))
    return small + clips.make(Clip(container="mpegts", frames=10, gop=5, width=320, height=240)) + small


def box(kind: bytes, body: bytes) -> bytes:
    """An MP4 box."""
    return (8 + len(body)).to_bytes(4) + kind + body


def nested(kind: bytes, depth: int) -> bytes:
    """Boxes in boxes."""
    body = b""
    for _ in range(depth):
        body = box(kind, body)
    return body


def with_size(clip: bytes, side: int) -> bytes:
    """Have an MP4's sample entry and track header promise a square so large."""
    entry = clip.index(b"avc1", clip.index(b"stsd")) + 28
    header = clip.index(b"tkhd")
    size = header - 4 + int.from_bytes(clip[header - 4 : header]) - 8
    clip = clip[:entry] + struct.pack(">HH", side, side) + clip[entry + 4 :]
    return clip[:size] + struct.pack(">II", side << 16, side << 16) + clip[size + 8 :]


def avi_with_size(clip: bytes, side: int) -> bytes:
    """Have an AVI's stream format promise a square so large."""
    entry = clip.index(b"strf") + 12
    return clip[:entry] + struct.pack("<II", side, side) + clip[entry + 8 :]


def jpeg_with_size(clip: bytes, side: int) -> bytes:
    """Have each JPEG in a clip begin a frame of a square so large."""
    return re.sub(rb"(\xff\xc0\0\x11\x08)....", lambda found: found[1] + struct.pack(">HH", side, side), clip, flags=re.DOTALL)


def with_duration(clip: bytes, seconds: int) -> bytes:
    """Have each of an MP4's samples be shown a quarter as long, and the header say so."""
    clip = clip.replace(b"edts", b"free")  # an edit list would cut them
    times = clip.index(b"stts") + 12
    scale = clip.index(b"mdhd") + 16
    clip = clip[:scale] + struct.pack(">II", 1, seconds) + clip[scale + 8 :]
    return clip[:times] + struct.pack(">I", seconds // 4) + clip[times + 4 :]


def million_samples() -> bytes:
    """An MP4 of a million samples of one byte, whose table of keyframes names one that does not exist."""
    clip = clips.without_keyframes(clips.make(Clip(frames=4, codec_options={"bf": "0"})))
    sizes, chunks, times = clip.index(b"stsz") + 8, clip.index(b"stsc") + 8, clip.index(b"stts") + 8
    clip = clip[:sizes] + struct.pack(">II", 1, MILLION) + clip[sizes + 8 :]
    clip = clip[:chunks] + struct.pack(">IIII", 1, 1, MILLION, 1) + clip[chunks + 16 :]
    return clip[:times] + struct.pack(">III", 1, MILLION, 1) + clip[times + 12 :]


class Endless:
    """A byte source that never ends: a transport stream over and over."""

    size_bytes = ENDLESS_BYTES

    def __init__(self) -> None:
        self._loop = clips.make(Clip(container="mpegts", frames=20, gop=5))

    def plan(self, ranges: object) -> None:
        """Do nothing: all is here."""

    def read(self, *, start: int, end: int) -> bytes:
        """Read on and on."""
        first = start % len(self._loop)
        return (self._loop[first:] + self._loop * ((end - start) // len(self._loop) + 1))[: end - start]
