"""The closed list of reasons why a video or a frame could not be captioned, and what to do about each."""

from enum import StrEnum


class Stage(StrEnum):
    """Where on its way a video was when it failed."""

    FETCH = "fetch"
    PROBE = "probe"
    DECODE = "decode"
    CAPTION = "caption"
    VALIDATE = "validate"
    COMMIT = "commit"


class Reason(StrEnum):
    """Why something is dead. The list is closed: dashboards, alerts and redrives rely on it."""

    OBJECT_GONE = "object_gone"
    OBJECT_CHANGED = "object_changed"
    ACCESS_DENIED = "access_denied"
    EMPTY_FILE = "empty_file"
    NOT_A_VIDEO = "not_a_video"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    NO_VIDEO_STREAM = "no_video_stream"
    ENCRYPTED = "encrypted"
    UNSUPPORTED_CODEC = "unsupported_codec"
    NO_KEYFRAME = "no_keyframe"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    DECODER_CRASHED = "decoder_crashed"
    DECODER_TIMEOUT = "decoder_timeout"
    WORKER_CRASHED = "worker_crashed"
    ENGINE_REFUSED = "engine_refused"
    ENGINE_FAILED = "engine_failed"
    ENGINE_TIMEOUT = "engine_timeout"
    INVALID_ANSWER = "invalid_answer"
    ANSWER_TOO_LONG = "answer_too_long"


FLEETS_FAULTS = frozenset(
    {
        Reason.ACCESS_DENIED,
        Reason.DECODER_CRASHED,
        Reason.DECODER_TIMEOUT,
        Reason.WORKER_CRASHED,
        Reason.ENGINE_REFUSED,
        Reason.ENGINE_FAILED,
        Reason.ENGINE_TIMEOUT,
        Reason.INVALID_ANSWER,
        Reason.ANSWER_TOO_LONG,
    }
)
"""What may as well be the fleet's fault as the video's: where most ends so, the breaker opens. All others lie in the bytes."""

ADVICE: dict[Reason, str] = {
    Reason.OBJECT_GONE: "Nothing to do unless it comes back; then redrive.",
    Reason.OBJECT_CHANGED: "Redrive it, which takes its new etag.",
    Reason.ACCESS_DENIED: "Grant the workers' role s3:GetObject on it, then redrive.",
    Reason.EMPTY_FILE: "Upload it again, then redrive.",
    Reason.NOT_A_VIDEO: "Exclude the file, or convert it.",
    Reason.TRUNCATED: "Upload it again, then redrive.",
    Reason.CORRUPT: "Compare it with the original file; replace it, then redrive.",
    Reason.NO_VIDEO_STREAM: "Exclude it: it is audio only, or has but a cover picture.",
    Reason.ENCRYPTED: "Supply a clear copy, then redrive.",
    Reason.UNSUPPORTED_CODEC: "Convert the file, then redrive.",
    Reason.NO_KEYFRAME: "Convert the file, then redrive.",
    Reason.TOO_LARGE: "If the file is genuine, raise FRAMEFLEET_MAX_PIXELS and redrive.",
    Reason.TOO_LONG: "If the file is genuine, raise FRAMEFLEET_MAX_DURATION_SECONDS and redrive.",
    Reason.DECODER_CRASHED: "Keep the file (framefleet dead replay, with --keep-file): it is a bug report for FFmpeg.",
    Reason.DECODER_TIMEOUT: "If the file is genuine, redrive it with a larger --decode-deadline.",
    Reason.WORKER_CRASHED: "Keep the file: it ended whoever worked on it. Update the stage's library, then redrive.",
    Reason.ENGINE_REFUSED: "Read the engine's message: a content policy, or a request that it does not understand.",
    Reason.ENGINE_FAILED: "The engine answered others; redrive later.",
    Reason.ENGINE_TIMEOUT: "Read raw_answer; if it is sound, redrive with a larger --frame-deadline.",
    Reason.INVALID_ANSWER: "Read raw_answer; then redrive, or mend the recipe.",
    Reason.ANSWER_TOO_LONG: "Redrive with a larger --max-tokens, or use a recipe with one, into an output of its own.",
}
