"""What a producer counts of its planning and sending, and how it is served."""

import socket
from collections.abc import Iterator

import pytest
from builders import HandmadeJob
from fake_queue import FakeQueue
from fleet_runs import free_port
from prometheus_client import generate_latest
from scraped import Scrape, kinds_of, parsed, scrape, serves

from broker.queues import BrokerFullError
from fleet.produced import CountedQueue, ProducerFigures, served
from schemas.metrics import PROCESS, PRODUCER
from schemas.task import ShardTask
from storage.ledger import PlanPart


@pytest.fixture
def figures() -> ProducerFigures:
    ticks = iter(range(1000))
    return ProducerFigures(clock=lambda: float(next(ticks)))


@pytest.fixture
def tasks() -> list[ShardTask]:
    handmade = HandmadeJob()
    return [handmade.shard(f"v{number}") for number in range(4)]


def shown(figures: ProducerFigures) -> Scrape:
    return parsed(generate_latest(figures.registry).decode())


def test_a_producer_exposes_what_is_documented_and_nothing_else(figures: ProducerFigures) -> None:
    assert shown(figures).kinds == kinds_of((*PRODUCER, *PROCESS))
    assert shown(figures).empty() == set()


def test_parts_are_counted_as_they_pass_and_how_long_each_took(figures: ProducerFigures) -> None:
    handmade = HandmadeJob()
    for number in range(3):
        handmade.shard(f"v{number}", f"w{number}")
    handmade.complete()
    parts: list[PlanPart] = list(handmade.job.ledger().parts())
    assert list(figures.planning(iter(parts))) == parts
    found = shown(figures)
    assert found.value("framefleet_producer_planned_shards_total") == 3
    assert found.value("framefleet_producer_planned_videos_total") == 6
    assert found.value("framefleet_producer_planned_bytes_total") == sum(part.header.size_bytes for part in parts) > 0
    assert found.value("framefleet_producer_stage_seconds_count", stage="plan") == len(parts)
    assert found.value("framefleet_producer_stage_seconds_sum", stage="plan") == len(parts)


def test_batches_are_counted_with_the_shards_that_were_new(figures: ProducerFigures, tasks: list[ShardTask]) -> None:
    queue = CountedQueue(FakeQueue(), figures)
    assert queue.send_all(tasks[:3], weight=2.0) == 3
    found = shown(figures)
    assert found.value("framefleet_producer_sent_shards_total") == 3
    assert found.by("outcome", "framefleet_producer_batches_total") == {"taken": 1}
    assert found.value("framefleet_producer_stage_seconds_count", stage="send") == 1


def test_a_full_broker_is_counted_and_told_of_as_before(figures: ProducerFigures, tasks: list[ShardTask]) -> None:
    queue = CountedQueue(FakeQueue(most=1), figures)
    with pytest.raises(BrokerFullError):
        queue.send_all(tasks)
    assert shown(figures).by("outcome", "framefleet_producer_batches_total") == {"refused": 1}
    assert shown(figures).value("framefleet_producer_sent_shards_total") == 1


def test_the_queue_is_asked_as_if_nobody_counted(figures: ProducerFigures) -> None:
    fake = FakeQueue(used=7, limit=9, waiting=3, flying=frozenset({"x"}))
    queue = CountedQueue(fake, figures)
    assert (queue.depth("job"), queue.jobs(), queue.used_bytes(), queue.limit_bytes()) == (3, 1, 7, 9)
    assert (queue.epoch("job"), queue.in_flight("job")) == ("first:job", frozenset({"x"}))


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_metrics_are_served_while_the_producer_runs(figures: ProducerFigures) -> None:
    port, said = free_port(), list[str]()
    with served(figures, port=port, say=said.append, address="127.0.0.1"):
        assert scrape(port).value("framefleet_producer_sent_shards_total") == 0
    assert not serves(port)
    assert said == []


def test_no_port_is_no_server_and_one_that_is_taken_is_no_reason_to_stop(figures: ProducerFigures, taken: int) -> None:
    said: list[str] = []
    with served(figures, port=0, say=said.append):
        assert said == []
    with served(figures, port=taken, say=said.append, address="127.0.0.1"):
        assert "--metrics-port" in said[0]
