import io

from rich.console import Console
from vital_signs import vitals

from broker.vitals import Vitals
from fleet.efficiency import efficiency_of
from fleet.report import MOST_WORKERS, print_broker
from fleet.status import BrokerStatus, WorkerStatus


def told(*workers: Vitals, waiting: int = 0) -> list[str]:
    broker = BrokerStatus(
        waiting=waiting,
        in_work=0,
        frames=9,
        videos=0,
        bytes_read=0,
        requests=0,
        object_bytes=0,
        faults=(),
        workers=tuple(WorkerStatus(vitals=one, efficiency=efficiency_of([one])) for one in workers),
        together=efficiency_of(workers) if workers else None,
    )
    file = io.StringIO()
    print_broker(Console(file=file, width=20, no_color=True), broker)
    return file.getvalue().splitlines()


def test_workers_are_told_of_in_sum_and_one_by_one() -> None:
    lines = told(vitals("a:1", ceiling_frames_per_second=2.5), vitals("b:2", ceiling_frames_per_second=2.5))
    shares = "(80.0% of the ceiling)"
    work = "window 8, 8 in flight, 3 pictures wait; rungs: 20 constrained accepted"
    rates = f"2.00 frames/s now {shares}, 2.00 frames/s since the start {shares}, 0.5000 GPU-seconds a frame"
    assert lines == [
        "  broker: 0 shards wait, 0 in work, 9 frames so far",
        f"  all workers (2): {rates.replace('2.00', '4.00')}",
        f"    a:1 (scripted): {rates}; {work}",
        f"    b:2 (scripted): {rates}; {work}",
    ]


def test_where_no_ceiling_is_known_it_says_how_to_get_one() -> None:
    last = told(vitals("a:1", engine="vllm"))[-1]
    assert last == "  no ceiling is known of vllm; before workers start, run there: framefleet bench engine --engine vllm"


def test_of_many_workers_only_some_are_told_of_one_by_one() -> None:
    lines = told(*(vitals(f"host:{number}", ceiling_frames_per_second=4.0) for number in range(MOST_WORKERS + 4)))
    assert len(lines) == 2 + MOST_WORKERS + 1
    assert (lines[1][:19], lines[-1]) == ("  all workers (20):", "    and 4 more; see --json")


def test_a_broker_without_workers_says_nothing_of_them_unless_shards_wait() -> None:
    assert told() == ["  broker: 0 shards wait, 0 in work, 9 frames so far"]
    assert "no worker of this broker tells of itself" in told(waiting=2)[1]
