"""How long to wait before asking a server again: pure policy."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_RETRY_AFTER_SECONDS = 60.0


def delay_seconds(
    *, attempt: int, retry_after: float | None = None, jitter: float = 1.0, first_seconds: float = 0.5, longest_seconds: float = 30.0
) -> float:
    """Seconds to wait after the `attempt`-th failed try: what the server asks for, and exponential backoff with full jitter on top.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    asked = min(retry_after or 0.0, LONGEST_RETRY_AFTER_SECONDS)
    return asked + jitter * min(longest_seconds, first_seconds * 2.0 ** min(attempt - 1, 32))


def retry_after_seconds(header: str | None, *, now: datetime) -> float | None:
    """Read a Retry-After header, in seconds or as an HTTP date (RFC 9110, 10.2.3); None if there is none that makes sense."""
    if header is None:
        return None
    if header.strip().isdecimal() and len(header) <= len("1000000000"):
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
