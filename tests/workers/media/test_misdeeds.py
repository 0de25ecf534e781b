"""Children that crash, loop, hoard and fork: each gets its reason, and its neighbours lose nothing."""

import os
from concurrent.futures import ThreadPoolExecutor

import clips
import pytest
from clips import Bytes, Clip
from misdeeds import MISDEEDS, SIGN
from processes import children_of, eventually, is_alive

from schemas.errors import PermanentError
from schemas.reasons import Reason
from schemas.recipe import ImageSize, KeyframePolicy
from workers.media import Limits
from workers.media.forks.forkserver import ForkServer
from workers.media.sandbox import Decoder

ENDS = {
    "segfault": (Reason.DECODER_CRASHED, "SIGSEGV"),
    "loop": (Reason.DECODER_TIMEOUT, "SIGXCPU"),
    "allocate": (Reason.DECODER_CRASHED, ""),
    "fork": (Reason.DECODER_CRASHED, "SIGSYS"),
    "abort": (Reason.DECODER_CRASHED, "SIGABRT"),
}
LIMITS = Limits(deadline_seconds=20, cpu_seconds=1, memory_bytes=128 << 20)


def ended(decoder: Decoder, body: bytes) -> object:
    """What became of a file: its frames' numbers, or reason and signal."""
    try:
        frames = list(decoder.keyframes(Bytes(body), policy=KeyframePolicy(min_gap_seconds=0), image=ImageSize()))
    except PermanentError as error:
        return error.reason, error.signal
    return [clips.number_of(frame.picture.array) for frame in frames]


def test_whatever_a_child_does_it_gets_its_reason_and_its_neighbours_their_pictures() -> None:
    assert set(ENDS) == set(MISDEEDS)
    before, descriptors = set(children_of(os.getpid())), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    good = clips.make(Clip())
    bodies = [body for name in ENDS for body in (SIGN + name.encode(), good)] * 2
    with Decoder(limits=LIMITS, forkserver=ForkServer(module="tests.workers.media.misdeeds")) as decoder:
        with ThreadPoolExecutor(4) as pool:
            seen = list(pool.map(lambda body: ended(decoder, body), bodies))
        assert seen == [one for end in ENDS.values() for one in (end, [0, 10, 20, 30])] * 2
        forkservers = set(children_of(os.getpid())) - before
        assert forkservers
        assert eventually(lambda: not [child for one in forkservers if is_alive(one) for child in children_of(one)])
    assert eventually(lambda: set(children_of(os.getpid())) <= before)
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def test_a_child_that_crashes_leaves_ffmpegs_last_words_to_itself_alone() -> None:
    tails = []
    with Decoder(limits=LIMITS, forkserver=ForkServer(module="tests.workers.media.misdeeds")) as decoder:
        for name in ("segfault", "abort"):
            with pytest.raises(PermanentError) as caught:
                list(decoder.keyframes(Bytes(SIGN + name.encode()), policy=KeyframePolicy(), image=ImageSize()))
            tails.append(caught.value.log_tail)
    assert tails == ["a last word", ""]
