"""The shortest ways to races that were found, played again step by step."""

from collections.abc import Iterator

import pytest
from celery import Celery
from claim_machine import ClaimMachine
from puppets_on_strings import Luck
from small_world import Reconciler, Worker, World

from broker.queues import redis_of


@pytest.fixture
def machine(app: Celery) -> Iterator[ClaimMachine]:
    with redis_of(app) as redis:
        machine = ClaimMachine(lambda: World(app, redis))
        machine.begins()
        yield machine


def hired(machine: ClaimMachine) -> Worker:
    worker = machine._hire([])
    assert worker is not None
    return worker


def goes_until(worker: Worker, step: str, *, decoding: Luck = Luck.GOOD) -> None:
    """Let a worker go on until it is about to take a step."""
    while not worker.puppet.about_to.startswith(step):
        assert not worker.puppet.over, f"it never came to {step}"
        worker.puppet.go(decoding if worker.puppet.about_to.startswith("decode") else Luck.GOOD)


def test_a_stand_in_that_is_done_while_somebody_reads_is_not_done_again(machine: ClaimMachine) -> None:
    """One dies before its letters; of two who finish its shard, one stops between reading the lines and naming what is missing."""
    dying = hired(machine)
    goes_until(dying, "create dead/", decoding=Luck.BROKEN)
    machine._end(dying)
    machine._age()
    slow = hired(machine)
    goes_until(slow, "list dead/")
    machine._drain()
    slow.puppet.finish()
    machine._come_to_rest()


def test_a_shard_whose_videos_all_failed_is_not_split_any_more(machine: ClaimMachine) -> None:
    """Somebody is about to split a shard when Redis forgets why; another one fails at all its videos, and their stand-ins are captioned."""
    for _ in range(3):
        crashing = hired(machine)
        crashing.puppet.go()
        machine.crash(crashing)
    splitting = hired(machine)
    assert splitting.notes.trial.guilty
    machine._forget()
    Reconciler(machine.world).puppet.finish()
    failing = hired(machine)
    goes_until(failing, "create dead/", decoding=Luck.BROKEN)
    machine._end(failing)
    machine._drain()
    splitting.puppet.finish()
    machine._come_to_rest()
