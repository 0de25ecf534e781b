"""A Redis client that puts the fleet's prefix before every key it names. kombu's own leaves out most commands."""

# mypy: allow-untyped-calls

from typing import Any

import redis
from redis.client import Pipeline

KEYLESS = frozenset({"PING", "INFO", "FLUSHALL", "FLUSHDB", "CONFIG", "CLIENT", "TIME", "MULTI", "EXEC", "EVAL"})
"""Commands that name no key, and EVAL, whose callers know where theirs are."""
ALL_KEYS = frozenset({"MGET", "DEL", "EXISTS", "UNLINK", "WATCH", "KEYS"})


def with_prefix(prefix: str, words: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put the prefix before the keys of a command."""
    name = str(words[0]).split(" ", maxsplit=1)[0].upper()
    if not prefix or name in KEYLESS:
        return words
    keys = len(words) - 1 if name in ALL_KEYS else 1
    return (words[0], *(f"{prefix}{_text(key)}" for key in words[1 : 1 + keys]), *words[1 + keys :])


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


class PrefixedPipeline(Pipeline):
    """A pipeline of such a client."""

    prefix = ""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Queue or run a command."""
        return super().execute_command(*with_prefix(self.prefix, args), **options)


class PrefixedRedis(redis.Redis):
    """A client for the commands of this room, each of which names one key, or only keys."""

    def __init__(self, pool: redis.ConnectionPool, prefix: str) -> None:
        """Use the connections of a pool."""
        super().__init__(connection_pool=pool)
        self.prefix = prefix

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command."""
        return super().execute_command(*with_prefix(self.prefix, args), **options)

    def pipeline(self, transaction: Any = True, shard_hint: str | None = None) -> PrefixedPipeline:  # noqa: FBT002 - redis-py's signature
        """Collect commands."""
        pipe = PrefixedPipeline(self.connection_pool, self.response_callbacks, bool(transaction), shard_hint)
        pipe.prefix = self.prefix
        return pipe
