"""Leases: a claim is renewed for as long as its shard is worked on, so that no long shard is run twice."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery

from broker.claims import Claims
from broker.queues import claims_messages, redis_of
from broker.scripts import INDEX
from schemas.errors import OperatorError

RENEW_SECONDS = 3.0
CELERYS_INDEX = "unacked_index"

log = logging.getLogger(__name__)


class Leases:
    """The claims this process holds, renewed together by one thread."""

    def __init__(self, app: Celery, *, renew_seconds: float = RENEW_SECONDS) -> None:
        """Start renewing, every `renew_seconds`, what is held."""
        self._app = app
        self._index = INDEX if claims_messages(app) else CELERYS_INDEX
        self._renew_seconds = renew_seconds
        self._held: set[str] = set()
        self._lost: set[str] = set()
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
                self._lost.discard(delivery_tag)

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
            tags = self._held - self._lost
        if not tags:
            return
        with redis_of(self._app) as redis:
            lost = {tag.decode() for tag in redis.execute_command(*Claims(redis.prefix).renew(tags, index=self._index))}
        if lost:
            log.warning("%d claims had run out before they were renewed; their shards are another worker's now", len(lost))
            with self._lock:
                self._lost |= lost & self._held
