import io
from datetime import UTC, datetime

import pytest
from builders import HandmadeJob, letter, lines
from rich.console import Console

from broker.breaker import BreakerState
from fleet.audit import AuditReport, audit
from fleet.report import counts, frame_in, print_audit, print_broker, print_letter, print_letters, print_status
from fleet.status import BrokerStatus, status_of
from schemas.control import Control, ControlState
from schemas.reasons import Reason
from schemas.task import ShardTask


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


@pytest.fixture
def shard(handmade: HandmadeJob) -> ShardTask:
    task = handmade.shard("a.mp4", "b.mp4")
    handmade.commit(task, *lines(task, 3, but=(1,)))
    handmade.bury(letter(task, 1, 3, codec="h264"), letter(task, place=1, reason=Reason.ENCRYPTED))
    handmade.complete()
    return task


def printed(print_it, *things: object, terminal: bool = False) -> str:
    """What a function prints into a narrow pipe, or on a terminal."""
    file = io.StringIO()
    print_it(Console(file=file, width=200 if terminal else 20, force_terminal=terminal, no_color=True), *things)
    return file.getvalue()


@pytest.mark.usefixtures("shard")
def test_an_audit_is_told_in_whole_lines_however_narrow_the_terminal(handmade: HandmadeJob) -> None:
    url = handmade.job.url
    assert printed(print_audit, audit(handmade.job)).splitlines() == [
        f"{url} is complete and clean.",
        "  2 videos in 1 shards: 1 captioned, 1 dead",
        "  2 frames captioned, 1 dead; 0 dead letters superseded",
        f"  dead letters: 1 corrupt, 1 encrypted; see: framefleet dead list {url}",
    ]


@pytest.mark.parametrize(
    ("uncommitted", "orphans", "verdict"),
    [(0, 0, "complete and clean"), (0, 1, "complete, but not clean"), (1, 0, "not complete yet"), (1, 1, "neither complete nor clean")],
)
@pytest.mark.usefixtures("shard")
def test_the_verdict_says_whether_all_is_there_and_nothing_else(
    handmade: HandmadeJob, uncommitted: int, orphans: int, verdict: str
) -> None:
    report: AuditReport = audit(handmade.job).model_copy(
        update={"uncommitted": uncommitted, "orphans": orphans, "findings": ("orphans: shard [b]x[/b]",)}
    )
    words = printed(print_audit, report).splitlines()
    assert words[0].endswith(f" is {verdict}.")
    assert words[-1] == "  orphans: shard [b]x[/b]"


def test_a_plan_that_is_not_complete_is_told(handmade: HandmadeJob) -> None:
    assert "the plan is not complete; run the command that made the job again" in printed(print_audit, audit(handmade.job))


@pytest.mark.usefixtures("shard")
def test_a_status_is_told_in_words(handmade: HandmadeJob) -> None:
    words = printed(print_status, status_of(handmade.job, None))
    assert "plan: complete, 2 videos in 1 shards" in words
    assert "committed: 2 videos (100 %) in 1 shards" in words
    assert "dead letters: 1 corrupt, 1 encrypted" in words
    assert "broker" not in words


def test_a_status_without_anything_planned_divides_by_nothing(handmade: HandmadeJob) -> None:
    words = printed(print_status, status_of(handmade.job, None))
    assert "plan: still growing" in words
    assert "0 videos (0 %)" in words
    assert "dead letters: none" in words


def test_a_status_says_that_a_job_is_halted_and_how_it_goes_on(handmade: HandmadeJob) -> None:
    status = status_of(handmade.job, None)
    assert "framefleet resume" not in printed(print_status, status)
    words = printed(print_status, status.model_copy(update={"control": Control(state=ControlState.PAUSED, by="ann", why="[b]full[/b]")}))
    assert f"  paused by ann ([b]full[/b]); to go on with it: framefleet resume {handmade.job.url}\n" in words


def test_a_status_tells_of_the_broker_and_the_latest_faults(handmade: HandmadeJob) -> None:
    broker = BrokerStatus(
        waiting=4, in_work=2, frames=9, videos=2, bytes_read=5_000_000, requests=8, object_bytes=9_000_000, faults=tuple("abcd")
    )
    status = status_of(handmade.job, None).model_copy(update={"broker": broker, "skipped": {"excluded": 3}})
    words = printed(print_status, status)
    assert "4 shards wait, 2 in work, 9 frames so far" in words
    assert "storage: 5.00 MB of 9.00 MB in 8 requests, 2.50 MB a video" in words
    assert "left out of the plan: 3 excluded" in words
    assert words.count("a worker says") == 3


def test_a_breaker_that_is_open_is_told_in_one_line_and_a_closed_one_not_at_all() -> None:
    broker = BrokerStatus(waiting=4, in_work=0, frames=0, videos=0, bytes_read=0, requests=0, object_bytes=0, faults=())
    assert "breaker" not in printed(print_broker, broker)
    state = BreakerState(
        opened_at=datetime(2026, 1, 2, 14, 2, 59, tzinfo=UTC),
        failure="engine_failed",
        failing=18,
        units=20,
        workers=3,
        next_probe_in_seconds=12.3,
    )
    assert printed(print_broker, broker.model_copy(update={"breaker": state})).splitlines()[1] == (
        "  the breaker is open since 14:02 UTC: 18 of the last 20 videos failed with engine_failed on 3 workers; "
        "workers take nothing but a probe, the next in 12 s"
    )


def test_letters_in_a_pipe_are_lines_of_six_columns(handmade: HandmadeJob, shard: ShardTask) -> None:
    rows = [row.split("\t") for row in printed(print_letters, handmade.job.letters()).splitlines()]
    assert [len(row) for row in rows] == [6, 6]
    assert rows[0][:5] == ["corrupt", "decode", "h264", "1 of 3", shard.videos[0].uri]
    assert rows[1][:5] == ["encrypted", "decode", "", "all", shard.videos[1].uri]


@pytest.mark.usefixtures("shard")
def test_letters_on_a_terminal_are_a_table_with_heads(handmade: HandmadeJob) -> None:
    words = printed(print_letters, handmade.job.letters(), terminal=True)
    assert "reason" in words.splitlines()[0]
    assert "1 of 3" in words


@pytest.mark.usefixtures("shard")
def test_a_letter_is_shown_field_by_field(handmade: HandmadeJob) -> None:
    key, found = next(handmade.job.letters())
    words = printed(print_letter, key, found)
    assert "reason: corrupt\n" in words
    assert "message: It is broken.\n" in words
    assert f"redrive: framefleet dead redrive {found.job} --video {found.video.uri}\n" in words
    assert words.endswith(f"letter: {key}\n")


def test_counts_are_put_into_words(shard: ShardTask) -> None:
    assert counts({"truncated": 3, "encrypted": 1}) == "3 truncated, 1 encrypted"
    assert counts({}) == ""
    assert (frame_in(letter(shard)), frame_in(letter(shard, 0, 2))) == ("all", "0 of 2")
