"""From a captioned keyframe to its line, from a failure to its dead letter."""

import shlex
from dataclasses import dataclass, replace
from typing import Any

from schemas.errors import PermanentError
from schemas.job import JobSpec
from schemas.reasons import ADVICE
from schemas.record import Attempt, DeadLetter, Fetched, FrameRecord, Scope, SecondsSpent, Usage
from schemas.task import ShardTask, letter_name
from schemas.video import VideoRef, frame_id
from workers.keyframe import Keyframe
from workers.ladder import Caption

MESSAGE_CHARS = 1000
NOTHING_SPENT = Usage(prompt_tokens=0, image_tokens=0, output_tokens=0, finish_reason="copied", rung="copied")
"""What a copy costs."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A line that lacks its caption. It does not hold the picture, so that memory is free as soon as the engine has answered."""

    frame_index: int
    frames_chosen: int
    pts_seconds: float
    decode_seconds: float
    facts: dict[str, Any]
    codec: str = ""
    copied_from: str | None = None
    """The frame whose caption this near duplicate will have."""

    @classmethod
    def of(cls, frame: Keyframe, *, video: VideoRef, task: ShardTask, attempt: Attempt, versions: dict[str, str]) -> "Draft":
        """Write down all that is known of a frame before the engine has seen it."""
        facts = {
            "job": task.job,
            "shard_id": task.shard_id,
            "frame_id": frame_id(video, stream_index=frame.stream_index, pts=frame.pts),
            "video": video,
            "stream_index": frame.stream_index,
            "pts": frame.pts,
            "duration_seconds": frame.duration_seconds,
            "width": frame.source_width,
            "height": frame.source_height,
            "recipe_id": task.recipe_id,
            "attempts": attempt.number,
            "versions": versions,
        }
        return cls(frame.frame_index, frame.frames_chosen, frame.pts_seconds, frame.decode_seconds, facts, frame.codec)

    @property
    def frame_id(self) -> str:
        """The frame's name."""
        return str(self.facts["frame_id"])

    def copying(self, original: "Draft") -> "Draft":
        """Have the caption of another frame, which the engine sees in this one's stead."""
        return replace(self, copied_from=original.frame_id)

    def complete(self, caption: Caption, *, fetched: Fetched) -> FrameRecord:
        """Add the caption: its own, or that of the frame it copies."""
        copied = self.copied_from is not None
        return FrameRecord(
            **self.facts,
            frame_index=self.frame_index,
            frames_chosen=self.frames_chosen,
            pts_seconds=self.pts_seconds,
            own_schema=isinstance(caption.annotation, dict),
            annotation=caption.annotation,
            fetched=fetched,
            copied_from=self.copied_from,
            usage=NOTHING_SPENT if copied else caption.usage,
            seconds=SecondsSpent(decode=round(self.decode_seconds, 4), caption=0.0 if copied else round(caption.seconds, 4)),
        )

    def fault(self, error: PermanentError) -> PermanentError:
        """What a failed caption means for this frame: a copy dies with the frame it was to be copied from, and of the same."""
        if self.copied_from is None:
            error.codec = self.codec
            return error
        message = f"It nearly equals frame {self.copied_from}, which failed: {error}"
        return PermanentError(error.reason, error.stage, message, codec=self.codec)


@dataclass(frozen=True, slots=True)
class Death:
    """A video, or one of its frames, that cannot be captioned."""

    place: int
    video: VideoRef
    error: PermanentError
    frame_index: int | None = None
    frames_chosen: int | None = None
    pts_seconds: float | None = None


def letter_of(death: Death, *, task: ShardTask, spec: JobSpec, versions: dict[str, str], attempt: Attempt, fetched: Fetched) -> DeadLetter:
    """Write the dead letter of a failure, with the command that shows it."""
    error = death.error
    return DeadLetter(
        job=task.job,
        shard_id=task.shard_id,
        place=death.place,
        scope=Scope.VIDEO if death.frame_index is None else Scope.FRAME,
        video=death.video,
        frame_index=death.frame_index,
        frames_chosen=death.frames_chosen,
        pts_seconds=death.pts_seconds,
        reason=error.reason,
        stage=error.stage,
        message=with_advice(error),
        fetched=fetched,
        codec=error.codec,
        attempts=(attempt.model_copy(update={"signal": error.signal}),),
        ffmpeg_log_tail=error.log_tail,
        raw_answer=error.raw_answer,
        recipe_id=task.recipe_id,
        model=f"{spec.recipe.model.name}@{spec.recipe.model.revision}",
        versions=versions,
        earlier=task.earlier_letters,
        replay=shlex.join(
            ["framefleet", "dead", "replay", task.job, letter_name(task.shard_id, death.place, death.frame_index), "--local"]
        ),
    )


def with_advice(error: PermanentError) -> str:
    """An error's words, cut if they are long, and what to do about it."""
    advice = ADVICE[error.reason]
    return f"{str(error)[: MESSAGE_CHARS - len(advice) - 1]} {advice}"
