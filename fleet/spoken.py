"""What commands say, as log lines where the environment asks for JSON: for pods, whose words nobody reads on a terminal."""

import io
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, cast

from rich.console import Console

from broker.messages import carrying
from schemas.redaction import secrets_in
from workers.settings import TraceSettings, read_log_settings
from workers.tracing import open_tracing

FEEDING = ("launch", "reconcile", "resume")
"""Commands that send shards, and are traced so that the traces of these lead back to them."""
WIDTH = 100_000
"""Characters of a line that is never wrapped."""

FAILURE = "framefleet: "
"""What a command begins with where it says why it cannot go on."""

log = logging.getLogger("framefleet")


class LogLines(io.TextIOBase):
    """A stream whose lines are logged."""

    def __init__(self) -> None:
        """Begin with an empty line."""
        self._begun = ""

    def write(self, text: str) -> int:
        """Log each line that this ends."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            log.log(logging.ERROR if line.startswith(FAILURE) else logging.INFO, "%s", line)
        return len(text)


def speak_as_asked(console: Console) -> None:
    """Log what is said on this console, and all else, as JSON if the environment asks for it; people read it as it is.

    Raises:
        OperatorError: it asks for what makes no sense.
    """
    settings = read_log_settings()
    if settings.log_format != "json":
        return
    from workers.logs import write_lines  # noqa: PLC0415 - nobody else needs what it loads

    write_lines(settings, secrets=secrets_in(os.environ))
    console.file, console.width = cast("IO[str]", LogLines()), WIDTH


@contextmanager
def traced(words: Sequence[str]) -> Iterator[None]:
    """Trace a command that feeds the queue, where the environment asks for it."""
    if not words or words[0] not in FEEDING:
        yield
        return
    tracing = open_tracing(TraceSettings(), service="framefleet-producer", instance=str(os.getpid()))
    try:
        with tracing.command(words[0]) as headers, carrying(headers):
            yield
    finally:
        tracing.close()
