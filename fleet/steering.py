"""Commands that steer a job of a fleet: launch and reconcile feed its queue, pause, resume and cancel say whether it is worked."""

import getpass
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated

import typer

from broker.app import make_app
from broker.queues import ShardQueue
from fleet import options as o
from fleet.budget import watching
from fleet.produced import CountedQueue, MetricsPort, ProducerFigures, served
from fleet.reconcile import Found, keep_reconciling, reconcile
from fleet.report import say as say_to
from fleet.running import EXIT_INTERRUPTED, err
from fleet.stop import Stop, listening
from fleet.watching import Watched, spent_of, watches
from producer.enqueue import Manner, feed
from producer.rounds import new_parts
from producer.window import MOST, REDIS_BYTES, Limits
from schemas.control import ControlState
from schemas.errors import BrokerAwayError, OperatorError
from schemas.job import Why
from storage.control import ASK_SECONDS, read_control, refuse_halted, set_control
from storage.job import Job
from storage.ledger import PlanPart

STOPPED = "Stopped. Nothing is lost: run the same command again to go on from here."

Window = Annotated[int, typer.Option(help="Shards of the job that wait in the queue at most, however fast they are worked.", min=1)]
RedisBytes = Annotated[int, typer.Option(help="Bytes that Redis may hold, of all jobs; then nothing more is sent.", min=1 << 20)]
Weight = Annotated[float | None, typer.Option(help="The job's share of the workers beside other jobs. [1]", min=0.001, max=1000)]
OnlyStale = Annotated[bool, typer.Option("--only-stale", help="Caption again what has been captioned by an older recipe.")]
Reason = Annotated[str, typer.Option("--why", help="A reason, kept in control.json and shown by status.")]
MaybeBroker = Annotated[str | None, typer.Option("--broker", help="Enqueue there what is open.", envvar="FRAMEFLEET_BROKER_URL")]
Repeat = Annotated[float | None, typer.Option("--every", help="Keep at it until the job is complete: look every so many seconds.", min=1)]


