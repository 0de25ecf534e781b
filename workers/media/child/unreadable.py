"""The child's one error."""

from schemas.reasons import Reason


class UnreadableError(Exception):
    """This video (or frame) cannot be read, for a reason from the closed list."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
