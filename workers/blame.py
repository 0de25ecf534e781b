"""After a crash: whose fault it may be, and giving back what was being worked on."""

from collections.abc import Sequence

from broker.app import App
from broker.claims import Claims
from broker.queues import claims_messages, redis_of
from broker.trials import Trials
from workers.blackbox import Step


def blame(app: App, steps: Sequence[Step], *, how: str) -> None:
    """Charge the shard that was alone in the worker; where there were several, none is charged, and each runs alone from now on.

    A shard that was only waiting for its turn is left out, and so is one that lacked nothing but the acknowledgement.
    """
    at_work = [step for step in steps if step.stage is not None and not step.committed]
    for step in at_work:
        trials = Trials(app, step.job)
        trials.crashed(step.shard_id, tag=step.tag, how=how, alone=len(at_work) == 1, place=step.place, stage=step.stage)


def refund(app: App, steps: Sequence[Step]) -> None:
    """Take back the attempts at shards that nobody is to blame for."""
    for step in steps:
        Trials(app, step.job).refund(step.shard_id, tag=step.tag)


def give_back(app: App, steps: Sequence[Step]) -> None:
    """Let others have the messages now, instead of when their claims run out. Celery's own transport cannot."""
    if not claims_messages(app):
        return
    with redis_of(app) as redis:
        for step in steps:
            redis.execute_command(*Claims(redis.prefix).give_back(step.tag, as_the="next"))
