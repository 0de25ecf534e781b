"""Workers that break a rule on purpose, so that the torture is seen to find it: `python -m fleet.torture.sabotaged RULE worker`."""

import sys
from collections.abc import Sequence
from enum import StrEnum

from broker.claims import Claims
from broker.queues import message_id, redis_of
from fleet.cli import main
from schemas.job import JobSpec
from schemas.record import FrameRecord
from schemas.task import ShardTask
from storage.job import Job
from storage.s3 import S3Store


class Rule(StrEnum):
    """What is broken."""

    CREATE_ONLY = "create-only"
    """Whoever commits writes over what is there."""
    COMMIT_FIRST = "commit-first"
    """The message is acknowledged before its shard is committed."""


def break_create_only() -> None:
    """Have workers write over committed objects."""

    def overwrite(store: S3Store, key: str, body: bytes) -> bool:
        store.replace(key, body)
        return True

    setattr(S3Store, "create", overwrite)  # noqa: B010 - to break it is the point


def break_commit_first() -> None:
    """Have workers acknowledge before they commit."""
    commit = Job.commit

    def acknowledged(job: Job, task: ShardTask, records: Sequence[FrameRecord], spec: JobSpec) -> bool:
        from workers.app import app, caption_shard  # noqa: PLC0415 - reads the environment that the command line sets

        tag = caption_shard.request.properties["delivery_tag"]
        with redis_of(app) as redis:
            redis.execute_command(*Claims(redis.prefix).end(tag, once=message_id(task.job, task.shard_id)))
        return commit(job, task, records, spec)

    setattr(Job, "commit", acknowledged)  # noqa: B010 - to break it is the point


def worker_breaking(rule: Rule) -> tuple[str, ...]:
    """What such a worker's process runs."""
    return ("-m", "fleet.torture.sabotaged", rule.value, "worker")


if __name__ == "__main__":
    match Rule(sys.argv.pop(1)):
        case Rule.CREATE_ONLY:
            break_create_only()
        case Rule.COMMIT_FIRST:
            break_commit_first()
    main()
