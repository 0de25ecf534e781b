"""What the child has to say about its video, in the parent's words."""

import time
from collections.abc import Sequence

from av.video.frame import VideoFrame

from workers.media.child.channel import Channel
from workers.media.child.loglines import LogLines
from workers.media.child.unreadable import UnreadableError
from workers.media.pictures.rendering import Pictures
from workers.media.readers.opening import Video, VideoPacket
from workers.media.wire import Job

LONGEST_MESSAGE = 400


class Report:
    """Tells the parent of the video and of its chosen frames, in order."""

    def __init__(self, channel: Channel, pictures: Pictures, job: Job, log: LogLines) -> None:
        self._channel = channel
        self._pictures = pictures
        self._job = job
        self._log = log
        self._begun = time.thread_time()
        self._codec_is_told = False

    def codec(self, name: str) -> None:
        """The container is open, and holds video in this codec. Said once, however often a reader opens it."""
        if not self._codec_is_told:
            self._codec_is_told = True
            self._channel.say("codec", name=name)

    def opened(self, stream_index: int, frames_chosen: int) -> None:
        """The video is open and its keyframes are chosen."""
        self._channel.say("opened", stream_index=stream_index, frames_chosen=frames_chosen)

    def wanted(self, frames_chosen: int) -> Sequence[int]:
        """Which of the chosen frames the parent asked for, ascending."""
        indexes = range(frames_chosen)
        only = self._job.only_frames
        return indexes if only is None else [index for index in only if index in indexes]

    def frame(self, index: int, frame: VideoFrame, packet: VideoPacket, video: Video, *, about_seconds: float | None = None) -> None:
        """A chosen frame is decoded: put its picture where the parent finds it. `about_seconds` serves where nothing bears a time stamp.

        Raises:
            UnreadableError: there is no way from the frame to a picture.
        """
        pixels = self._pictures.render(frame, video.stream)
        slot = self._channel.slot()
        self._pictures.place(pixels, slot)
        pts, duration = _pts(frame, packet, video, index, about_seconds), frame.duration or packet.duration
        self._channel.say(
            "frame",
            index=index,
            slot=slot,
            width=pixels.shape[1],
            height=pixels.shape[0],
            source_width=frame.width,
            source_height=frame.height,
            pts=pts,
            pts_seconds=float(pts * video.time_base),
            duration_seconds=float(duration * video.time_base) if duration else None,
            decode_seconds=self._lap(),
        )

    def dead(self, index: int, pts_seconds: float | None, error: UnreadableError) -> None:
        """A chosen frame cannot be decoded; FFmpeg's words since the last frame go with it."""
        fields = {"reason": error.reason, "message": str(error)[:LONGEST_MESSAGE], "log_tail": self._log.take()}
        self._channel.say("dead_frame", index=index, pts_seconds=pts_seconds, **fields)
        self._lap()

    def failed(self, error: UnreadableError) -> None:
        """The video as a whole cannot be read."""
        self._channel.say("failed", reason=error.reason, message=str(error)[:LONGEST_MESSAGE], log_tail=self._log.take())

    def done(self, *, again: bool) -> None:
        """Everything wanted has been told; `again` if another video can come."""
        self._channel.say("done", again=again)

    def _lap(self) -> float:
        """CPU seconds since the last frame: what this one took, without waiting for bytes or for the consumer."""
        begun, self._begun = self._begun, time.thread_time()
        return self._begun - begun


def _pts(frame: VideoFrame, packet: VideoPacket, video: Video, index: int, about_seconds: float | None) -> int:
    """When the frame is shown, in the stream's time base, by the best witness there is."""
    for stamp in (frame.pts, packet.pts, packet.dts):
        if stamp is not None:
            return stamp
    return index if about_seconds is None else round(about_seconds / video.time_base)
