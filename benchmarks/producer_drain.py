"""Workers that do nothing: they claim messages as real ones do and end them, and count the videos in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from kombu.entity import Queue

from broker import QUEUE
from broker.app import make_app

NAP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Drained:
    """What all workers together have ended so far."""

    messages: "Synchronized[int]"
    videos: "Synchronized[int]"


def drain(url: str, drained: Drained) -> None:
    """Claim and end messages, one after the other, for ever."""

    def ended(body: Any, message: Any) -> None:
        message.ack()
        with drained.messages, drained.videos:
            drained.messages.value += 1
            drained.videos.value += len(body[0][0]["videos"])

    with make_app(url).connection_for_read() as connection:
        consumer = connection.Consumer([Queue(QUEUE)], callbacks=[ended], prefetch_count=1)
        with consumer:
            while True:
                try:
                    connection.drain_events(timeout=NAP_SECONDS)
                except TimeoutError:
                    continue


@contextmanager
def draining(url: str, *, workers: int) -> Iterator[Drained]:
    """Have so many drain a broker for the block."""
    context = get_context("spawn")
    drained = Drained(context.Value("q", 0), context.Value("q", 0))
    processes = [context.Process(target=drain, args=(url, drained), daemon=True) for _ in range(workers)]
    for process in processes:
        process.start()
    try:
        yield drained
    finally:
        for process in processes:
            process.kill()
            process.join()
