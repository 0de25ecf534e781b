"""The worker's entry point: `celery -A workers.app worker --pool=threads`, or `framefleet worker`."""

import atexit
import logging
import os
import sys
import threading
import warnings
from contextlib import suppress
from typing import Any, NoReturn

from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_init, worker_shutdown, worker_shutting_down
from celery.worker import state

from broker.app import make_app
from broker.progress import report_fault
from schemas.errors import EngineDiedError, FleetError, OperatorError
from schemas.redaction import secrets_in
from workers.logs import write_lines
from workers.settings import read_settings
from workers.tasks import EXIT_ENGINE_DIED, EXIT_UNFIT, CaptionShard

warnings.simplefilter("ignore", SecurityWarning)  # about root and pickle; messages are JSON only
settings = read_settings()
app = make_app(settings.broker_url)
caption_shard = app.register_task(CaptionShard())

log = logging.getLogger(__name__)


@setup_logging.connect  # type: ignore[untyped-decorator]
def log_lines(**_: Any) -> None:
    """One line an event on standard error; Celery's banner and per-task chatter stay out of it."""
    sys.__stdout__ = None  # type: ignore[misc]  # Celery says there, past all logging, that it was told to end
    write_lines(settings, secrets=secrets_in(os.environ), everywhere={"worker": CaptionShard.worker})


@worker_init.connect  # type: ignore[untyped-decorator]
def open_room(**_: Any) -> None:
    """Get ready before the first message is taken. Celery would swallow any error but an exit, and take messages that nobody can work."""
    log_lines()  # Celery asks for it only later
    try:
        caption_shard.open(settings, app)
    except EngineDiedError as error:
        _leave(error, EXIT_ENGINE_DIED)
    except FleetError as error:
        _leave(error, EXIT_UNFIT)
    except Exception as error:
        log.exception("this worker failed to start")
        _leave(error, EXIT_UNFIT)


def _leave(error: Exception, status: int) -> NoReturn:
    log.error("this worker cannot start: %s", error)
    with suppress(OperatorError):
        report_fault(app, str(error))
    raise SystemExit(status) from error


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def drain_room(**_: Any) -> None:
    """Begin to leave: a grace is all there is."""
    words = "this worker is told to end: it finishes or hands back what it has within %g s"
    threading.Thread(target=log.info, args=(words, settings.grace_seconds), daemon=True).start()  # a signal may have come amid a write
    caption_shard.drain()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def close_room(**_: Any) -> None:
    """Leave no process behind."""
    caption_shard.close()


def leave() -> NoReturn:
    """End the process with its exit status, and do not take the interpreter apart.

    All is closed by now. To take apart what is in memory takes seconds on a busy machine, in which no thread looks after the grace.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - as the standard library does in processes that it forks
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(exit_status())


def exit_status() -> int:
    """How this worker was told to end, once it has: 0 by an operator, else as `workers.tasks` names it. Celery keeps it to itself."""
    return int(state.should_stop or 0)
