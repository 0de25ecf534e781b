"""Opens a world: servers, clips and an environment that leads to them. It leaves nothing behind but the logs of a world that failed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from fleet.logs import log_folder
from fleet.torture.environments import storage_environment
from fleet.torture.jobs import OUTPUT, SOURCE
from fleet.torture.objects import Bucket
from fleet.torture.servers import ObjectServer, Redis
from fleet.torture.setup import Plot
from fleet.torture.world import World


@contextmanager
def world(plot: Plot) -> Iterator[World]:
    """A world for the block. Use it from the main thread, and only one at a time: this process's storage settings are the world's."""
    with log_folder("framefleet-torture-") as folder, ExitStack() as stack:
        redis, store = Redis(folder), ObjectServer(folder / "s3.log")
        stack.callback(store.stop)
        store.start()
        stack.callback(redis.kill)
        redis.start()
        stack.enter_context(environment(storage_environment(store.port)))
        fill(store, plot)
        opened = World(plot, folder, redis=redis, store=store)
        stack.callback(opened.close)
        opened.start()
        yield opened


@contextmanager
def environment(more: Mapping[str, str]) -> Iterator[None]:
    """This process's environment with something more for the block: the planner in this process finds its storage there."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def fill(store: ObjectServer, plot: Plot) -> None:
    """Make the buckets, and put the clips into that of the input."""
    source, output = Bucket(store.url, SOURCE), Bucket(store.url, OUTPUT)
    output.create()
    source.create()
    for clip in plot.clips:
        source.put(f"clips/{clip.name}", clip.body)
    source.close()
    output.close()
