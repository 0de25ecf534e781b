import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clips
import pytest
from celery.utils.threads import default_socket_timeout
from clips import Bytes, Clip
from processes import children_of, eventually, is_alive, zygotes

from schemas.errors import FatalError, PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.recipe import ImageSize, KeyframePolicy
from workers.keyframe import Keyframe
from workers.media import Limits
from workers.media.sandbox import Decoder

ALL = KeyframePolicy(min_gap_seconds=0, max_per_video=0)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def lone() -> Iterator[tuple[Decoder, int]]:
    """A decoder of this test alone, with its zygote's pid."""
    before = set(zygotes())
    with Decoder(limits=Limits(deadline_seconds=2)) as decoder:
        zygote = newcomer(before)
        yield decoder, zygote


def newcomer(before: set[int]) -> int:
    """The zygote that was not there before; a process has no name yet when its start is over."""
    assert eventually(lambda: len(set(zygotes()) - before) == 1)
    (zygote,) = set(zygotes()) - before
    return zygote


def keyframes(decoder: Decoder, source: Bytes):
    return decoder.keyframes(source, policy=ALL, image=ImageSize())


def signals_child(zygote: int, which: int) -> Callable[[], None]:
    """What a source does that sends its decoding child a signal at the first read."""

    def strike() -> None:
        for child in children_of(zygote):
            os.kill(child, which)

    return strike


def test_the_parent_never_loads_ffmpeg() -> None:
    program = "import sys, workers.media.sandbox, workers.media.ranges; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="a child is hidden from all but root")
