import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from processes import children_of, eventually, is_alive, zygotes
from refusals import run_refused

from workers.media.forks.forkserver import ForkServer, Wear
from workers.media.forks.offspring import Child

MEMORY_SIZE = 4096


@contextmanager
def forkserver(*, wear: Wear) -> Iterator[tuple[ForkServer, int]]:
    """A fork server of this test alone, with its zygote's pid."""
    before = set(zygotes())
    with closing(ForkServer(wear=wear)) as server:
        server.layers()
        (zygote,) = set(zygotes()) - before
        yield server, zygote


def crash(child: Child, zygote: int, by: int) -> None:
    """Have a zygote's only child end by a signal."""
    (pid,) = children_of(zygote)
    os.kill(pid, by)
    child.reap()
    child.close()


@pytest.mark.parametrize("by", [signal.SIGSYS, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL])
def test_an_end_that_may_have_been_an_attack_gets_the_next_child_other_addresses(by: int) -> None:
    with forkserver(wear=Wear()) as (server, zygote):
        crash(server.fork(memory_size=MEMORY_SIZE), zygote, by)
        with server.fork(memory_size=MEMORY_SIZE):
            assert children_of(zygote) == []
        assert eventually(lambda: not is_alive_and_no_zombie(zygote))


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGXCPU])
def test_a_child_that_was_ended_wears_nothing_out(by: int) -> None:
    with forkserver(wear=Wear()) as (server, zygote):
        crash(server.fork(memory_size=MEMORY_SIZE), zygote, by)
        with server.fork(memory_size=MEMORY_SIZE):
            assert len(children_of(zygote)) == 1


def test_a_worn_zygote_ends_with_its_last_child() -> None:
    with forkserver(wear=Wear(children=2)) as (server, zygote), ExitStack() as living:
        for _ in range(2):
            living.enter_context(server.fork(memory_size=MEMORY_SIZE))
        old = children_of(zygote)
        living.enter_context(server.fork(memory_size=MEMORY_SIZE))
        assert children_of(zygote) == old
        assert all(is_alive(child) for child in old)
        living.close()
        with server.fork(memory_size=MEMORY_SIZE):
            assert eventually(lambda: not is_alive_and_no_zombie(zygote))
        with server.fork(memory_size=MEMORY_SIZE):
            assert not is_alive(zygote)


def test_closing_takes_retired_zygotes_along() -> None:
    with forkserver(wear=Wear(children=1)) as (server, zygote):
        first, second = server.fork(memory_size=MEMORY_SIZE), server.fork(memory_size=MEMORY_SIZE)
        both = zygotes()
        server.close()
        assert not any(is_alive(pid) for pid in [zygote, *both] if pid not in zygotes())
        first.close()
        second.close()
    assert not is_alive(zygote)


def is_alive_and_no_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


ASK = """
import logging; logging.basicConfig(format="%(message)s")
from schemas.errors import FatalError
from workers.media.forks.forkserver import ForkServer
server = ForkServer(unlocked={unlocked})
try:
    print(server.layers()); server.layers()
    server.fork(memory_size=4096).close(); print("forked")
except FatalError as error:
    print("FATAL", error)
server.close()
"""
NO_SECCOMP, NO_LIMITS = "prctl:22", "prlimit64"
"""PR_SET_SECCOMP; and what setrlimit is, under the C library."""


@pytest.mark.parametrize(("refused", "layer"), [(NO_SECCOMP, "seccomp"), (NO_LIMITS, "rlimits")])
def test_no_child_is_forked_where_a_required_layer_is_refused(refused: str, layer: str) -> None:
    said = run_refused(ASK.format(unlocked=False), refused).stdout
    assert said.startswith(f"FATAL The decoder cannot be locked here: {layer} (Operation not permitted)")
    assert "FRAMEFLEET_DECODER_UNLOCKED=true" in said
    assert "forked" not in said


@pytest.mark.parametrize(("refused", "layer"), [(NO_SECCOMP, "seccomp"), (NO_LIMITS, "rlimits")])
def test_an_operator_can_go_without_a_required_layer_and_is_warned_once(refused: str, layer: str) -> None:
    ended = run_refused(ASK.format(unlocked=True), refused)
    assert f"{layer} (Operation not permitted)" in ended.stdout.partition("not to be had here")[2]
    assert ended.stdout.endswith("forked\n")
    assert ended.stderr == f"untrusted videos are decoded without {layer}, as FRAMEFLEET_DECODER_UNLOCKED allows\n"
