"""Decodes one keyframe alone: packet in, picture out, nothing left behind in the decoder."""

import gc

from av.codec.context import CodecContext
from av.error import DecoderNotFoundError, PatchWelcomeError
from av.video.frame import PictureType, VideoFrame

from schemas.reasons import Reason
from workers.media.child import heap
from workers.media.child.unreadable import UnreadableError
from workers.media.pictures.recovery import begins_recovery
from workers.media.readers.opening import Video, VideoPacket

PREDICTED = {PictureType.P, PictureType.B, PictureType.S, PictureType.SP}
"""Pictures that are right only after others."""


def refuse_encrypted(packet: VideoPacket) -> None:
    """Refuse a packet of which the container says how to decrypt it."""
    if packet.has_sidedata("encryption_info"):
        raise UnreadableError(Reason.ENCRYPTED, "The video's samples are encrypted.")


def decode_alone(video: Video, packet: VideoPacket) -> VideoFrame:
    """Decode a keyframe's packet, drain the decoder and flush it, so that no other frame can come out in its place.

    Raises:
        UnreadableError: no sound picture came out.
        MemoryError: there is no room for one.
    """
    refuse_encrypted(packet)
    gc.collect()  # a frame whose side data was looked at holds itself, and with it megabytes that the next one can use
    codec = video.stream.codec_context
    try:
        frames = [*codec.decode(packet), *codec.decode(None)]
    except (DecoderNotFoundError, PatchWelcomeError, NotImplementedError) as error:
        raise UnreadableError(Reason.UNSUPPORTED_CODEC, f"The decoder lacks a feature that the frame needs: {error}") from error
    except MemoryError:
        raise
    except Exception as error:
        heap.demand(pixels=codec.width * codec.height)
        raise UnreadableError(Reason.CORRUPT, f"The frame does not decode: {error}") from error
    finally:
        _flush(codec)
    if not frames:
        heap.demand(pixels=codec.width * codec.height)
        raise _no_picture(packet, codec)
    if frames[0].is_corrupt:
        raise UnreadableError(Reason.CORRUPT, "The frame decodes with damage.")
    if frames[0].pict_type in PREDICTED:
        raise UnreadableError(Reason.CORRUPT, "The container calls the frame a keyframe, and it is none.")
    return frames[0]


def _no_picture(packet: VideoPacket, codec: CodecContext) -> UnreadableError:
    if begins_recovery(bytes(packet), codec):
        return UnreadableError(Reason.UNSUPPORTED_CODEC, "The stream refreshes gradually: there is no whole picture in this packet alone.")
    return UnreadableError(Reason.CORRUPT, "The frame's packet holds no picture.")


def _flush(codec: CodecContext) -> None:
    if codec.is_open:
        codec.flush_buffers()
