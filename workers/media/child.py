"""The life of a disposable child: one job, one untrusted video, an end."""

import os
import socket
from typing import NoReturn

from schemas.reasons import Reason
from workers.media import confine
from workers.media.channel import Channel
from workers.media.containers import is_fragmented, sniff
from workers.media.indexed import report_indexed
from workers.media.loglines import LogLines
from workers.media.objectfile import ObjectFile
from workers.media.pictures import Pictures
from workers.media.report import Report
from workers.media.scanned import report_scanned
from workers.media.unreadable import UnreadableError
from workers.media.wire import Job

CRASHED = 70


def live(conversation: int, memory: int, *, zygote: int, base_bytes: int) -> NoReturn:
    """Take the job, give up everything that it does not need, do it, and leave without looking back."""
    try:
        confine.forsake(parent=zygote, keep={conversation, memory})
        channel = Channel(socket.socket(fileno=conversation), memory)
        os.close(memory)
        job = channel.job()
        pictures = Pictures(channel.memory, job)
        confine.limit(address_space=base_bytes + job.memory_bytes, cpu_seconds=job.cpu_seconds)
        log = LogLines()
        log.listen()
        _do(job, channel, Report(channel, pictures, job, log))
    finally:
        os._exit(CRASHED)


def _do(job: Job, channel: Channel, report: Report) -> None:
    try:
        _read_video(ObjectFile(channel.read, job.size_bytes, announce=channel.plan), job, report)
    except UnreadableError as error:
        report.failed(error)
    except MemoryError:
        report.failed(UnreadableError(Reason.DECODER_CRASHED, f"The decoder needs more than {job.memory_bytes} bytes of memory."))
    except Exception as error:  # noqa: BLE001 - PyAV raises UnicodeDecodeError, IndexError and AttributeError on hostile files
        report.failed(UnreadableError(Reason.CORRUPT, f"FFmpeg cannot make sense of the file: {type(error).__name__}: {error}"))
    else:
        report.done()
    channel.wait_for_goodbye()


def _read_video(file: ObjectFile, job: Job, report: Report) -> None:
    demuxer = sniff(file.head)
    if demuxer == "mov" and not is_fragmented(file):
        report_indexed(file, job, report)
    else:
        report_scanned(file, job, report, demuxer)
