"""Flower in a real browser, on a fleet that captions a job: what an operator sees there.

`FRAMEFLEET_KEEP_SCREENSHOT=docs/flower.png` keeps the picture that the docs show.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from clips import Clip, bad_files, make
from fleet_runs import framefleet, redis_server, running, slow, wait_until
from flower_seen import PASSWORD, USER, Flower, flower
from PIL import Image
from playwright.sync_api import Browser, Error, Page, sync_playwright
from s3_places import upload
from s3_server import S3Server

from broker.messages import message_id

BROWSER = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZE = {"width": 1760, "height": 690}
MOST_BYTES = 150_000
KEEP = os.environ.get("FRAMEFLEET_KEEP_SCREENSHOT")
CLIP = Clip(frames=24, gop=1, seconds_between_frames=2, rate=10)
VIDEOS = 9
JOBS = {"s3://captions/spring": "s3://videos/films/", "s3://captions/pilot": "s3://videos/pilot/"}
WORKERS = ("gpu-a", "gpu-b", "gpu-c")


def celery_worker(name: str) -> list[str]:
    """A worker whose name is no machine's."""
    return [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--pool=threads", "--concurrency=1", f"--hostname={name}@spot"]


@pytest.fixture(scope="module")
def stored(s3_server: S3Server) -> Iterator[None]:
    """Videos, one of them broken, and a place for captions, in an environment that leads there."""
    place = {"AWS_ENDPOINT_URL": s3_server.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name in ("videos", "captions"):
        s3_server.create_bucket(name)
    upload(s3_server, "videos", {f"films/{number}.mp4": make(CLIP) for number in range(VIDEOS)})
    upload(s3_server, "videos", {"pilot/text.mp4": bad_files()["text.mp4"](), "pilot/film.mp4": make(CLIP)})
    with pytest.MonkeyPatch.context() as patched:
        for name, value in (
            place | {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}
        ).items():
            patched.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def seen(stored: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    """A fleet amid a job: shards are done, in work and waiting, and one was handed back by a worker that left."""
    del stored
    place = tmp_path_factory.mktemp("seen")
    with ExitStack() as stack:
        broker = stack.enter_context(redis_server(place))
        env = slow(seconds=0.8) | {"FRAMEFLEET_BROKER_URL": broker, "FRAMEFLEET_GRACE_SECONDS": "6"}
        found = stack.enter_context(flower(broker, place / "flower"))
        for job, source in JOBS.items():
            launched = framefleet("launch", source, "--out", job, "--engine", "scripted", "--broker", broker)
            assert launched.status == 0, launched.said
        *_, leaver = (stack.enter_context(running(celery_worker(name), place / name, env)) for name in WORKERS)
        wait_until(lambda: found.states().count("SUCCESS") > 2 and all(0 < frames_of(found, name) < 8 for name in WORKERS))
        leaver.signal(signal.SIGTERM)
        assert leaver.ended(within_seconds=30).status == 0
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    credentials = {"username": USER, "password": PASSWORD}
    with browser.new_context(http_credentials=credentials, viewport=SIZE, timezone_id="UTC", color_scheme="light") as context:
        yield context.new_page()


def frames_of(flower: Flower, worker: str) -> int:
    """How many frames a worker has told of the shard that it is at."""
    at = flower.task(lambda task: task["worker"] == f"{worker}@spot" and task["state"] == "STARTED" and "so far" in (task["result"] or ""))
    return int(at["result"].split()[0]) if at else 0


def rows(page: Page) -> list[dict[str, str]]:
    """What stands in the table of tasks, by its columns."""
    columns = page.locator("#tasks-table thead th").all_inner_texts()
    cells = [row.locator("td").all_inner_texts() for row in page.locator("#tasks-table tbody tr").all()]
    return [{column.strip().lower(): cell.strip() for column, cell in zip(columns, row, strict=False)} for row in cells]


def test_an_operator_reads_which_shard_of_which_job_is_how_far(seen: Flower, page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{seen.url}/tasks")
    page.wait_for_selector("#tasks-table tbody tr:nth-child(4)")
    shown = rows(page)
    assert {row["args"] for row in shown} == {f"{job}, 1 video" for job in JOBS}
    assert all(row["uuid"].startswith(message_id(row["args"].split(",")[0], "")) for row in shown)
    by_state = {state: [row["result"] for row in shown if row["state"] == state] for state in ("STARTED", "SUCCESS", "RETRY")}
    assert "put back: This worker is told to end." in by_state["RETRY"]
    assert "24 frames of 1 video" in by_state["SUCCESS"]
    assert "0 frames of 1 video, 1 dead" in by_state["SUCCESS"]
    assert any("frames so far (" in result for result in by_state["STARTED"])
    assert errors == []
    keep(page.screenshot())


def test_an_operator_sees_who_works_and_what_waits(seen: Flower, page: Page) -> None:
    page.goto(f"{seen.url}/workers")
    listed = page.locator("#workers-table tbody")
    for name in WORKERS[:-1]:
        assert "Online" in listed.locator("tr", has_text=f"{name}@spot").inner_text()
    assert "Offline" in listed.locator("tr", has_text=f"{WORKERS[-1]}@spot").inner_text()
    page.goto(f"{seen.url}/broker")
    assert "framefleet" in page.locator("table").inner_text()


def test_a_visitor_without_the_password_sees_nothing(seen: Flower, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            page.goto(f"{seen.url}/tasks")


def keep(picture: bytes) -> None:
    """Make the picture small, and keep it where somebody asked for it."""
    small = BytesIO()
    Image.open(BytesIO(picture)).convert("RGB").quantize(64).save(small, "PNG", optimize=True)
    assert len(small.getvalue()) < MOST_BYTES
    if KEEP:
        Path(KEEP).write_bytes(small.getvalue())
