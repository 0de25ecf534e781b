"""Findings in words and tables: for people on a terminal, plain lines in a pipe."""

import shlex
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from broker.breaker import BreakerState
from fleet.audit import AuditReport
from fleet.efficiency import in_words, without_ceiling, work_in_words
from fleet.reads import VideoReads, megabytes, per_video, with_total
from fleet.status import BrokerStatus, JobStatus
from schemas.control import ControlState
from schemas.record import DeadLetter

MOST_WORKERS = 16
"""Workers that are told of one by one; sums are of all."""


def print_audit(console: Console, report: AuditReport) -> None:
    """Say what an audit found, and whether it proves the job complete and clean."""
    verdict = {
        (True, True): "complete and clean",
        (True, False): "complete, but not clean",
        (False, True): "not complete yet",
        (False, False): "neither complete nor clean",
    }[report.complete, report.clean]
    say(console, f"{report.job} is {verdict}.")
    say(console, f"  {report.videos} videos in {report.shards} shards: {report.captioned_videos} captioned, {report.dead_videos} dead")
    say(console, f"  {report.frames} frames captioned, {report.dead_frames} dead; {report.superseded_letters} dead letters superseded")
    if report.splits or report.void_splits:
        say(
            console, f"  {report.splits} shards were split, so that one video's crashes cost no other; {report.void_splits} splits are void"
        )
    if report.dead_by_reason:
        say(console, f"  dead letters: {counts(report.dead_by_reason)}; see: framefleet dead list {report.job}")
    if not report.plan_complete:
        say(console, "  the plan is not complete; run the command that made the job again")
    for finding in report.findings:
        say(console, f"  {finding}")


def print_status(console: Console, status: JobStatus) -> None:
    """Say how far a job is."""
    say(console, f"{status.job}: {status.source} with recipe {status.recipe} ({status.recipe_id})")
    if status.control.state is not ControlState.RUNNING:
        say(console, f"  {status.control}; to go on with it: framefleet resume {status.job}")
    plan = "complete" if status.plan_complete else "still growing"
    say(console, f"  plan: {plan}, {status.videos} videos in {status.shards} shards")
    if status.skipped:
        say(console, f"  left out of the plan: {counts(status.skipped)}")
    share = 100 * status.committed_videos / status.videos if status.videos else 0
    about = "" if status.looked_at == 1 else f"about, by {status.looked_at:.1%} of the shards (--exact looks at all): "
    say(console, f"  committed: {about}{status.committed_videos} videos ({share:.0f} %) in {status.committed_shards} shards")
    say(console, f"  dead letters: {counts(status.dead_by_reason) or 'none'}")
    if status.broker:
        print_broker(console, status.broker)


def print_broker(console: Console, broker: BrokerStatus) -> None:
    """Say what the broker knows of a job, and how its workers are."""
    say(console, f"  broker: {broker.waiting} shards wait, {broker.in_work} in work, {broker.frames} frames so far")
    if broker.breaker:
        say(console, f"  {breaker_in_words(broker.breaker)}")
    if broker.videos:
        say(console, f"  storage: {per_video(broker)}")
    if broker.waiting and not broker.workers:
        say(console, "  no worker of this broker tells of itself: start some, or look into the logs of those that should be there")
    if broker.together:
        say(console, f"  all workers ({len(broker.workers)}): {in_words(broker.together)}")
    for one in broker.workers[:MOST_WORKERS]:
        say(console, f"    {one.vitals.worker} ({one.vitals.engine}): {in_words(one.efficiency)}; {work_in_words(one.vitals)}")
    if len(broker.workers) > MOST_WORKERS:
        say(console, f"    and {len(broker.workers) - MOST_WORKERS} more; see --json")
    for engine in without_ceiling(one.vitals for one in broker.workers):
        say(console, f"  no ceiling is known of {engine}; before workers start, run there: framefleet bench engine --engine {engine}")
    for fault in broker.faults[:3]:
        say(console, f"  a worker says: {fault}")


def breaker_in_words(state: BreakerState) -> str:
    """Say since when the breaker is open, why, and what happens next."""
    probe = f"workers take nothing but a probe, the next in {state.next_probe_in_seconds:.0f} s"
    return f"the breaker is open since {state.opened_at:%H:%M} UTC: {state.in_words()}; {probe}"


def print_reads(console: Console, reads: Iterable[VideoReads]) -> None:
    """List what was read of each video, and of all: a table on a terminal, tab-separated lines in a pipe."""
    heads = ("size", "read", "part", "requests", "frames", "video")
    print_rows(console, heads, map(_reads_row, with_total(reads)))


def _reads_row(one: VideoReads) -> tuple[object, ...]:
    return (megabytes(one.size_bytes), megabytes(one.bytes_read), f"{one.share:.1%}", one.requests, one.frames, one.uri)


def print_rows(console: Console, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table on a terminal, tab-separated lines in a pipe."""
    texts = ([str(cell) for cell in row] for row in rows)
    if not console.is_terminal:
        for row in texts:
            console.file.write("\t".join(row) + "\n")  # the console would turn tabs into spaces
        return
    table = Table(*heads, box=None, header_style="bold")
    for row in texts:
        table.add_row(*row)
    console.print(table)


def print_letters(console: Console, letters: Iterable[tuple[str, DeadLetter]]) -> None:
    """List dead letters: a table on a terminal, tab-separated lines in a pipe."""
    rows = ((letter.reason.value, letter.stage.value, letter.codec, frame_in(letter), letter.video.uri, key) for key, letter in letters)
    print_rows(console, ("reason", "stage", "codec", "frame", "video", "letter"), rows)


def print_letter(console: Console, key: str, letter: DeadLetter) -> None:
    """Show one dead letter, field by field, and how to try its video again."""
    for name, value in letter.model_dump(mode="json", exclude_defaults=True).items():
        say(console, f"{name}: {value}")
    say(console, f"redrive: {shlex.join(['framefleet', 'dead', 'redrive', letter.job, '--video', letter.video.uri])}")
    say(console, f"letter: {key}")


def frame_in(letter: DeadLetter) -> str:
    """Say which frame is dead, or that all of the video is."""
    return "all" if letter.frame_index is None else f"{letter.frame_index} of {letter.frames_chosen}"


def counts(by_name: Mapping[str, int]) -> str:
    """Put counts into words: `3 truncated, 1 encrypted`."""
    return ", ".join(f"{number} {name}" for name, number in by_name.items())


def say(console: Console, words: str) -> None:
    """Print words as they are."""
    console.print(words, soft_wrap=True, highlight=False, markup=False, emoji=False)