def add_steering(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (launch, reconcile_command, pause, resume, cancel):
        app.command(command.__name__.removesuffix("_command"))(command)


@o.asks
@watches
def launch(
    asked: o.Asked,
    broker: o.Broker,
    window: Window = MOST,
    redis_bytes: RedisBytes = REDIS_BYTES,
    weight: Weight = None,
    only_stale: OnlyStale = False,
    metrics_port: MetricsPort = 0,
    *,
    watched: Watched,
) -> None:
    """Plan sources and keep a fleet's queue fed until everything is enqueued. Run it again to go on where it stopped.

    Run on a job that is planned to its end, it plans what is new or has changed since.
    """
    job, spec = asked.stale() if only_stale else asked.job()
    refuse_halted(job)
    stop, app = Stop(thrown=2), make_app(broker)
    watch = watched.over(job, app, noted=spent_of(job), say=say)
    limits = Limits(most=window, redis_bytes=redis_bytes)
    manner = Manner(limits=limits, weight=weight, say=say, spent=lambda: watch.spent)
    figures = ProducerFigures()
    try:
        with listening(stop), served(figures, port=metrics_port, say=say), watching(watch, say=say):
            parts = beside_what_stands(job, new_parts(job, spec, why=Why.STALE if only_stale else Why.ADDED))
            sent = feed(job, figures.planning(parts), queue=CountedQueue(ShardQueue(app), figures), stopped=stop, manner=manner)
    except BrokerAwayError as error:
        raise OperatorError(f"{error} Once it is back, run the same command again.") from error
    if stop():
        raise stopped()
    refuse_halted(job)  # a pause that came seconds before the end may have gone unheard here, but not by the workers
    say(f"{sent} shards enqueued; watch them with: framefleet status {job.url} --broker {o.without_password(broker)}")


def beside_what_stands(job: Job, parts: Iterator[PlanPart]) -> Iterator[PlanPart]:
    """Plan on; where that cannot be, say what becomes of what was planned before, which was sent by then.

    Raises:
        OperatorError: the sources cannot be read, or another producer plans the job.
    """
    try:
        yield from parts
    except OperatorError as error:
        if not (videos := job.ledger().totals().videos):
            raise
        rest = "look for new ones; what is planned needs no more than: framefleet reconcile" if job.plan_complete() else "plan the rest"
        stands = f"The plan of {job.url} stands: its {videos} videos are enqueued or done."
        raise OperatorError(f"{error} {stands} Once the source can be read, run this again to {rest}.") from error


@watches
def reconcile_command(
    job: o.JobUrl,
    broker: o.Broker,
    every: Repeat = None,
    window: Window = MOST,
    redis_bytes: RedisBytes = REDIS_BYTES,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
    *,
    watched: Watched,
) -> None:
    """Enqueue every planned shard that is neither done nor queued nor in work, such as after the broker lost its memory.

    Exit status: 0 enqueued, or complete with --every; 1 failed, or the job is paused or cancelled; 130 interrupted.
    """
    place, stop = o.opened(job, endpoint_url, profile), Stop(thrown=2)
    limits = Limits(most=window, redis_bytes=redis_bytes)
    watch = watched.over(place, make_app(broker), noted=spent_of(place), say=say)
    with listening(stop), watching(watch, say=say):
        if every is None:
            refuse_halted(place)
            look(place, queue_of(broker), stop=stop, limits=limits)
        elif keep_reconciling(place, queue_of(broker), every_seconds=every, stop=stop, say=say, limits=limits):
            say(f"{place.url} is complete; prove it with: framefleet audit {place.url}")
    if stop():
        raise stopped()


def pause(job: o.JobUrl, why: Reason = "", endpoint_url: o.Endpoint = None, profile: o.Profile = None) -> None:
    """Have producers wait and workers drop a job's shards, within seconds. Nothing is lost or charged."""
    place = steer(job, ControlState.PAUSED, why=why, endpoint_url=endpoint_url, profile=profile)
    say(f"Producers and workers obey within {ASK_SECONDS:g} s. To go on with it: framefleet resume {place.url}")


def cancel(job: o.JobUrl, why: Reason = "", endpoint_url: o.Endpoint = None, profile: o.Profile = None) -> None:
    """Give a job up: producers end and workers drop its shards, within seconds. What is done stays."""
    place = steer(job, ControlState.CANCELLED, why=why, endpoint_url=endpoint_url, profile=profile)
    say(f"Producers and workers obey within {ASK_SECONDS:g} s. What is captioned stays; to go on after all: framefleet resume {place.url}")


def resume(
    job: o.JobUrl,
    broker: MaybeBroker = None,
    why: Reason = "",
    window: Window = MOST,
    redis_bytes: RedisBytes = REDIS_BYTES,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Go on with a job that is paused or cancelled, and enqueue what is open."""
    place = steer(job, ControlState.RUNNING, why=why, endpoint_url=endpoint_url, profile=profile)
    if broker is None:
        say(f"What is open is enqueued by: framefleet reconcile {place.url} --broker URL")
        say("A job of this machine alone goes on by running its framefleet caption again.")
        return
    stop = Stop(thrown=2)
    with listening(stop):
        enqueue_dropped(place, queue_of(broker), stop=stop, limits=Limits(most=window, redis_bytes=redis_bytes))
    if stop():
        raise stopped()


def enqueue_dropped(job: Job, queue: ShardQueue, *, stop: Stop, limits: Limits) -> None:
    """Reconcile, and once more if shards seem to be in work: a worker may just be dropping them, for what it was told before."""
    found = look(job, queue, stop=stop, limits=limits)
    if found.sent < found.open and not stop():
        stop.sleep(ASK_SECONDS)
        look(job, queue, stop=stop, limits=limits)


def look(job: Job, queue: ShardQueue, *, stop: Stop, limits: Limits) -> Found:
    """Reconcile, and say what came of it.

    Raises:
        OperatorError: the broker is away.
    """
    try:
        found = reconcile(job, queue, stop=stop, say=say, limits=limits)
    except BrokerAwayError as error:
        raise OperatorError(f"{error} Once it is back: framefleet reconcile {job.url} --broker URL") from error
    if not stop():
        say(str(found))
    return found


def steer(job: str, state: ControlState, *, why: str, endpoint_url: str | None, profile: str | None) -> Job:
    """Have the last word on a job, and say what it is."""
    place = o.opened(job, endpoint_url, profile)
    with suppress(OperatorError):  # it makes no sense, and is written anew
        before = read_control(place)
        if before.state is not ControlState.RUNNING:
            say(f"{place.url} was {before}.")
    say(f"{place.url} is {set_control(place, state, by=getpass.getuser(), why=why)}.")
    return place


def queue_of(broker: str) -> ShardQueue:
    """The queue of shards at a broker."""
    return ShardQueue(make_app(broker))


def stopped() -> typer.Exit:
    """Say that the operator ended the command, which is no failure."""
    say(STOPPED)
    return typer.Exit(EXIT_INTERRUPTED)


def say(words: str) -> None:
    """Say something to the operator."""
    say_to(err, words)
