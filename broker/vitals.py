"""What each worker says of itself about once a second. A worker that says nothing for ten seconds is not there."""

import time
from collections.abc import Iterator

from pydantic import ValidationError

from broker.app import App
from broker.queues import redis_of
from schemas.model import Model

LIVES_SECONDS = 10
INDEX = "framefleet:workers"
FORGOTTEN_SECONDS = 24 * 3600


class Vitals(Model):
    """A worker's own counts, of all jobs, since it was ready; raw, so that whoever reads them can sum them and make rates of them."""

    worker: str
    engine: str
    model: str
    """The model of the recipe that was worked with last, as name@revision; empty before the first shard."""
    seconds_at_work: float
    """Wall time during which at least one shard was being worked."""
    idle_seconds: float
    """Wall time since a shard was last being worked; zero while one is."""
    frames: int
    """Frames delivered, near duplicates with a copied caption among them."""
    captioned: int
    """Frames whose answer out of the engine was accepted."""
    recent_seconds: float
    """Length of the last minute of work, which is shorter at the start."""
    recent_frames: int
    recent_captioned: int
    ceiling_frames_per_second: float | None
    """What the engine alone can do on this machine; None if nobody measured it here."""
    dollars_per_hour: float | None
    """What an hour of this worker costs; None if nobody said."""
    window: int
    """Frames that may be with the engine at once, as the worker found best."""
    in_flight: int
    """Frames that are with the engine."""
    pictures_waiting: int
    """Decoded pictures that wait for a place in the window."""
    rungs: dict[str, dict[str, int]]
    """Rungs of the repair ladder, by name and by what came of them."""
    questions: int
    """Questions that the engine answered, of all rungs."""
    tokens: dict[str, int]
    """Tokens by kind (prompt, image, cached, output) as far as the engine counts them; cached are prompt tokens out of its prefix cache."""


def tell_vitals(app: App, vitals: Vitals) -> None:
    """Say how this worker is."""
    now = time.time()
    with redis_of(app) as redis:
        pipe = redis.pipeline().set(_key(vitals.worker), vitals.model_dump_json(), ex=LIVES_SECONDS)
        pipe.zremrangebyscore(INDEX, 0, now - FORGOTTEN_SECONDS).zadd(INDEX, {vitals.worker: now})
        pipe.expire(INDEX, FORGOTTEN_SECONDS).execute()


def forget_vitals(app: App, worker: str) -> None:
    """Say that this worker is gone."""
    with redis_of(app) as redis:
        redis.pipeline().delete(_key(worker)).zrem(INDEX, worker).execute()


def all_vitals(app: App) -> list[Vitals]:
    """How the workers of this broker are, by their names; one of another version that cannot be understood is left out."""
    with redis_of(app) as redis:
        names = [name.decode() for name in redis.zrange(INDEX, 0, -1)]
        found = redis.mget([_key(name) for name in names]) if names else []
    return sorted(_understood(found), key=lambda one: one.worker)


def _understood(found: list[bytes | None]) -> Iterator[Vitals]:
    for said in found:
        try:
            if said is not None:
                yield Vitals.model_validate_json(said)
        except ValidationError:
            continue


def _key(worker: str) -> str:
    return f"framefleet:vitals:{worker}"
