"""Errors, named by what the fleet does next.

FleetError
 ├ TransientError    try again soon, with backoff and jitter
 ├ PermanentError    write a dead letter, go on
 ├ FatalError        this process is unfit: stop taking work; the broker gives the message to another
 │  └ EngineDiedError    the engine's own process is gone: nothing is said about the frames it was at
 └ OperatorError     a command cannot go on: its message says what to do
"""

from schemas.reasons import Reason, Stage


class FleetError(Exception):
    """Something the fleet knows what to do about."""


class TransientError(FleetError):
    """The same work may well succeed in a while."""


class PermanentError(FleetError):
    """This video or frame cannot be captioned: a dead letter says why."""

    def __init__(
        self, reason: Reason, stage: Stage, message: str, *, log_tail: str = "", raw_answer: str = "", signal: str = "", codec: str = ""
    ) -> None:
        """Keep what the dead letter will say: FFmpeg's last words, its name of the codec, the engine's (cut) answer, the killing signal."""
        super().__init__(message)
        self.reason = reason
        self.stage = stage
        self.log_tail = log_tail
        self.raw_answer = raw_answer
        self.signal = signal
        self.codec = codec


class FatalError(FleetError):
    """This process must not go on: whatever it touches would fail, guilty or not."""


class EngineDiedError(FatalError):
    """The engine's process is gone, and its frames with it: the worker leaves and is started again."""


class OperatorError(FleetError):
    """The command cannot do what was asked; the message says what to do next."""


class BrokerAwayError(OperatorError):
    """The broker does not answer: it may be back in a while, with or without what it knew."""


class ClaimLostError(FleetError):
    """The claim ran out: its shard is another worker's now."""


class HandedBackError(FleetError):
    """This worker has no time left for the shard: another one takes it, and nobody is charged."""


class DroppedError(FleetError):
    """Nobody wants the shard now, its job being paused or cancelled: its message goes, and resuming queues it again."""


class DoubtedError(TransientError):
    """What became of the shard is not believed yet: it is tried again."""


class UnsuitableError(FleetError):
    """This worker cannot work the shard, and another kind of worker can."""
