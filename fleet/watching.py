"""Options of commands that feed a job, and what they turn into: a watch over its budget and its deadline."""

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any

import typer

from broker.app import App
from fleet.budget import Guard, Watch
from fleet.deadline import moment_of
from fleet.guards import Budget, Deadline, Planned, Say
from fleet.spent import Meter
from schemas.errors import OperatorError
from schemas.estimate import Prices
from storage.job import Job
from storage.tenure import latest

KNOWN_SECONDS = 60.0
"""How old what is known of the plan's length may be."""

BudgetDollars = Annotated[
    float | None, typer.Option("--budget", help="Pause the job once so many dollars are spent; followed while this command runs.", min=0.01)
]
WorkerPrice = Annotated[
    float | None,
    typer.Option("--price", help="Dollars for an hour of one worker with its GPU.", envvar="FRAMEFLEET_GPU_DOLLARS_PER_HOUR", min=0),
]
DeadlineSaid = Annotated[
    str | None,
    typer.Option(
        "--deadline", metavar="TIME|DURATION", help="Warn when the job will not be done by 2026-12-24T18:00, or in 90m, 36h or 2d."
    ),
]
StopsAtDeadline = Annotated[bool, typer.Option("--stop-at-deadline", help="Pause the job at the deadline.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What an operator wants to be watched."""

    budget: float | None = None
    price: float | None = None
    deadline: datetime | None = None
    stops_at_deadline: bool = False

    @classmethod
    def of(
        cls,
        *,
        budget: BudgetDollars = None,
        price: WorkerPrice = None,
        deadline: DeadlineSaid = None,
        stop_at_deadline: StopsAtDeadline = False,
    ) -> "Watched":
        """Understand the options, before anything is begun.

        Raises:
            OperatorError: they make no sense, together or alone.
        """
        if budget is not None and price is None:
            raise OperatorError("--budget needs --price: dollars for an hour of one worker with its GPU.")
        if stop_at_deadline and deadline is None:
            raise OperatorError("--stop-at-deadline needs --deadline.")
        moment = None if deadline is None else moment_of(deadline, now=datetime.now(UTC))
        return cls(budget=budget, price=price, deadline=moment, stops_at_deadline=stop_at_deadline)

    def over(self, job: Job, app: App, *, noted: Mapping[str, float], say: Say) -> Watch:
        """Watch a job, going on with what was noted of its cost; it is metered also if nothing is asked, so that a later budget knows."""
        return Watch(Meter.at(app, job.url, noted), list(self._guards(job, say)))

    def _guards(self, job: Job, say: Say) -> list[Guard]:
        guards: list[Guard] = []
        if self.budget is not None and self.price is not None:
            guards.append(Budget(job, self.budget, Prices(accelerator_hour=self.price), say))
        if self.deadline is not None:
            planned = remembered(lambda: planned_of(job))
            guards.append(Deadline(job, self.deadline, planned, say, stops=self.stops_at_deadline))
        return guards


def watches(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a watch, which it takes together as `watched`; under `options.asks` where a command has both."""
    own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "watched"]
    options = inspect.signature(Watched.of, eval_str=True).parameters

    @wraps(command)
    def with_watched(*asked: Any, **given: Any) -> None:
        watched = Watched.of(**{name: given.pop(name) for name in options})
        command(*asked, **given, watched=watched)

    parameters = [*own, *options.values()]
    with_watched.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_watched.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_watched


def spent_of(job: Job) -> dict[str, float]:
    """What earlier producers have noted of a job's cost."""
    tenure = latest(job)
    return {} if tenure is None else tenure.spent


def planned_of(job: Job) -> Planned:
    """How much a job's plan holds, by the last head of each of its rounds."""
    ledger = job.ledger()
    numbers = [0, *(later.number for later in ledger.rounds())]
    heads = [head.header for number in numbers if (head := ledger.last_head(number)) is not None]
    complete = all(ledger.complete_page(number) is not None for number in numbers)
    return Planned(sum(header.videos_before + header.videos for header in heads), complete)


def remembered(ask: Callable[[], Planned], *, clock: Callable[[], float] = time.monotonic) -> Callable[[], Planned]:
    """Ask once a minute at most."""
    known: list[tuple[float, Planned]] = []

    def answer() -> Planned:
        if not known or clock() - known[0][0] >= KNOWN_SECONDS:
            known[:] = [(clock(), ask())]
        return known[0][1]

    return answer
