"""Tries every part of a fleet and says which one is ill, and what helps."""

import platform
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from broker.app import make_app
from broker.embedded import embedded_redis, redis_server_path
from broker.queues import ShardQueue
from schemas.errors import FleetError, OperatorError
from storage import StoreError, open_store
from workers.media.forks.siege import besiege
from workers.room import Room
from workers.settings import WorkerSettings

LIBRARIES = ("framefleet", "celery", "redis", "kombu", "boto3", "obstore", "av", "pydantic", "numpy")


@dataclass(frozen=True, slots=True)
class Finding:
    """One part, whether it is well, and what was seen."""

    part: str
    well: bool
    seen: str


def examine(*, broker_url: str | None, store_url: str | None, settings: WorkerSettings) -> Iterator[Finding]:
    """Try the parts, one after the other."""
    yield Finding("versions", True, f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES))
    yield _try("broker", lambda: _broker(broker_url))
    if store_url is not None:
        yield _try("store", lambda: _store(store_url))
    yield _try("decoder", lambda: _decoder(unlocked=settings.decoder_unlocked))
    yield _try("engine", lambda: _engine(settings))


def _try(part: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(part, True, look())
    except (FleetError, StoreError) as error:
        return Finding(part, False, str(error))


def _broker(url: str | None) -> str:
    if url is not None:
        return f"{url.rpartition('@')[2]} answers; {ShardQueue(make_app(url)).depth()} shards wait"
    with embedded_redis() as private:
        ShardQueue(make_app(private)).depth()
    return f"a private redis-server starts and answers ({redis_server_path().rpartition('/')[2]}); name a broker with --broker"


def _store(url: str) -> str:
    """Write an object twice: the second time must be refused, or two workers could both commit."""
    store, key = open_store(url), f"doctor/{uuid.uuid4().hex}"
    if not store.create(key, b"first\n"):
        raise StoreError(f"{url} refuses a new object.")
    if store.create(key, b"second\n") or store.get(key) != b"first\n":
        raise StoreError(
            f"{url} does not honour conditional creation (If-None-Match): two workers could overwrite each other. Use another store."
        )
    return f"{url} creates objects once and once only (left there: {key})"


def _decoder(*, unlocked: bool) -> str:
    """Attack this very process out of a decoder's lock: whatever gets through could be a video's doing tomorrow."""
    siege = besiege(unlocked=unlocked)
    if siege.breaches:
        breaches = ", ".join(f"{breach.attack} ({breach.how})" for breach in siege.breaches)
        raise OperatorError(f"{siege.layers}; these attacks from inside got through: {breaches}. Give it no video that you do not trust.")
    ends = Counter(outcome.how if outcome.how.startswith("SIG") else "an error" for outcome in siege.outcomes)
    override = "; FRAMEFLEET_DECODER_UNLOCKED is set: a layer that is missing stops no worker" if unlocked else ""
    return f"{siege.layers}; {ends.total()} attacks from inside failed ({_counts(ends)}){override}"


def _counts(ends: Counter[str]) -> str:
    return ", ".join(f"{count} by {end}" for end, count in ends.most_common())


def _engine(settings: WorkerSettings) -> str:
    room = Room(settings)
    try:
        return f"{settings.engine} answers; " + ", ".join(f"{name} {value}" for name, value in sorted(room.versions.items()))
    finally:
        room.close()
