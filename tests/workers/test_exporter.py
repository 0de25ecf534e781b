"""What a worker counts for Prometheus, and how it is served."""

import logging
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import AT
from fleet_runs import free_port
from prometheus_client import generate_latest
from scraped import Scrape, parsed, scrape, serves
from seated import BACK, GONE, Seat, seat, seats_redis
from shard_trial import BROKEN, BUSY, frame, frames
from vital_signs import vitals

from broker.breaker import BreakerWatch
from broker.queues import ShardQueue, redis_of
from schemas.errors import (
    ClaimLostError,
    DoubtedError,
    DroppedError,
    EngineDiedError,
    HandedBackError,
    PermanentError,
    TransientError,
    UnsuitableError,
)
from schemas.metrics import WORKER
from schemas.reasons import Reason, Stage
from workers.ceiling import Ceilings
from workers.exporter import Exporter, SeenBreaker, WorkerCollector, put_engine, serve_worker
from workers.families import Families
from workers.figures import ATTEMPT_OUTCOMES, Figures, end_of
from workers.metered import Meter
from workers.pulse import Pulse
from workers.settings import WorkerSettings

__all__ = ["seat", "seats_redis"]


class StillRoom:
    """A room in which nothing happens."""

    versions = {"engine": "scripted"}  # noqa: RUF012 - never changed
    rungs: Counter[tuple[str, str]] = Counter()  # noqa: RUF012 - never changed
    window_size, in_flight, waiting_pictures = 8, 0, 0


@pytest.fixture
def pulse(tmp_path: Path) -> Pulse:
    return Pulse("host:1", StillRoom(), Meter(), Ceilings(str(tmp_path)))


def shown(figures: Figures) -> Scrape:
    return parsed(generate_latest(figures.registry).decode())


def of_engine(**fields: object) -> Scrape:
    """What is shown of an engine that said so of itself."""
    families = Families(WORKER)
    put_engine(families, vitals("host:1", **fields))
    values = {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}
    return Scrape({}, values)


# What is counted


def test_every_reason_and_outcome_is_there_from_the_start() -> None:
    found = shown(Figures())
    assert {found.value("framefleet_dead_letters_total", reason=reason.value, scope="video") for reason in Reason} == {0}
    assert {found.value("framefleet_attempts_total", outcome=outcome) for outcome in ATTEMPT_OUTCOMES} == {0}
    assert found.value("framefleet_stage_seconds_count", stage="commit") == 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ClaimLostError("x"), "lease_lost"),
        (DroppedError("x"), "dropped"),
        (HandedBackError("x"), "handed_back"),
        (UnsuitableError("x"), "passed_on"),
        (EngineDiedError("x"), "worker_unfit"),
        (DoubtedError("x"), "doubted"),
        (TransientError("x"), "put_back"),
        (PermanentError(Reason.CORRUPT, Stage.DECODE, "x"), "unexpected"),
        (KeyError("x"), "unexpected"),
    ],
)
def test_each_way_an_attempt_ends_has_its_name(error: Exception, outcome: str) -> None:
    assert end_of(error) == outcome in ATTEMPT_OUTCOMES


def test_a_lease_is_held_while_its_attempt_goes_on_and_an_error_goes_through() -> None:
    figures = Figures()

    def fail() -> None:
        with figures.attempt():
            assert figures.leases_held == 1
            raise TransientError("busy")

    with pytest.raises(TransientError):
        fail()
    assert figures.leases_held == 0
    assert shown(figures).by("outcome", "framefleet_attempts_total") == {"put_back": 1}


def test_leases_are_counted_from_many_threads() -> None:
    figures = Figures()

    def work() -> None:
        for _ in range(500):
            with figures.attempt():
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert figures.leases_held == 0
    assert shown(figures).value("framefleet_attempts_total", outcome="settled") == 4000


def test_the_age_of_a_message_is_counted_if_it_says_when_it_was_queued() -> None:
    now = AT.timestamp()
    figures = Figures(clock=lambda: now)
    for sent_at in (now - 30, now - 90, now + 5, None, "yesterday"):
        figures.claimed(sent_at)
    found = shown(figures)
    assert found.value("framefleet_queue_wait_seconds_count") == 3
    assert found.value("framefleet_queue_wait_seconds_sum") == 120  # a clock that is ahead makes no age negative
    assert found.value("framefleet_queue_wait_seconds_bucket", le="60.0") == 2


# What the engine's meters show


def test_answers_that_do_not_fit_are_told_by_field_and_all_others_by_outcome() -> None:
    rungs = {"constrained": {"accepted": 9, "cut": 2, "summary": 3, "json": 1, "field:colour": 1}, "free": {"other_key": 1}}
    found = of_engine(rungs=rungs)
    assert found.by("outcome", "framefleet_rungs_total") == {"accepted": 9, "cut": 2, "unfit": 6}
    assert found.by("field", "framefleet_schema_failures_total") == {"summary": 3, "json": 1, "colour": 1, "other_key": 1}
    assert found.value("framefleet_schema_failures_total", rung="free", field="other_key") == 1


def test_efficiency_is_told_where_the_ceiling_is_known_and_work_was_done() -> None:
    found = of_engine(ceiling_frames_per_second=4.0, recent_captioned=20, recent_seconds=10.0)
    assert found.value("framefleet_engine_efficiency_ratio") == 0.5
    for unknown in ({"ceiling_frames_per_second": None}, {"ceiling_frames_per_second": 4.0, "recent_seconds": 0.0}):
        assert ("framefleet_engine_efficiency_ratio", frozenset()) not in of_engine(**unknown).values


