"""The worker's entry point: `celery -A workers.app worker --pool=threads`, or `framefleet worker`."""

import logging
import warnings
from typing import Any

from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_init, worker_shutdown
from celery.worker import state

from broker.app import make_app
from broker.progress import report_fault
from schemas.errors import FleetError
from workers.settings import read_settings
from workers.tasks import EXIT_UNFIT, CaptionShard

settings = read_settings()
app = make_app(settings.broker_url)
caption_shard = app.register_task(CaptionShard())

log = logging.getLogger(__name__)


@setup_logging.connect  # type: ignore[untyped-decorator]
def log_plainly(**_: Any) -> None:
    """One line an event on standard error; Celery's banner and per-task chatter stay out of it."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    for noisy in ("celery", "httpx", "kombu", "amqp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").setLevel(logging.ERROR)  # tells a second time, with traceback, of every shard put back
    warnings.simplefilter("ignore", SecurityWarning)  # about root and pickle; messages are JSON only


@worker_init.connect  # type: ignore[untyped-decorator]
def open_room(**_: Any) -> None:
    """Get ready before the first message is taken."""
    try:
        caption_shard.open(settings, app)
    except FleetError as error:
        log.error("this worker cannot start: %s", error)  # noqa: TRY400 - the message says what to do; a traceback would not
        report_fault(app, str(error))
        raise SystemExit(EXIT_UNFIT) from error


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def close_room(**_: Any) -> None:
    """Leave no process behind."""
    caption_shard.close()


def exit_status() -> int:
    """How this worker was told to end, once it has: 0 by an operator, else as `workers.tasks` names it. Celery keeps it to itself."""
    return int(state.should_stop or 0)