def test_a_child_has_nothing_but_its_conversation_and_its_pictures(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone
    seen: dict[str, object] = {}

    def look() -> None:
        (child,) = children_of(zygote)
        process = Path(f"/proc/{child}")
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        seen.update(
            environment=(process / "environ").read_bytes() + Path(f"/proc/{zygote}/environ").read_bytes(),
            descriptors=sorted(link.readlink().as_posix().split(":")[0] for link in (process / "fd").iterdir()),
            cwd=(process / "cwd").readlink(),
            threads=status["Threads"],
            no_new_privileges=status["NoNewPrivs"],
            filtered=status["Seccomp"],
            capabilities=status["CapEff"],
            files=resource.prlimit(child, resource.RLIMIT_NOFILE),
            core=resource.prlimit(child, resource.RLIMIT_CORE),
            file_size=resource.prlimit(child, resource.RLIMIT_FSIZE),
            cpu=resource.prlimit(child, resource.RLIMIT_CPU)[0],
        )

    list(keyframes(decoder, Bytes(clips.make(Clip(frames=1)), before_read=look)))
    assert seen == {
        "environment": b"",
        "descriptors": ["/memfd", "socket"],
        "cwd": Path("/"),
        "threads": "1",
        "no_new_privileges": "1",
        "filtered": "2",
        "capabilities": "0000000000000000",
        "files": (0, 0),
        "core": (0, 0),
        "file_size": (0, 0),
        "cpu": Limits().cpu_seconds,
    }


def test_closing_the_generator_ends_the_child(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone
    frames = keyframes(decoder, Bytes(clips.make(Clip(gop=1))))
    next(frames)
    assert len(children_of(zygote)) == 1
    frames.close()
    assert children_of(zygote) == []


def test_a_child_waits_for_a_slow_consumer(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone
    frames = keyframes(decoder, Bytes(clips.make(Clip(gop=1))))
    first = next(frames)
    (child,) = children_of(zygote)
    assert eventually(lambda: Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "S")
    assert [clips.number_of(frame.picture.array) for frame in [first, *frames]] == list(range(40))


SLOTS_OF_ONE_CHILD = 2
"""Descriptors of the memory that the next child writes into: the memfd, and mmap's own copy of it."""


def test_a_finished_child_leaves_nothing_but_its_slots_for_the_next(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        assert len(list(keyframes(decoder, Bytes(clips.make(Clip()))))) == 4
    assert children_of(zygote) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors + SLOTS_OF_ONE_CHILD  # noqa: PTH208
    assert eventually(lambda: len(os.listdir(f"/proc/{zygote}/fd")) <= 5)  # noqa: PTH208 - the standard three, its control, Landlock's ruleset


def test_a_crash_is_named_by_its_signal(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone
    clip = clips.make(Clip())
    with pytest.raises(PermanentError) as caught:
        list(keyframes(decoder, Bytes(clip, before_read=signals_child(zygote, signal.SIGSEGV))))
    assert (caught.value.reason, caught.value.stage, caught.value.signal) == (Reason.DECODER_CRASHED, Stage.PROBE, "SIGSEGV")
    assert len(list(keyframes(decoder, Bytes(clip)))) == 4


def test_a_hanging_child_is_killed_at_its_deadline() -> None:
    before = set(zygotes())
    with Decoder(limits=Limits(deadline_seconds=0.3)) as decoder:
        zygote = newcomer(before)
        with pytest.raises(PermanentError) as caught:
            list(keyframes(decoder, Bytes(clips.make(Clip()), before_read=signals_child(zygote, signal.SIGSTOP))))
        assert caught.value.reason is Reason.DECODER_TIMEOUT
        assert children_of(zygote) == []


def test_time_spent_fetching_and_consuming_is_not_the_childs() -> None:
    pause = threading.Event()
    with Decoder(limits=Limits(deadline_seconds=0.4)) as decoder:
        count = 0
        for _ in keyframes(decoder, Bytes(clips.make(Clip(gop=5)), before_read=lambda: pause.wait(0.1) and None)):
            pause.wait(0.1)
            count += 1
    assert count == 8


def test_a_child_out_of_cpu_seconds_is_out_of_time(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone
    with pytest.raises(PermanentError) as caught:
        list(keyframes(decoder, Bytes(clips.make(Clip()), before_read=signals_child(zygote, signal.SIGXCPU))))
    assert (caught.value.reason, caught.value.signal) == (Reason.DECODER_TIMEOUT, "SIGXCPU")


def test_a_child_short_of_memory_says_so() -> None:
    clip = clips.make(Clip(width=3840, height=2176, frames=1))
    with Decoder(limits=Limits(memory_bytes=8 << 20)) as decoder, pytest.raises(PermanentError, match="needs more than 8388608") as caught:
        list(keyframes(decoder, Bytes(clip)))
    assert caught.value.reason is Reason.DECODER_CRASHED


def test_a_child_holds_one_picture_at_a_time() -> None:
    clip = clips.make(Clip(width=1920, height=1088, frames=24, gop=1))
    with Decoder(limits=Limits(memory_bytes=48 << 20)) as decoder:
        assert len([frame for frame in keyframes(decoder, Bytes(clip)) if isinstance(frame, Keyframe)]) == 24


def test_a_source_that_fails_ends_the_video_with_its_own_error(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone

    def fail() -> None:
        raise TransientError("later")

    with pytest.raises(TransientError, match="later"):
        list(keyframes(decoder, Bytes(clips.make(Clip()), before_read=fail)))
    assert children_of(zygote) == []


def test_eight_threads_share_a_decoder(decoder: Decoder) -> None:
    made = [clips.make(Clip(frames=11 + number, container=("mp4", "matroska")[number % 2])) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda clip: [len(list(keyframes(decoder, Bytes(clip)))) for _ in range(4)], made))
    assert counts == [[2] * 4] * 8


def test_a_killed_zygote_is_replaced_between_two_videos(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone
    clip = clips.make(Clip())
    assert len(list(keyframes(decoder, Bytes(clip)))) == 4
    os.kill(zygote, signal.SIGKILL)
    assert len(list(keyframes(decoder, Bytes(clip)))) == 4
    assert zygote not in zygotes()


def test_a_zygote_killed_under_a_video_costs_no_frame_and_doubles_none(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone
    frames = keyframes(decoder, Bytes(clips.make(Clip(gop=1))))
    first = next(frames)
    os.kill(zygote, signal.SIGKILL)
    assert [frame.frame_index for frame in [first, *frames]] == list(range(40))


def test_a_closed_decoder_leaves_no_process_and_takes_no_work(lone: tuple[Decoder, int]) -> None:
    decoder, zygote = lone
    frames = keyframes(decoder, Bytes(clips.make(Clip(gop=1))))
    next(frames)
    (child,) = children_of(zygote)
    decoder.close()
    assert not is_alive(zygote)
    assert eventually(lambda: not is_alive(child))
    with pytest.raises(FatalError):
        list(frames)


def test_nothing_survives_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(clips.make(Clip(gop=1)))
    program = (
        "import sys, time; sys.path[:0] = sys.argv[1:3]\n"
        "from clips import Bytes; from workers.media.sandbox import Decoder; from schemas.recipe import *\n"
        "frames = Decoder().keyframes(Bytes(open(sys.argv[3], 'rb').read()), policy=KeyframePolicy(min_gap_seconds=0), image=ImageSize())\n"
        "next(frames); print('ready', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(ROOT), str(ROOT / "tests"), str(tmp_path / "clip.mp4")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        (zygote,) = children_of(parent.pid)
        (child,) = children_of(zygote)
        parent.kill()
    assert eventually(lambda: not is_alive(zygote) and not is_alive(child))


def test_slots_are_given_back_when_the_decoder_closes() -> None:
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Decoder() as decoder:
        assert len(list(keyframes(decoder, Bytes(clips.make(Clip()))))) == 4
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def test_videos_begun_while_celery_shuts_down_are_decoded(lone: tuple[Decoder, int]) -> None:
    decoder, _ = lone
    pause = threading.Event()
    with default_socket_timeout(5):
        assert len(list(keyframes(decoder, Bytes(clips.make(Clip()), before_read=lambda: pause.wait(0.05) and None)))) == 4
