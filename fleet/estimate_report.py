"""An estimate in words: rows of figures, what they rest on, and how far it is while it is made."""

import time
from collections.abc import Callable, Iterator
from typing import Self

from rich.console import Console

from fleet.probe import Probe
from fleet.report import counts, print_rows, say
from fleet.view import PLAIN_EVERY_SECONDS
from producer.census import Census
from schemas.estimate import GIGABYTE, Estimate, Interval

HEADS = ("figure", "expected", "95 % between", "of that")
UNITS = (("TB", 1 << 40), ("GB", GIGABYTE), ("MB", 1 << 20), ("KB", 1 << 10))
CENT = 0.01
Row = tuple[str, str, str, str]
Words = Callable[[float], str]


def print_estimate(console: Console, found: Estimate) -> None:
    """Say what a job is likely to be and to cost, and how sure that is: a table on a terminal, tab-separated lines in a pipe."""
    say(console, f"{', '.join(found.sources)} with recipe {found.recipe} ({found.recipe_id})")
    if not found.looked_at_all:
        say(console, f"ONLY THE FIRST {found.objects:,} OBJECTS WERE LOOKED AT (--look): every figure is of those, and the job is larger.")
    print_rows(console, HEADS, [*_job_rows(found), *_dollar_rows(found)])
    for words in found.measured:
        say(console, f"measured: {words}")
    for words in found.assumed:
        say(console, f"assumed: {words}")
    if found.sample.not_read:
        say(console, f"{found.sample.not_read} of the sample could not be read now; the others stand for them")


def _job_rows(one: Estimate) -> Iterator[Row]:
    counted = _counted(whole=one.looked_at_all)
    yield "videos", f"{one.videos:,}", counted, f"{size(one.size_bytes)} in {one.objects:,} objects"
    yield "left out", f"{sum(one.skipped.values()):,}", counted, counts(one.skipped)
    yield "sample", f"{one.sample.probed:,}", "", f"{one.sample.frames:,} frames in it, probed in {one.sample.seconds:.1f} s"
    per_video = f"{one.frames.expected / one.videos:.1f} a video" if one.videos else ""
    yield "frames", f"{one.frames.expected:,.0f}", _between(one, one.frames), per_video
    reasons = ", ".join(f"{number:,.0f} {reason}" for reason, number in one.dead_by_reason.items())
    yield "dead videos", f"{one.dead_videos.expected:,.0f}", _between(one, one.dead_videos), reasons or "none in the sample"
    yield (
        "bytes read",
        size(one.bytes_read.expected),
        _between(one, one.bytes_read, size),
        f"{_share(one)} of the videos, in ranges",
    )
    yield (
        "GPU-hours",
        hours(one.accelerator_hours.expected),
        _between(one, one.accelerator_hours, hours),
        f"{_speed(one)} frames/s on each",
    )
    yield "captions", size(one.caption_bytes), "", "as lines in storage"
    yield "shards", f"{one.shards:,}", "", f"about; a plan of {size(one.plan_bytes)}, {one.messages:,} messages through Redis"


def _dollar_rows(one: Estimate) -> Iterator[Row]:
    paid, prices, asked = one.dollars, one.prices, one.requests
    yield "$ GPU", dollars(paid.accelerators), "", f"{prices.accelerator_hour:g} $ an hour"
    kinds = f"{asked.get:,.0f} GET, {asked.head:,.0f} HEAD at {prices.thousand_gets:g} $ a thousand"
    others = f"{asked.put:,.0f} PUT, {asked.list:,.0f} LIST at {prices.thousand_puts:g} $"
    yield "$ requests", dollars(paid.requests), "", f"{kinds}; {others}"
    yield "$ bytes", dollars(paid.bytes), "", f"{prices.gigabyte_read:g} $ a GB read"
    yield "$ storage", dollars(paid.storage_month), "", f"a month, {prices.gigabyte_month:g} $ a GB"
    yield "$ total", dollars(paid.total), f"{dollars(paid.low)} to {dollars(paid.high)}", "with the first month's storage"
    if paid.per_million_frames is not None:
        yield "$ per million frames", dollars(paid.per_million_frames), "", ""


def _counted(*, whole: bool) -> str:
    return "counted" if whole else "at least"


def _between(found: Estimate, one: Interval, words: Words = lambda number: f"{number:,.0f}") -> str:
    return _counted(whole=found.looked_at_all) if found.sample.whole else f"{words(one.low)} to {words(one.high)}"


def _share(one: Estimate) -> str:
    return f"{one.bytes_read.expected / one.size_bytes:.1%}" if one.size_bytes else "0 %"


def _speed(one: Estimate) -> str:
    return f"{1 / one.work.seconds_per_frame:,.4g}"


def size(size_bytes: float) -> str:
    """A number of bytes as people say it."""
    for name, unit in UNITS:
        if size_bytes >= unit:
            return f"{size_bytes / unit:,.1f} {name}"
    return f"{size_bytes:,.0f} B"


def hours(number: float) -> str:
    """A number of hours, in more digits where it is small."""
    return f"{number:,.1f}" if number >= 10 else f"{number:.3g}"  # noqa: PLR2004 - a matter of digits


def dollars(amount: float) -> str:
    """An amount to the cent."""
    return "< 0.01" if 0 < amount < CENT else f"{amount:,.2f}"


class Told:
    """Says how far an estimate is: on one line of a terminal, every few seconds in a pipe."""

    def __init__(self, console: Console, *, sample: int) -> None:
        """Say it on this console."""
        self._console, self._sample, self._most, self._probes = console, sample, sample, 0
        self._status = console.status("counting") if console.is_terminal else None
        self._said_at = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to show it."""
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        if self._status:
            self._status.stop()

    def counted(self, census: Census) -> None:
        """Say how many objects were counted."""
        self._most = min(self._sample, census.videos)
        self._tell(f"counting: {census.objects:,} objects, {census.videos:,} videos")

    def probed(self, probe: Probe) -> None:
        """Say how many videos were looked into."""
        self._probes += 1
        self._tell(f"looking into videos: {self._probes} of about {self._most}, the last {probe.video.uri}")

    def _tell(self, words: str) -> None:
        if self._status:
            self._status.update(words)
        elif time.monotonic() - self._said_at >= PLAIN_EVERY_SECONDS:
            self._said_at = time.monotonic()
            say(self._console, words)
