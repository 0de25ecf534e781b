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
    ENGINE_REFUSED = "engine_refused"
    ENGINE_FAILED = "engine_failed"
    INVALID_ANSWER = "invalid_answer"
    ANSWER_TOO_LONG = "answer_too_long"


ADVICE: dict[Reason, str] = {
    Reason.OBJECT_GONE: "The object was deleted after it was listed; nothing to do unless it comes back.",
    Reason.OBJECT_CHANGED: "The object was overwritten after it was listed; redrive it, which takes its new etag.",
    Reason.ACCESS_DENIED: "Grant the worker's role s3:GetObject on this object, then redrive.",
    Reason.EMPTY_FILE: "The object has no bytes; upload it again, then redrive.",
    Reason.NOT_A_VIDEO: "The bytes are no container that the fleet reads; exclude the file or convert it.",
    Reason.TRUNCATED: "The file ends before its contents do; upload it again, then redrive.",
    Reason.CORRUPT: "The decoder cannot make sense of the bytes; compare with the original file.",
    Reason.NO_VIDEO_STREAM: "The file holds no video (audio only, or a cover picture); exclude it.",
    Reason.ENCRYPTED: "The video is DRM-protected; supply a clear copy.",
    Reason.UNSUPPORTED_CODEC: "This build of FFmpeg has no decoder for the codec; convert the file.",
    Reason.NO_KEYFRAME: "The stream has no keyframe to start decoding from; convert the file.",
    Reason.TOO_LARGE: "The picture is larger than FRAMEFLEET_MAX_PIXELS; raise it and redrive if the file is genuine.",
    Reason.TOO_LONG: "The video is longer than FRAMEFLEET_MAX_DURATION_SECONDS; raise it and redrive if the file is genuine.",
    Reason.DECODER_CRASHED: "The decoder died of the signal named; keep the file as a bug report for FFmpeg.",
    Reason.DECODER_TIMEOUT: "The decoder ran past FRAMEFLEET_DECODE_DEADLINE_SECONDS; raise it and redrive.",
    Reason.ENGINE_REFUSED: "The engine refused this frame (a content policy or a malformed request); read its message.",
    Reason.ENGINE_FAILED: "The engine failed on this frame again and again while it answered others; redrive later.",
    Reason.INVALID_ANSWER: "No rung of the repair ladder gave an answer that fits the schema; read raw_answer, then redrive.",
    Reason.ANSWER_TOO_LONG: "The answer was cut at the token limit twice; redrive with a larger sampling.max_tokens.",
}
