import pytest
from builders import HandmadeJob
from fleet_runs import redis_server, wait_until
from vital_signs import vitals
from watched_fleet import PRICES, Fleet

from broker.app import make_app
from broker.progress import Progress, Tally
from broker.vitals import tell_vitals
from fleet.budget import Watch, watching
from fleet.guards import Budget
from fleet.spent import Meter, Spent
from schemas.control import ControlState
from storage import StoreUnavailable
from storage.control import read_control, set_control

# The budget


def test_a_spent_budget_pauses_the_job_and_says_so_once():
    fleet = Fleet()
    fleet.work(0, frames={"a": 0}, of_job=0)
    watch = fleet.watch(fleet.budget(20))
    for _ in range(6):
        watch.look()
        fleet.work(5, frames={"a": 5}, of_job=5)

    control = read_control(fleet.job)
    assert (control.state, control.by, control.why) == (ControlState.PAUSED, "budget", "20.00 of 20.00 dollars are spent")
    assert len(fleet.said) == 1
    assert "larger --budget" in fleet.said[-1]
    assert "framefleet resume" in fleet.said[-1]


def test_most_of_a_budget_is_warned_of_once():
    fleet = Fleet()
    fleet.work(0, frames={"a": 0}, of_job=0)
    watch = fleet.watch(fleet.budget(20))
    watch.look()
    fleet.work(16, frames={"a": 5}, of_job=5)
    watch.look()
    fleet.work(6, frames={"a": 5}, of_job=0)

    assert fleet.said == [
        f"16.00 dollars are spent, 80% of the budget of 20.00, by 1 workers now; at the budget {fleet.job.url} is paused."
    ]
    assert fleet.state is ControlState.RUNNING


def test_who_resumes_without_more_money_is_paused_again():
    fleet = Fleet()
    budget = fleet.budget(20)
    budget.heed(Spent(worker_seconds=21), 1)
    set_control(fleet.job, ControlState.RUNNING, by="ann")
    budget.heed(Spent(worker_seconds=22), 1)

    assert fleet.state is ControlState.PAUSED
    assert len(fleet.said) == 2


def test_a_cancelled_job_stays_cancelled():
    fleet = Fleet()
    set_control(fleet.job, ControlState.CANCELLED, by="ann")
    fleet.budget(20).heed(Spent(worker_seconds=21), 1)

    assert fleet.state is ControlState.CANCELLED
    assert fleet.said == []


def test_what_is_spent_outlives_the_producer():
    fleet = Fleet()
    fleet.work(0, frames={"a": 0}, of_job=0)
    first = fleet.watch(fleet.budget(20))
    first.look()
    fleet.work(15, frames={"a": 5}, of_job=5)
    first.look()

    second = fleet.watch(fleet.budget(20), **first.spent)
    second.look()
    fleet.work(6, frames={"a": 5}, of_job=5)
    second.look()

    assert fleet.state is ControlState.PAUSED


def test_it_is_looked_every_few_seconds_however_often_it_is_asked():
    fleet = Fleet()
    watch = fleet.watch()
    watch.look()
    fleet.tally = Tally(frames=5)
    fleet.seconds = 4.9
    watch.look()
    assert watch.spent["frames"] == 0

    fleet.seconds = 5
    watch.look()
    assert watch.spent["frames"] == 5


def test_a_broker_that_was_away_is_made_up_for():
    fleet = Fleet()
    fleet.work(0, frames={"a": 0}, of_job=0)
    watch = fleet.watch()
    watch.look()
    fleet.away = True
    fleet.work(10, frames={"a": 5}, of_job=5)
    watch.look()
    fleet.away = False
    fleet.work(10, frames={"a": 5}, of_job=5)
    watch.look()

    assert watch.spent["worker_seconds"] == pytest.approx(20)


# While a producer runs


def test_a_spent_budget_pauses_a_job_while_its_producer_waits(tmp_path):
    job, said = HandmadeJob().job, list[str]()
    with redis_server(tmp_path) as url:
        app = make_app(url)
        tell_vitals(app, vitals("a", frames=0))
        watch = Watch(Meter.at(app, job.url, {}), [Budget(job, 0.2, PRICES, said.append)], every_seconds=0.05)
        watch.look()
        Progress(app, job.url).add(Tally(frames=10))
        tell_vitals(app, vitals("a", frames=10))
        with watching(watch, say=said.append):
            wait_until(lambda: read_control(job).state is ControlState.PAUSED, within_seconds=20)

    assert read_control(job).by == "budget"
    assert watch.spent["frames"] == 10
    assert watch.spent["worker_seconds"] >= 0.2
    assert len([words for words in said if "is paused" in words]) == 1


def test_storage_that_is_away_ends_no_watch():
    looks, said = list[int](), list[str]()

    class Failing(Watch):
        def look(self) -> None:
            looks.append(1)
            raise StoreUnavailable("503")

    with watching(Failing(Fleet().meter(), []), say=said.append):
        wait_until(lambda: len(looks) >= 2, within_seconds=20)

    assert said == ["Budget and deadline cannot be followed now: 503"]
