"""Whether shards are traced, and what becomes of that where they are not: nothing, and no library is loaded for it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from schemas.reasons import Stage
from schemas.task import ShardTask
from workers.settings import TraceSettings

if TYPE_CHECKING:
    from workers.pipeline import Outcome

log = logging.getLogger(__name__)


class ShardTrace:
    """One attempt at a shard that nobody traces."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What messages that come of this shard carry, so that their traces lead back to it."""
        return {}

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Work the shard in the block; how it ends is told."""
        yield

    def at(self, stage: Stage, place: int | None) -> None:
        """Note where the run is; `place` is the video's in its shard."""

    def took(self, stage: Stage, seconds: float) -> None:
        """Add something of a stage that has just ended, from whichever thread."""

    def judged(self, outcomes: "Sequence[Outcome]") -> None:
        """Tell what became of the videos."""


class Tracing:
    """Nobody traces."""

    def shard(self, task: ShardTask, *, message: str, attempt: int, headers: Mapping[str, str]) -> ShardTrace:  # noqa: ARG002
        """Trace an attempt at a shard; `headers` came with its message."""
        return UNTRACED

    @contextmanager
    def command(self, name: str) -> Iterator[Mapping[str, str]]:  # noqa: ARG002
        """Trace a command; gives the headers that messages which it sends are to carry."""
        yield {}

    def close(self) -> None:
        """Send what is left, within moments."""


UNTRACED = ShardTrace()


def open_tracing(settings: TraceSettings, *, service: str, instance: str) -> Tracing:
    """Trace, where the environment asks for it. Where the library for it is missing, work goes on without.

    Whoever forks starts its fork server before: from now on a thread sends spans.
    """
    if not settings.wanted:
        return Tracing()
    try:
        from workers.spans import Spans  # noqa: PLC0415 - loads OpenTelemetry
    except ImportError as error:
        log.warning("nothing is traced (%s): install framefleet[otel], or unset OTEL_EXPORTER_OTLP_ENDPOINT", error)
        return Tracing()
    return Spans(service=service, instance=instance)
