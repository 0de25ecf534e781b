import math
from datetime import UTC, datetime, timedelta

import pytest

from fleet.deadline import Outlook, Pace, moment_of, span
from schemas.errors import OperatorError

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def outlook(**fields) -> Outlook:
    given = {"seconds_left": 3600.0, "videos_left": 1000.0, "videos_per_second": 1.0, "workers": 4, "plan_complete": True} | fields
    return Outlook(**given)


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("90m", NOON + timedelta(minutes=90)),
        ("36h", NOON + timedelta(hours=36)),
        ("1.5d", NOON + timedelta(hours=36)),
        ("2026-12-24T18:00+01:00", datetime(2026, 12, 24, 17, tzinfo=UTC)),
        ("2026-12-24T18:00Z", datetime(2026, 12, 24, 18, tzinfo=UTC)),
    ],
)
def test_a_deadline_is_a_moment_or_a_duration(said, moment):
    assert moment_of(said, now=NOON) == moment


@pytest.mark.parametrize("said", ["", "soon", "90", "-3h", "3 h", "18:00", "2026-11-21T11:00Z", "2026-13-01"])
def test_what_is_no_deadline_to_come_is_refused(said):
    with pytest.raises(OperatorError, match=r"write 90m|later one"):
        moment_of(said, now=NOON)


def test_the_pace_is_that_of_the_last_ten_minutes():
    pace = Pace()
    for second in range(0, 1201, 10):
        pace.note(second, min(second, 600) * 10 + max(0, second - 600))

    assert pace.videos_per_second == pytest.approx(1.0)


def test_half_a_minute_is_waited_before_anything_is_told():
    pace = Pace()
    pace.note(0, 0)
    pace.note(29, 290)
    assert pace.videos_per_second is None

    pace.note(30, 300)
    assert pace.videos_per_second == 10


def test_a_job_that_is_in_time_needs_nobody():
    assert not outlook().late
    assert outlook().more_workers == 0
    assert str(outlook()) == "at this pace 1,000 videos take another 17 min"


def test_a_late_job_is_told_how_many_more_workers_would_make_it():
    late = outlook(videos_left=10_000)

    assert late.late
    assert late.more_workers == 8  # 4 x 10,000 s in 3,600 s: 11.1 workers
    assert str(late) == "at this pace 10,000 videos take another 2 h 47 min; 8 more workers (now 4) would make it"
    assert outlook(videos_left=9000, workers=2).more_workers == 3  # exactly 5


def test_a_plan_that_grows_makes_it_later_still():
    assert "the plan still grows" in str(outlook(plan_complete=False))


@pytest.mark.parametrize("fields", [{"seconds_left": -1.0}, {"workers": 0}, {"videos_per_second": 0.0}])
def test_what_cannot_be_told_is_not_made_up(fields):
    assert outlook(**fields).more_workers is None


def test_where_nothing_was_finished_that_is_said():
    standing = outlook(videos_per_second=0.0)

    assert math.isinf(standing.seconds_needed)
    assert str(standing) == "nothing was finished of late, 1,000 videos are left and 4 workers are there"
    assert not outlook(videos_per_second=0.0, videos_left=0).late


def test_durations_are_told_as_people_say_them():
    assert [span(seconds) for seconds in (1, 3599, 3601, 90_000)] == ["1 min", "1 h 00 min", "1 h 01 min", "25 h 00 min"]
