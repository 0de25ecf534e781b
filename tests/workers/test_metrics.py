import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery

from broker.app import make_app
from broker.embedded import embedded_redis
from broker.progress import Progress, Tally
from broker.vitals import Vitals, all_vitals
from workers.ceiling import Ceilings
from workers.metered import Meter
from workers.metrics import Reporter
from workers.pulse import Pulse

ROOM = SimpleNamespace(versions={"engine": "scripted"}, rungs=Counter(), window_size=8, in_flight=0, waiting_pictures=0)


@pytest.fixture
def app() -> Iterator[Celery]:
    with embedded_redis() as url:
        app = make_app(url)
        yield app
        app.close()


def told(app: Celery) -> list[Vitals]:
    told_of = threading.Event()
    for _ in range(600):
        if found := all_vitals(app):
            return found
        told_of.wait(0.05)
    return []


def test_a_reporter_tells_of_its_worker_until_it_is_closed(app: Celery, tmp_path: Path) -> None:
    reporter = Reporter(app, Pulse("host:1", ROOM, Meter(), Ceilings(str(tmp_path))))
    reporter.count("s3://b/run", Tally(frames=2, videos=1))
    reporter.count("s3://b/run", Tally(frames=1))
    [vitals] = told(app)
    reporter.close()
    assert (vitals.worker, vitals.frames) == ("host:1", 3)
    assert Progress(app, "s3://b/run").tally() == Tally(frames=3, videos=1)
    assert all_vitals(app) == []
