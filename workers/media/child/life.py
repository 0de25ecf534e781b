"""The life of a disposable child: one job, one untrusted video, an end."""

import os
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from schemas.reasons import Reason
from workers.media.child import heap
from workers.media.child.channel import Channel
from workers.media.child.loglines import LogLines
from workers.media.child.objectfile import ObjectFile
from workers.media.child.report import Report
from workers.media.child.unreadable import UnreadableError
from workers.media.child.unusable import UnusableIndexError
from workers.media.lock.confine import Lock
from workers.media.pictures.rendering import Pictures
from workers.media.readers.containers import is_fragmented, sniff
from workers.media.readers.cued import report_cued
from workers.media.readers.fragmented import report_fragmented
from workers.media.readers.indexed import report_indexed
from workers.media.readers.scanned import report_scanned
from workers.media.readers.transport import report_transport
from workers.media.wire import Job

CRASHED = 70
Deed = Callable[[Job, Channel, Report], None]


def live(conversation: int, memory: int, *, lock: Lock, deed: Deed | None = None, reused: bool = False) -> NoReturn:
    """Take the job, put the lock on, do the job (or another deed in its place), and leave without looking back.

    Who is reused takes another job after one that went well, until half of its CPU is used.
    """
    try:
        heap.map_ahead()
        lock.forsake(keep={conversation, memory})
        channel = Channel(socket.socket(fileno=conversation), memory)
        os.close(memory)
        job = channel.job()
        log = LogLines(channel.memory)
        log.listen()
        report = Report(channel, Pictures(channel.memory, job), job, log)
        lock.close(memory_bytes=job.memory_bytes, cpu_seconds=job.cpu_seconds)
        if deed is not None:
            deed(job, channel, report)
        while _do(job, channel, report):
            again = reused and time.process_time() < job.cpu_seconds / 2
            report.done(again=again)
            if not again:
                break
            job = channel.job()
            report = Report(channel, Pictures(channel.memory, job), job, log)
        channel.wait_for_goodbye()
    finally:
        os._exit(CRASHED)


def _do(job: Job, channel: Channel, report: Report) -> bool:
    """Read the video; says whether that went well, and tells the parent if not."""
    try:
        _read_video(ObjectFile(channel.read, job.size_bytes, fetch_all=channel.read_all, announce=channel.plan), job, report)
    except UnreadableError as error:
        report.failed(error)
    except MemoryError:
        report.failed(UnreadableError(Reason.DECODER_CRASHED, f"The decoder needs more than {job.memory_bytes} bytes of memory."))
    except Exception as error:  # noqa: BLE001 - PyAV raises UnicodeDecodeError, IndexError and AttributeError on hostile files
        report.failed(UnreadableError(Reason.CORRUPT, f"FFmpeg cannot make sense of the file: {type(error).__name__}: {error}"))
    else:
        return True
    return False


def _read_video(file: ObjectFile, job: Job, report: Report) -> None:
    demuxer = sniff(file.head)
    try:
        _read_by_index(file, job, report, demuxer)
    except UnusableIndexError:
        report_scanned(file, job, report, demuxer)


def _read_by_index(file: ObjectFile, job: Job, report: Report, demuxer: str) -> None:
    match demuxer:
        case "mov":
            read = report_fragmented if is_fragmented(file) else report_indexed
        case "matroska":
            read = report_cued
        case "mpegts":
            read = report_transport
        case _:
            raise UnusableIndexError("Such files have no index.")
    read(file, job, report)
