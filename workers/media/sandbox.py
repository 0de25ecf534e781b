"""The decoder that a worker process holds: keyframes out of disposable children."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Self

from schemas.errors import PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.recipe import ImageSize, KeyframePolicy
from workers.keyframe import DeadFrame, Form, Keyframe, Order
from workers.media import ByteSource, Limits
from workers.media.forks.forkserver import ForkServer
from workers.media.forks.offspring import ForkServerDiedError
from workers.media.lock.layers import Layers
from workers.media.session import Session
from workers.media.wire import Job

ATTEMPTS = 2
"""Tries at one video whose fork server dies under it."""


class Decoder:
    """Keyframes of untrusted videos; one per worker process, used from many threads at once. Forks nothing of its own process."""

    def __init__(self, *, limits: Limits = Limits(), forkserver: ForkServer | None = None) -> None:  # noqa: B008 - a frozen value
        """Decode within these limits, in children of this fork server, which is closed with the decoder; of a plain one if left out."""
        self._limits = limits
        self._forkserver = forkserver or ForkServer()

    def layers(self) -> Layers:
        """Wait for the fork server, and say what locks its children.

        Raises:
            FatalError: a required layer is missing, or no fork server can be started here.
        """
        return self._forkserver.layers()

    def within(self, deadline_seconds: float | None) -> "Decoder":
        """Decode with another deadline in the same children; as it is for None. Only the first decoder is to be closed."""
        if deadline_seconds is None:
            return self
        return Decoder(limits=self._limits.within(deadline_seconds), forkserver=self._forkserver)

    def keyframes(
        self,
        source: ByteSource,
        *,
        policy: KeyframePolicy,
        image: ImageSize,
        form: Form = Form.RGB,
        only_frames: frozenset[int] | None = None,
    ) -> Iterator[Keyframe | DeadFrame]:
        """Yield the chosen keyframes in their order, dead ones among them; closing the generator kills and reaps the child.

        Raises:
            PermanentError: the video cannot be read, or its child crashed, hung or misbehaved.
            TransientError: the source did not answer, or the fork server died again and again.
            FatalError: no fork server can be started here.
        """
        if source.size_bytes == 0:
            raise PermanentError(Reason.EMPTY_FILE, Stage.PROBE, "The object has no bytes.")
        job = self._job(source, policy, image, form, only_frames)
        given: set[int] = set()
        for _ in range(ATTEMPTS):
            try:
                with closing(self._session(source, job, form, image.jpeg_quality, thumbnails=policy.duplicate_distance > 0)) as frames:
                    for frame in frames:
                        if frame.frame_index not in given:
                            given.add(frame.frame_index)
                            yield frame
            except ForkServerDiedError:
                continue
            return
        raise TransientError(f"The decoder's fork server died {ATTEMPTS} times over one video.")

    def close(self) -> None:
        """End the fork server and every child."""
        self._forkserver.close()

    def __enter__(self) -> Self:
        """Close at the end of a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the fork server and every child."""
        self.close()

    def _session(self, source: ByteSource, job: Job, form: Form, jpeg_quality: int, *, thumbnails: bool) -> Generator[Keyframe | DeadFrame]:
        seconds = self._limits.deadline_seconds
        with self._forkserver.fork(memory_size=job.memory_size) as child:
            session = Session(child, source, job, deadline_seconds=seconds, form=form, jpeg_quality=jpeg_quality, thumbnails=thumbnails)
            yield from session.frames()

    def _job(self, source: ByteSource, policy: KeyframePolicy, image: ImageSize, form: Form, only_frames: frozenset[int] | None) -> Job:
        limits = self._limits
        return Job(
            size_bytes=source.size_bytes,
            min_gap_seconds=policy.min_gap_seconds,
            max_per_video=policy.max_per_video,
            max_width=image.max_width,
            max_height=image.max_height,
            only_frames=None if only_frames is None else tuple(sorted(only_frames)),
            cpu_seconds=limits.cpu_seconds,
            memory_bytes=limits.memory_bytes,
            max_pixels=limits.max_pixels,
            max_duration_seconds=limits.max_duration_seconds,
            bgr=form.order is Order.BGR,
        )
