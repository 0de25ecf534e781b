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

    def __init__(self, reason: Reason, stage: Stage, message: str, *, log_tail: str = "", raw_answer: str = "", signal: str = "") -> None:
        """Keep what the dead letter will say: FFmpeg's last words, the engine's (cut) answer or the killing signal's name."""
        super().__init__(message)
        self.reason = reason
        self.stage = stage
        self.log_tail = log_tail
        self.raw_answer = raw_answer
        self.signal = signal


class FatalError(FleetError):
    """This process must not go on: whatever it touches would fail, guilty or not."""


class EngineDiedError(FatalError):
    """The engine's process is gone, and its frames with it: the worker leaves and is started again."""


class OperatorError(FleetError):
    """The command cannot do what was asked; the message says what to do next."""