def test_tokens_are_told_by_kind_and_kinds_that_nobody_counts_are_left_out() -> None:
    assert of_engine(tokens={"prompt": 900, "cached": 300}).by("kind", "framefleet_engine_tokens_total") == {"prompt": 900, "cached": 300}


# How it is served


def test_a_breaker_is_seen_open_when_somebody_looked(seat: Seat) -> None:
    breaker = SeenBreaker(seat.app)
    for worker in ("a:1", "b:1"):
        breaker.judge(worker, ["engine_failed"] * 5, shard=worker)
    assert not breaker.open
    BreakerWatch(breaker).look()
    assert breaker.open
    breaker.reset()
    BreakerWatch(breaker).look()
    assert not breaker.open


@pytest.fixture
def served(pulse: Pulse) -> Iterator[tuple[Exporter, int, dict[str, bool]]]:
    port, state = free_port(), {"draining": False, "open": False}
    settings = WorkerSettings(metrics_port=port, metrics_address="127.0.0.1")
    exporter = serve_worker(settings, pulse, Figures(), draining=lambda: state["draining"], breaker_open=lambda: state["open"])
    assert exporter is not None
    yield exporter, port, state
    exporter.close()


def test_metrics_are_as_of_the_moment_they_are_asked_for(served: tuple[Exporter, int, dict[str, bool]], pulse: Pulse) -> None:
    _, port, state = served
    assert [scrape(port).value(f"framefleet_{name}") for name in ("draining", "breaker_seen_open", "delivered_frames_total")] == [0, 0, 0]
    state.update(draining=True, open=True)
    pulse.count(5)
    assert [scrape(port).value(f"framefleet_{name}") for name in ("draining", "breaker_seen_open", "delivered_frames_total")] == [1, 1, 5]


def test_a_worker_that_is_closed_serves_nothing(pulse: Pulse) -> None:
    port = free_port()
    settings = WorkerSettings(metrics_port=port, metrics_address="127.0.0.1")
    exporter = serve_worker(settings, pulse, Figures(), draining=bool, breaker_open=bool)
    assert exporter is not None
    assert serves(port)
    exporter.close()
    assert not serves(port)


def test_no_port_is_no_server(pulse: Pulse) -> None:
    assert serve_worker(WorkerSettings(), pulse, Figures(), draining=bool, breaker_open=bool) is None


def test_a_worker_whose_port_is_taken_says_so_and_goes_on(pulse: Pulse, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, caplog.at_level(logging.WARNING):
        settings = WorkerSettings(metrics_port=other.getsockname()[1], metrics_address="127.0.0.1")
        assert serve_worker(settings, pulse, Figures(), draining=bool, breaker_open=bool) is None
    assert "FRAMEFLEET_METRICS_PORT" in caplog.text


# What a worker's task counts


def told(seat: Seat) -> Scrape:
    return shown(seat.task._around.figures)


def test_a_shard_that_is_done_is_counted_by_what_became_of_its_frames(seat: Seat) -> None:
    seat.room.decoder.scripts.update({"a": frames(3), "b": [BROKEN], "c": [frame(0, 2), BROKEN]})
    seat.send("a", "b", "c")
    assert seat.work(seat.take()) == GONE
    found = told(seat)
    assert found.by("outcome", "framefleet_frames_total") == {"captioned": 4, "dead": 1}
    assert found.by("outcome", "framefleet_videos_total") == {"captioned": 1, "partial": 1, "dead": 1}
    assert found.by("outcome", "framefleet_video_bytes_total") == {"captioned": 1, "partial": 1, "dead": 1}
    assert found.by("scope", "framefleet_dead_letters_total") == {"video": 1, "frame": 1}
    assert found.by("outcome", "framefleet_attempts_total") == {"settled": 1}
    assert found.by("stage", "framefleet_stage_seconds_count") == {"fetch": 3, "decode": 4, "caption": 4, "validate": 4, "commit": 1}


def test_a_shard_that_comes_again_is_a_redelivery_and_its_frames_count_once(seat: Seat) -> None:
    seat.room.answers["bus"] = BUSY
    seat.room.decoder.scripts["a"] = [frame(0, 1, "bus")]
    seat.send("a")
    assert seat.work(seat.take()) == BACK
    seat.room.answers.clear()
    assert seat.work(seat.take()) == GONE
    found = told(seat)
    assert found.value("framefleet_redeliveries_total") == 1
    assert found.by("outcome", "framefleet_attempts_total") == {"put_back": 1, "settled": 1}
    assert found.by("outcome", "framefleet_frames_total") == {"captioned": 1}


def test_a_claim_that_is_gone_before_work_begins_is_a_lost_lease(seat: Seat) -> None:
    seat.send("a")
    message = seat.take()
    with redis_of(seat.app) as redis:
        redis.delete("claims:index")
    seat.work(message)
    found = told(seat)
    assert found.by("outcome", "framefleet_attempts_total") == {"lease_lost": 1}
    assert ShardQueue(seat.app).depth() == 0


def test_the_collector_may_be_asked_from_many_threads(pulse: Pulse) -> None:
    collector = WorkerCollector(Figures(), pulse.vitals, float, bool, bool)
    names: list[set[str]] = []
    threads = [threading.Thread(target=lambda: names.append({family.name for family in collector.collect()})) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(map(frozenset, names))) == 1
