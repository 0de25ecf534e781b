"""How log lines look: in one line each, about what they are about, and without secrets."""

import contextlib
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from schemas.errors import OperatorError
from schemas.redaction import Redactor
from workers.feeding import Feed
from workers.keyframe import Form, Picture
from workers.logs import FRAMES, about, formatter_of, in_a_line, note
from workers.settings import LogSettings, read_log_settings

SECRET = "s3cr3t-of-the-broker"


class Written:
    """A logger of the test's own, and what it wrote."""

    def __init__(self, log_format: str) -> None:
        self.stream = io.StringIO()
        handler = logging.StreamHandler(self.stream)
        settings = LogSettings(log_format=log_format)  # type: ignore[arg-type]
        handler.setFormatter(formatter_of(settings, self.stream, Redactor([SECRET]), {"worker": "pod:1"}))
        self.log = logging.getLogger("framefleet.test")
        self.log.handlers[:], self.log.propagate = [handler], False
        self.log.setLevel("INFO")

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def json_lines() -> Written:
    return Written("json")


@pytest.fixture
def text_lines() -> Written:
    return Written("text")


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """Raise an error with a cause, and a local that must not be told."""
    password = SECRET
    try:
        int("x")
    except ValueError as error:
        message = f"no number\nin redis://:{password}@queue:6379"
        raise RuntimeError(message) from error
    yield


def test_a_line_of_json_is_one_object_with_what_it_is_about(json_lines: Written) -> None:
    with about(job="0a1b2c3d", shard="s1"):
        note(video="a.mp4", attempt=2)
        json_lines.log.warning("it goes back: %s", "busy")
    json_lines.log.info("after")
    first, second = json_lines.objects
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "framefleet.test",
        "event": "it goes back: busy",
        "worker": "pod:1",
        "job": "0a1b2c3d",
        "shard": "s1",
        "video": "a.mp4",
        "attempt": 2,
    }
    assert set(second) == {"timestamp", "level", "logger", "event", "worker"}


def test_what_a_block_notes_is_forgotten_behind_it_and_what_was_before_comes_back(json_lines: Written) -> None:
    with about(shard="outer", video="v"):
        with about(shard="inner"):
            note(attempt=3, video=None)
            json_lines.log.info("inside")
        json_lines.log.info("outside")
    inside, outside = json_lines.objects
    assert (inside["shard"], inside["attempt"], "video" in inside) == ("inner", 3, False)
    assert (outside["shard"], outside["video"], "attempt" in outside) == ("outer", "v", False)


def test_an_error_is_a_field_of_its_line_and_tells_no_locals(json_lines: Written) -> None:
    try:
        with failing():
            pass
    except RuntimeError:
        json_lines.log.exception("it failed")
    [line] = json_lines.objects
    assert [one["exc_type"] for one in line["exception"]] == ["RuntimeError", "ValueError"]
    assert line["exception"][0]["frames"][-1]["name"] == "failing"
    assert SECRET not in json_lines.stream.getvalue()
    assert '"locals"' not in json_lines.stream.getvalue()


def test_an_error_for_people_is_told_in_the_same_line(text_lines: Written) -> None:
    try:
        with failing():
            pass
    except RuntimeError:
        text_lines.log.exception("it failed")
    [line] = text_lines.lines
    assert "it failed" in line
    assert "RuntimeError: no number" in line
    assert "ValueError: invalid literal" in line
    assert "Traceback" not in line
    assert SECRET not in line


def test_lines_for_people_are_plain_where_nobody_watches(text_lines: Written) -> None:
    with about(shard="s1", video="two words.mp4"):
        text_lines.log.info("one\ntwo \x1b[2J")
    [line] = text_lines.lines
    assert "\x1b" not in line
    assert "one\\ntwo \\x1b[2J" in line
    assert line.split()[1:3] == ["[info", "]"]
    assert "shard=s1 video='two words.mp4'" in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_hidden_in_messages_arguments_context_and_errors(form: str) -> None:
    written = Written(form)
    with about(video=f"x?X-Amz-Signature={SECRET}"):
        error = ValueError(f"Authorization: Bearer {SECRET[::-1]}")
        written.log.error("redis://u:%s@q/0 %r", "another-s3cr3t", {"token": "in-an-argument"}, exc_info=error)
    said = written.stream.getvalue()
    assert [word for word in (SECRET, SECRET[::-1], "another-s3cr3t", "in-an-argument") if word in said] == []
    assert said.count("***") >= 4


