"""Runs the real command line in processes of its own, and reads what it leaves behind with as little of the fleet's own code as it can."""

import atexit
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import psutil
from backports import zstd
from clips import Clip, make

from broker.embedded import redis_server_path, start_child
from fleet.audit import AuditReport, audit
from fleet.deadletters import Choice, live_letters
from schemas.reasons import Reason
from schemas.record import DeadLetter, FrameRecord
from storage.job import open_job

CHECKOUT = Path(__file__).parent.parent
PATIENCE_SECONDS = 180.0
SCRATCH = tempfile.TemporaryDirectory(prefix="ff-")
"""What killed runs leave lying; its name is short, since a unix socket's path may be."""
atexit.register(SCRATCH.cleanup)
SLIDES = Clip(frames=8, gop=1, seconds_between_frames=2, rate=10)
"""Eight keyframes, all far enough apart to be chosen."""


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def said(self) -> str:
        return self.out + self.err


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings that a developer may have for a fleet."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("FRAMEFLEET_")}
    return own | {"TMPDIR": SCRATCH.name} | dict(extra or {})


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "fleet.cli", *map(str, words)]


def framefleet(*words: object, env: Mapping[str, str] | None = None, stdin: str = "") -> Ended:
    """Run a command to its end. Whatever an operator does, he is never shown a traceback."""
    ended = subprocess.run(
        command(*words),
        cwd=CHECKOUT,
        env=environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert "Traceback" not in ended.stdout + ended.stderr, ended.stderr
    return Ended(ended.returncode, ended.stdout, ended.stderr)


class Running:
    """A command that is under way, with all the processes it has started."""

    def __init__(self, words: Sequence[str], folder: Path, env: Mapping[str, str] | None) -> None:
        self._files = (folder / "stdout", folder / "stderr")
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            self._process = subprocess.Popen(
                words, cwd=CHECKOUT, env=environment(env), stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        self._seen: set[psutil.Process] = set()

    def family(self) -> list[psutil.Process]:
        """The command's process and all below it, remembered from now on."""
        try:
            root = psutil.Process(self._process.pid)
            self._seen |= {root, *root.children(recursive=True)}
        except psutil.NoSuchProcess:
            pass
        return [process for process in self._seen if alive(process)]

    def workers(self) -> list[psutil.Process]:
        return [process for process in self.family() if words_of(process)[-3:] == ["-m", "fleet.cli", "worker"]]

    def signal(self, number: int) -> None:
        self.family()
        self._process.send_signal(number)

    def ended(self, *, within_seconds: float = PATIENCE_SECONDS) -> Ended:
        """Wait for the end, and for nobody to be left behind."""
        try:
            status = self._process.wait(within_seconds)
        finally:
            self.kill()
        out, err = (file.read_text() for file in self._files)
        assert "Traceback" not in out + err, err
        return Ended(status, out, err)

    def status(self, *, within_seconds: float) -> int:
        """Wait for the end, whatever was said."""
        try:
            return self._process.wait(within_seconds)
        finally:
            self.kill()

    def left_behind(self, *, after_seconds: float = 30.0) -> list[str]:
        """Command lines of the processes that are still there after a moment."""
        end = time.monotonic() + after_seconds
        while (left := self.family()) and time.monotonic() < end:
            time.sleep(0.05)
        return [" ".join(words_of(process)) for process in left]

    def kill(self) -> None:
        """Kill the command itself, not what it has started."""
        self.family()
        self._process.kill()
        self._process.wait()

    def clean_up(self) -> None:
        self.kill()
        for process in self.family():
            process.kill()


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def running(words: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Start a command whose output goes to this folder; nothing of it survives the block."""
    folder.mkdir(parents=True, exist_ok=True)
    run = Running(words, folder, env)
    try:
        yield run
    finally:
        run.clean_up()


def wait_until(happens: Callable[[], object], *, within_seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + within_seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def slow(*, seconds: float) -> dict[str, str]:
    """An environment in which every frame takes this long, one at a time, one shard after the other."""
    return {
        "FRAMEFLEET_ENGINE": "scripted",
        "FRAMEFLEET_SCRIPTED_LATENCY_SECONDS": str(seconds),
        "FRAMEFLEET_SCRIPTED_CONCURRENCY": "1",
        "FRAMEFLEET_SHARDS_AT_ONCE": "1",
    }


@contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """A redis-server without a memory, on a free port unless one is given; yields its URL."""
    port = port or free_port()
    words = [redis_server_path(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "no"]
    server = start_child(words)  # dies with the tests, however they end
    try:
        wait_until(lambda: _listens(port), within_seconds=60)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def write_clips(folder: Path, count: int, clip: Clip = SLIDES) -> Path:
    """A folder of equal clips, which etags (times of change) tell apart."""
    folder.mkdir(parents=True, exist_ok=True)
    body = make(clip)
    for number in range(count):
        (folder / f"clip-{number}.mp4").write_bytes(body)
    return folder


# What lies in a job's folder


def objects(job: Path) -> dict[str, bytes]:
    """The committed objects by their names."""
    return {path.name: path.read_bytes() for path in sorted(job.glob("captions/*/*")) if not path.name.endswith(".part")}


def everything(job: Path) -> dict[str, bytes]:
    return {str(path.relative_to(job)): path.read_bytes() for path in sorted(job.rglob("*")) if path.is_file()}


def unpacked(name: str, body: bytes) -> bytes:
    if name.endswith(".zst"):
        return zstd.decompress(body) if body else b""
    return gzip.decompress(body) if name.endswith(".gz") else body


def records_in(found: Mapping[str, bytes]) -> list[FrameRecord]:
    """All lines of committed objects; a line that does not fit the schema fails the test."""
    return [FrameRecord.model_validate_json(line) for name, body in found.items() for line in unpacked(name, body).splitlines()]


def records(job: Path) -> list[FrameRecord]:
    return records_in(objects(job))


def frame_ids(job: Path) -> list[str]:
    return sorted(record.frame_id for record in records(job))


def shown(found: Sequence[FrameRecord]) -> list[tuple[str, int]]:
    """Which frames were captioned, by their video's URI and pts, with repetitions."""
    return sorted((record.video.uri, record.pts) for record in found)


def letters(job: Path | str) -> dict[str, DeadLetter]:
    """The dead letters that stand, by their keys."""
    return dict(live_letters(open_job(str(job)), Choice()))


def dead(job: Path | str) -> dict[tuple[str, int | None], Reason]:
    """Why what is dead, by the video's file name and the frame's index."""
    return {(letter.video.uri.rpartition("/")[2], letter.frame_index): letter.reason for letter in letters(job).values()}


def audited(job: Path | str) -> AuditReport:
    """What an audit counts; it must find the job complete and clean."""
    report = audit(open_job(str(job)))
    assert report.complete, report.findings
    assert report.clean, report.findings
    return report


# What the policy asks for, found out by decoding all of a file


def keyframe_stamps(path: Path, *, min_gap_seconds: float = 2.0, most: int = 64) -> list[int]:
    """Time stamps of the keyframes that the policy chooses, in the stream's time base."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        assert isinstance(stream, av.VideoStream)
        stream.codec_context.skip_frame = "NONKEY"
        stamps = sorted({frame.pts for frame in container.decode(stream) if frame.key_frame and frame.pts is not None})
        time_base = stream.time_base
    kept: list[int] = []
    for stamp in stamps:
        if not kept or (stamp - kept[-1]) * time_base >= min_gap_seconds:
            kept.append(stamp)
    return kept if len(kept) <= most else [kept[(2 * part + 1) * len(kept) // (2 * most)] for part in range(most)]


def expected(paths: Sequence[Path], *, root: str, folder: Path, **policy: Any) -> list[tuple[str, int]]:
    """The frames that must be captioned, as `shown` names them."""
    return sorted((f"{root}/{path.relative_to(folder)}", stamp) for path in paths for stamp in keyframe_stamps(path, **policy))
