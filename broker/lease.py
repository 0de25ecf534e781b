"""Leases: a claim is renewed for as long as its shard is worked on and its worker gets on, so that no long shard is run twice."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from celery import Celery

from broker.claims import Claims
from broker.queues import claims_messages, redis_of
from broker.scripts import INDEX
from schemas.errors import ClaimLostError, OperatorError

RENEW_SECONDS = 3.0
ANSWER_SECONDS = 3.0
"""How long a renewal may wait for its answer: were it the transport's half minute, claims would run out behind one lost packet."""
STALL_SECONDS = 900.0
"""Longer than anything a worker does without a word: loading a model, an engine that is full."""
CELERYS_INDEX = "unacked_index"

log = logging.getLogger(__name__)


def index_of_claims(app: Celery) -> str:
    """Name the key that lists the claims of this application's transport."""
    return INDEX if claims_messages(app) else CELERYS_INDEX


def _go_on() -> None:
    """Do nothing about a stall but let the claims run out."""


class Hold:
    """One claim that is kept alive."""

    def __init__(self, tag: str, *, patience_seconds: float = 0.0) -> None:
        """Begin with a claim that is believed to be there."""
        self.tag = tag
        self.patience_seconds = patience_seconds
        self._lost = False

    @property
    def lost(self) -> bool:
        """Whether a renewal found that the claim is another's, so that work on it is in vain."""
        return self._lost

    def lose(self) -> None:
        """Note that the claim is gone."""
        self._lost = True


class Leases:
    """The claims this process holds, renewed together by one thread, for as long as it gets on."""

    def __init__(
        self,
        app: Celery,
        *,
        renew_seconds: float = RENEW_SECONDS,
        stall_seconds: float = STALL_SECONDS,
        stalled: Callable[[], None] = _go_on,
    ) -> None:
        """Start renewing what is held; once it has not moved for `stall_seconds`, stop for good and call `stalled`, from a thread."""
        self._app = app
        self._index = index_of_claims(app)
        self._renew_seconds, self._stall_seconds = renew_seconds, stall_seconds
        self._tell = stalled
        self._held: set[Hold] = set()
        self._moved_at = monotonic()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    @contextmanager
    def hold(self, delivery_tag: str, *, patience_seconds: float = 0.0) -> Iterator[Hold]:
        """Keep one claim alive while the block runs. A broker that does not answer takes no claim away.

        Its work may go on for `patience_seconds` without a word, where that is longer than what all have.

        Raises:
            ClaimLostError: it is another's already.
        """
        hold = Hold(delivery_tag, patience_seconds=patience_seconds)
        self._add(hold)
        try:
            self._try_to_renew([hold])
            if hold.lost:
                raise ClaimLostError("The claim ran out before work on its shard began; another worker has the shard, or has done it.")
            yield hold
        finally:
            self._remove(hold)

    def progress(self) -> None:
        """Note that the worker gets on with what it holds."""
        self._moved_at = monotonic()

    def close(self) -> None:
        """Stop renewing; what is still held runs out."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _add(self, hold: Hold) -> None:
        with self._lock:
            self.progress()
            self._held.add(hold)

    def _remove(self, hold: Hold) -> None:
        with self._lock:
            self.progress()
            self._held.discard(hold)

    def _run(self) -> None:
        while not self._stopped.wait(self._renew_seconds):
            if self._stalls():
                self._stop()
            else:
                self._try_to_renew(self._alive())

    def _stalls(self) -> bool:
        with self._lock:
            patience = max([self._stall_seconds, *(hold.patience_seconds for hold in self._held)])
            return bool(self._held) and monotonic() - self._moved_at >= patience

    def _stop(self) -> None:
        log.error(
            "nothing has moved for %g s in %d shards: their claims are renewed no more, and others take them; "
            "see above what the decoder and the engine were doing",
            self._stall_seconds,
            len(self._held),
        )
        self._stopped.set()
        self._tell()

    def _alive(self) -> list[Hold]:
        with self._lock:
            return [hold for hold in self._held if not hold.lost]

    def _try_to_renew(self, holds: Sequence[Hold]) -> None:
        try:
            self._renew(holds)
        except OperatorError as error:
            log.warning("leases were not renewed: %s", error)
        except Exception:  # this thread must not end: nobody else renews
            log.exception("leases were not renewed")

    def _renew(self, holds: Sequence[Hold]) -> None:
        if not holds:
            return
        with redis_of(self._app, answers_within_seconds=ANSWER_SECONDS) as redis:
            renewal = Claims(redis.prefix).renew([hold.tag for hold in holds], index=self._index)
            gone = {tag.decode() for tag in redis.execute_command(*renewal)}
        found = [hold for hold in holds if hold.tag in gone and not hold.lost]
        for hold in found:
            hold.lose()
        if found:
            log.warning("%d claims had run out before they were renewed; their shards are another worker's now", len(found))
