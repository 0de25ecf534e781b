from datetime import UTC, datetime

import pytest

from workers.backoff import delay_seconds, retry_after_seconds

NOON = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


def test_the_delay_doubles_up_to_its_limit():
    assert [delay_seconds(attempt=attempt) for attempt in (1, 2, 3, 7, 10_000)] == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_jitter_takes_the_delay_down_to_nothing():
    assert [delay_seconds(attempt=3, jitter=jitter) for jitter in (0.0, 0.5, 1.0)] == [0.0, 1.0, 2.0]


def test_the_server_is_left_alone_as_long_as_it_asks_within_reason():
    assert delay_seconds(attempt=1, retry_after=5.0, jitter=0.0) == 5.0
    assert delay_seconds(attempt=1, retry_after=86400.0, jitter=0.0) == 60.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("Mon, 05 Jan 2026 12:00:30 GMT", 30.0),
        ("Mon, 05 Jan 2026 11:59:00 GMT", 0.0),
        ("Mon, 05 Jan 2026 12:00:30 -0000", 30.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1" * 5000, None),
        ("Mon, 99 Jan 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header, seconds):
    assert retry_after_seconds(header, now=NOON) == seconds