def test_what_cannot_be_written_as_json_is_written_in_words(json_lines: Written) -> None:
    with about(odd={1, 2}, name="\udcff.mp4", nested={"token": ["abc", (1, None)]}, error=ValueError(f"redis://:{SECRET}@queue")):
        json_lines.log.info("odd")
    [line] = json_lines.objects
    assert line["odd"] == "{1, 2}"
    assert line["error"] == "ValueError('redis://***@queue')"
    assert line["nested"] == {"token": ["abc", [1, None]]}


def test_what_a_line_is_about_crosses_into_threads_that_get_a_copy(json_lines: Written) -> None:
    with ThreadPoolExecutor(1) as pool, about(shard="s1"):
        pool.submit(copy_context().run, json_lines.log.info, "with").result()
        pool.submit(json_lines.log.info, "without").result()
    assert [line.get("shard") for line in json_lines.objects] == ["s1", None]


def test_what_a_line_is_about_reaches_the_engines_thread(json_lines: Written) -> None:
    from puppets import Puppet  # noqa: PLC0415

    class Saying(Puppet):
        async def answer(self, picture: Picture, ask: Any) -> Any:
            json_lines.log.info("asked in %s", threading.current_thread().name)
            return await super().answer(picture, ask)

    from builders import RECIPE  # noqa: PLC0415

    feed = Feed(Saying, deadline_seconds=30.0, size_bytes=1 << 20)
    try:
        futures = []
        for shard in ("s1", "s2"):
            with about(shard=shard):
                futures.append(feed.caption(Picture(b"at once", 4, 4, Form.JPEG), RECIPE, turn=0))
        for future in futures:
            future.exception(30)
    finally:
        feed.close()
    assert {(line["event"], line["shard"]) for line in json_lines.objects} == {("asked in engine", "s1"), ("asked in engine", "s2")}


def test_errors_in_a_line_name_their_causes() -> None:
    try:
        with failing():
            pass
    except RuntimeError as error:
        told = in_a_line(error)
    assert told.index("RuntimeError") < told.index(" <- ValueError")
    assert f"({__name__}:" in told


def test_errors_that_cause_each_other_are_told_to_an_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert in_a_line(one).count("ValueError: one") == FRAMES / 2


WHOLE_PROCESS = """
import gc, logging, threading, warnings
from workers.logs import write_lines
from workers.settings import read_log_settings
write_lines(read_log_settings(), secrets=["the-known-secret"], everywhere={"worker": "pod:1"})
logging.getLogger("celery").info("chatter")
logging.getLogger("celery.worker").warning("lost the-known-secret")
logging.getLogger("kombu").debug("chatter")
logging.getLogger("some.library").info("of a library")
logging.getLogger("some.library").error("%d", "no number")
warnings.warn("of the interpreter", stacklevel=1)
thread = threading.Thread(target=lambda: 1 / 0, name="doomed")
thread.start(), thread.join()
class Grave:
    def __del__(self): raise KeyError("too late")
grave = Grave()
del grave
gc.collect()
raise OSError("the-known-secret at the end")
"""


def whole_process(**environment: str) -> list[str]:
    ended = subprocess.run([sys.executable, "-c", WHOLE_PROCESS], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    return ended.stderr.splitlines()


def test_all_that_a_process_says_is_json_whoever_says_it() -> None:
    lines = [json.loads(line) for line in whole_process(FRAMEFLEET_LOG_FORMAT="json")]
    said = {(line["logger"], line["level"], line["event"].partition(" ")[0]) for line in lines}
    assert said == {
        ("celery.worker", "warning", "lost"),
        ("some.library", "info", "of"),
        ("some.library", "error", "%d"),
        ("py.warnings", "warning", "<string>:11:"),
        ("workers.logs", "critical", "an"),
        ("workers.logs", "error", "an"),
    }
    assert {line["worker"] for line in lines} == {"pod:1"}
    assert "the-known-secret" not in json.dumps(lines)


def test_a_level_silences_what_is_below_it_also_of_libraries_with_one_of_their_own() -> None:
    levels = {json.loads(line)["level"] for line in whole_process(FRAMEFLEET_LOG_FORMAT="json", FRAMEFLEET_LOG_LEVEL="ERROR")}
    assert levels == {"error", "critical"}


def test_people_get_one_line_an_event_and_no_traceback() -> None:
    lines = whole_process()
    assert len(lines) == 7
    assert [line for line in lines if "Traceback" in line or "\x1b" in line] == []


@pytest.mark.parametrize(("name", "value"), [("LOG_FORMAT", "yaml"), ("LOG_LEVEL", "loud")])
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FRAMEFLEET_{name}", value)
    with pytest.raises(OperatorError, match=f"FRAMEFLEET_{name}: "):
        read_log_settings()
