"""Leases: a claim is renewed for as long as its shard is worked on, so that no long shard is run twice."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery

from broker.queues import UNACKED_INDEX, redis_of
from schemas.errors import OperatorError

RENEW_SECONDS = 3.0

log = logging.getLogger(__name__)


class Leases:
    """The claims this process holds, renewed together by one thread."""

    def __init__(self, app: Celery, *, renew_seconds: float = RENEW_SECONDS) -> None:
        """Start renewing, every `renew_seconds`, what is held."""
        self._app = app
        self._renew_seconds = renew_seconds
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    @contextmanager
    def hold(self, delivery_tag: str) -> Iterator[None]:
        """Keep one claim alive while the block runs."""
        with self._lock:
            self._held.add(delivery_tag)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(delivery_tag)

    def close(self) -> None:
        """Stop renewing; what is still held runs out."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._renew_seconds):
            try:
                self._renew()
            except OperatorError as error:
                log.warning("leases were not renewed: %s", error)

    def _renew(self) -> None:
        with self._lock:
            tags = tuple(self._held)
        if not tags:
            return
        with redis_of(self._app) as redis:  # XX: a claim that was taken away is not taken back
            redis.zadd(UNACKED_INDEX, dict.fromkeys(tags, time.time()), xx=True)
