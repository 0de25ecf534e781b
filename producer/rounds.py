"""Looking at a job's sources: the look that was begun goes on; where all are at their end, another is for what is new or stale since."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from producer.plan import plan
from producer.sources import Source, open_sources
from producer.sources.stale import Stale
from schemas.errors import OperatorError
from schemas.job import JobSpec, Round, Why
from storage.job import Job, in_round
from storage.ledger import PlanPart


def new_parts(job: Job, asked: JobSpec, *, why: Why = Why.ADDED) -> Iterator[PlanPart]:
    """Plan what is to be planned, and yield each part once it is written.

    Raises:
        OperatorError: the sources cannot be read, another producer is at it, or the recipe is one that the job has left behind.
    """
    rounds = job.ledger().rounds()
    latest = rounds[-1] if rounds else None
    if job.ledger().complete_page(latest.number if latest else 0) is None:
        _refuse_mixing(job, latest, asked, why)
    else:
        _refuse_going_back(job, asked)
        latest = _another(asked, number=len(rounds) + 1, why=why)
    spec = in_round(job.spec(), latest) if latest else job.spec()
    return plan(job, spec, _opener(job, spec, latest), later=latest)


def _opener(job: Job, spec: JobSpec, later: Round | None) -> Callable[[], Source]:
    if later and later.why is Why.STALE:
        return lambda: Stale(job, recipe_id=later.recipe_id, before=later.number)
    return lambda: open_sources(spec.sources, spec.selection)


def _refuse_mixing(job: Job, latest: Round | None, asked: JobSpec, why: Why) -> None:
    """A look that was begun ends as it was begun."""
    begun = latest.why if latest else Why.ADDED
    recipe_id = latest.recipe_id if latest else job.spec().recipe_id
    if why is Why.STALE and (begun is not why or recipe_id != asked.recipe_id):
        raise OperatorError(f"{job.url} is still being planned with recipe {recipe_id}: run that launch to its end first, then this again.")


def _refuse_going_back(job: Job, asked: JobSpec) -> None:
    """Shards are named by their recipe, so what an earlier recipe has made stands as it is and would not become the latest."""
    *left, latest = job.recipe_ids()
    if asked.recipe_id in left:
        raise OperatorError(
            f"{job.url} went from recipe {asked.recipe_id} to {latest} and cannot go back: "
            "its older records are still there, under their recipe_id. Use another output."
        )


def _another(asked: JobSpec, *, number: int, why: Why) -> Round:
    return Round(
        number=number,
        why=why,
        recipe=asked.recipe,
        recipe_id=asked.recipe_id,
        work=asked.work,
        created_at=datetime.now(UTC),
        created_by=asked.created_by,
        framefleet=asked.framefleet,
    )
