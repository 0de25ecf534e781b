"""A worker whose tasks take no time, in a process of its own that tests freeze and kill.

`TINY_BROKER` is its broker, `TINY_CLAIM_SECONDS` how long its claims live, `TINY_SKEW_SECONDS` how wrong its clock is.
"""

import os
import time

skew = float(os.environ.get("TINY_SKEW_SECONDS", "0"))
right = time.time
time.time = lambda: right() + skew  # before anybody takes hold of it

from celery import Task  # noqa: E402
from celery.exceptions import Reject  # noqa: E402

from broker.app import make_app  # noqa: E402
from broker.breaker import Breaker, Verdict  # noqa: E402
from broker.lease import Leases  # noqa: E402
from broker.queues import redis_of  # noqa: E402

DONE = "tiny:done"
ILL = "tiny:ill"
app = make_app(os.environ["TINY_BROKER"])
app.conf.broker_transport_options["visibility_timeout"] = float(os.environ.get("TINY_CLAIM_SECONDS", "12"))
app.conf.worker_hijack_root_logger = True


@app.task(name="tiny.note")
def note(word: str) -> None:
    """Say that it was here."""
    with redis_of(app) as redis:
        redis.rpush(DONE, word)


@app.task(name="tiny.hold", bind=True)
def hold(self: Task, word: str, seconds: float) -> None:
    """Work for a while, the claim kept alive."""
    leases = Leases(app, renew_seconds=0.3)
    with leases.hold(self.request.properties["delivery_tag"]):
        note(f"{word} begun")
        time.sleep(seconds)
    leases.close()
    note(word)


@app.task(name="tiny.refuse", bind=True)
def refuse(self: Task, word: str) -> None:
    """Put the message back the first time."""
    note(f"{word} {self.request.delivery_info['redelivered']}")
    if not self.request.delivery_info["redelivered"]:
        raise Reject(requeue=True)


@app.task(name="tiny.judged", bind=True)
def judged(self: Task, word: str) -> None:
    """Fail while the fleet is ill, and be done only with what is believed."""
    with redis_of(app) as redis:
        failure = (redis.get(ILL) or b"").decode()
    breaker = Breaker(app, least=4, probe_seconds=0.5)
    if breaker.judge(f"{self.request.hostname}:{os.getpid()}", [failure], shard=word) is not Verdict.BELIEVE:
        time.sleep(0.05)
        raise Reject(requeue=True)
    note(f"{word} {failure}")
