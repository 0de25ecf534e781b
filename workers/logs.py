"""How log lines look: one line an event, for people or as JSON, with what it is about bound once and nothing secret in it.

Loggers are the standard library's everywhere. What a line is about travels in context variables: bound at the edge, seen by all that
the edge calls, by coroutines that it starts, and by threads that are given a copy of the context.
"""

import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars, merge_contextvars, unbind_contextvars
from structlog.dev import ConsoleRenderer
from structlog.processors import ExceptionRenderer, JSONRenderer, TimeStamper
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, Processor

from schemas.redaction import Redactor
from workers.settings import LogSettings

CHATTY = dict.fromkeys(("amqp", "boto3", "botocore", "celery", "httpx", "kombu"), "WARNING") | {
    "celery.app.trace": "ERROR",  # tells a second time, with traceback, of every shard put back
    "opentelemetry": "ERROR",  # tells of each time that it tries again
}
"""Libraries that are heard only from this level on."""
FRAMES = 20
"""How many calls of a traceback are told."""
ORDER = ("timestamp", "level", "logger", "event", "worker", "job", "shard", "attempt", "video", "trace_id", "span_id")
"""In which order a JSON line says what it says; what else there is comes behind."""

log = logging.getLogger(__name__)


@contextmanager
def about(**context: object) -> Iterator[None]:
    """Say on every line of the block what it is about; what the block itself notes is forgotten behind it."""
    before = get_contextvars()
    bind_contextvars(**context)
    try:
        yield
    finally:
        clear_contextvars()
        bind_contextvars(**before)


def note(**context: object) -> None:
    """Say on every line from now on what it is about; None takes a word back."""
    unbind_contextvars(*(word for word, value in context.items() if value is None))
    bind_contextvars(**{word: value for word, value in context.items() if value is not None})


class Lines(logging.StreamHandler[TextIO]):
    """Writes lines to standard error."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Say what there was to say where its arguments do not fit, and nothing where nobody listens."""
        if record.args:
            record.msg, record.args = str(record.msg), None
            self.emit(record)


def write_lines(settings: LogSettings, *, secrets: Iterable[str] = (), everywhere: Mapping[str, str] | None = None) -> None:
    """Have all log lines of this process written to standard error, as set; `everywhere` stands on each line of JSON."""
    handler = Lines()
    level = settings.log_level.upper()
    handler.setLevel(level)  # loggers with a level of their own do not ask the root's
    handler.setFormatter(formatter_of(settings, handler.stream, Redactor(secrets), everywhere or {}))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in CHATTY.items():
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(True)
    _log_uncaught()


def formatter_of(settings: LogSettings, stream: TextIO, redact: Redactor, everywhere: Mapping[str, str]) -> ProcessorFormatter:
    """What turns a record into a line for this stream."""
    chain = _json(redact, everywhere) if settings.log_format == "json" else _text(redact, colours=stream.isatty())
    told: list[Processor] = [merge_contextvars, add_log_level, add_logger_name, TimeStamper(fmt="iso", utc=True)]
    return ProcessorFormatter(foreign_pre_chain=told, processors=[ProcessorFormatter.remove_processors_meta, *chain])


def _json(redact: Redactor, everywhere: Mapping[str, str]) -> list[Processor]:
    def ordered(_logger: Any, _method: str, line: EventDict) -> EventDict:
        told = {**everywhere, **line}
        return {word: told[word] for word in ORDER if word in told} | told

    def cleaned(_logger: Any, _method: str, line: EventDict) -> EventDict:
        return {word: _clean(value, redact) for word, value in line.items()}

    tracebacks = ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=FRAMES))
    return [tracebacks, ordered, cleaned, JSONRenderer()]


def _text(redact: Redactor, *, colours: bool) -> list[Processor]:
    def shown(_logger: Any, _method: str, line: EventDict) -> EventDict:
        return {word: _printable(redact(str(value))) for word, value in line.items()}

    return [_error_in_a_line, shown, ConsoleRenderer(colors=colours)]


def _clean(value: Any, redact: Redactor) -> Any:
    match value:
        case str():
            return redact(value)
        case bool() | int() | float() | None:
            return value
        case Mapping():
            return {str(name): _clean(part, redact) for name, part in value.items()}
        case list() | tuple():
            return [_clean(part, redact) for part in value]
        case _:
            return redact(repr(value))


def _printable(text: str) -> str:
    """The text in one line, and without what a terminal would obey: names of videos are anybody's."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _error_in_a_line(_logger: Any, _method: str, line: EventDict) -> EventDict:
    info = line.pop("exc_info", None)
    if info and info[1] is not None:
        line["error"] = in_a_line(info[1])
    return line


def in_a_line(error: BaseException) -> str:
    """An error, its causes, and where each was raised."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(told) < FRAMES:
        told.append(f"{type(cause).__name__}: {cause}{_where(cause)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return " <- ".join(told)


def _where(error: BaseException) -> str:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return f" ({last.tb_frame.f_globals.get('__name__', '?')}:{last.tb_lineno})" if last else ""


def _log_uncaught() -> None:
    """Have errors that nobody caught logged like any other."""

    def of_process(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("an error that nobody expected ends this process", exc_info=(kind, error, trace))

    def of_thread(ended: threading.ExceptHookArgs) -> None:
        name, info = ended.thread and ended.thread.name, (ended.exc_type, ended.exc_value, ended.exc_traceback)
        log.critical("an error that nobody expected ended the thread %s", name, exc_info=_whole(info))

    def of_nobody(ignored: "sys.UnraisableHookArgs") -> None:
        info = (ignored.exc_type, ignored.exc_value, ignored.exc_traceback)
        log.error("an error could not be raised in %r", ignored.object, exc_info=_whole(info))

    sys.excepthook, threading.excepthook, sys.unraisablehook = of_process, of_thread, of_nobody


def _whole(info: tuple[type[BaseException], BaseException | None, Any]) -> ExcInfo:
    kind, error, trace = info
    return kind, error or kind(), trace
