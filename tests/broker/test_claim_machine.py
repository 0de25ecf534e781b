"""Claims, leases and commits against everything that may happen, in every order that Hypothesis thinks of; and whether it would notice."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from celery import Celery
from claim_machine import ClaimMachine
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from small_world import World

from broker.claims import Claims, Command
from broker.queues import redis_of
from broker.scripts import CLAIMS, INDEX, ONCE, ORIGINS
from storage.memory import MemoryStore

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # of threads that were killed with a connection in hand
    pytest.mark.timeout(900),  # Hypothesis plays so many games, however long one takes
]
PLAY = settings(
    database=None,
    deadline=None,
    max_examples=120,
    stateful_step_count=40,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
ROUNDS = 8
"""How often at most: what Hypothesis thinks of depends on all the code around, so that rare things may need another round."""
SABOTAGED = settings(PLAY, max_examples=400, phases=[Phase.generate])
"""That it is found is enough; the shortest way to it is not asked for."""

HAPPENED = {
    "the queue alone led to the end",
    "a zombie acknowledged",
    "a zombie gave back",
    "a zombie noticed",
    "crashed",
    "split",
    "redriven",
    "unheard before create",
    "unavailable before create",
    *(f"gone before {step}" for step in ("look", "decode", "create", "list", "settle")),
}
"""What must have happened at least once: a machine that never gets there proves nothing."""


class CarelessStore(MemoryStore):
    """A store in which whoever commits last wins."""

    def create(self, key: str, body: bytes) -> bool:
        if not key.startswith("captions/"):
            return super().create(key, body)
        self.replace(key, body)
        return True


END_BY_MESSAGE = """
for _, tag in ipairs(redis.call('HKEYS', KEYS[1])) do
  if tag == ARGV[1] or redis.call('HGET', KEYS[1], tag):find(ARGV[2], 1, true) then
    redis.call('HDEL', KEYS[1], tag)
    redis.call('HDEL', KEYS[2], tag)
    redis.call('ZREM', KEYS[3], tag)
    redis.call('SREM', KEYS[4], ARGV[2])
    return 1
  end
end
return 0
"""


@dataclass(frozen=True, slots=True)
class UnfencedClaims(Claims):
    """Claims that end by the message's name, which all its deliveries share, as kombu's own do."""

    def end(self, tag: str, *, once: str = "") -> Command:
        return ("EVAL", END_BY_MESSAGE, 4, CLAIMS, ORIGINS, INDEX, ONCE, tag, once)


@pytest.fixture
def world(app: Celery) -> Iterator[Callable[..., World]]:
    with redis_of(app) as redis:
        yield partial(World, app, redis)
    gc.collect()  # here, where a connection that a killed thread had is no news


def play(new_world: Callable[[], World], how: settings, *, number: int) -> None:
    run_state_machine_as_test(seed(number)(lambda: ClaimMachine(new_world)), settings=how)


def test_nothing_is_lost_and_nothing_twice(world: Callable[..., World]) -> None:
    seen: Counter[str] = Counter()
    for number in range(ROUNDS):
        play(partial(world, seen=seen), PLAY, number=number)
        if seen.keys() >= HAPPENED:
            break
    assert HAPPENED - seen.keys() == set()


@pytest.mark.parametrize(
    ("sabotage", "noticed"),
    [
        pytest.param({"store": CarelessStore, "watches": False}, "captioned and dead|has lines in", id="create-only is off"),
        pytest.param({"acks_first": True}, "acknowledged before it was committed", id="the ack comes before the commit"),
        pytest.param({"claims": UnfencedClaims()}, "touched another's claim", id="an ack ends whatever claim there is"),
    ],
)
def test_a_rule_that_is_broken_is_noticed(world: Callable[..., World], sabotage: dict[str, Any], noticed: str) -> None:
    def rounds() -> None:
        for number in range(ROUNDS):
            play(partial(world, **sabotage), SABOTAGED, number=number)

    with pytest.raises(AssertionError, match=noticed):
        rounds()
