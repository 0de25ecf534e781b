import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict

import pytest
from refusals import CONTAINER, NOBODY, ROOT, run_refused

from workers.media.forks.siege import Siege, _target, besiege
from workers.media.lock.attacks import ATTACKS
from workers.media.lock.layers import REQUIRED

NEEDING_A_GENEROUS_KERNEL = {"enter a namespace", "set up an io ring", "call by another table"}
NEEDING_ROOT = {"trace the parent", "read the parents environment", "read the parents memory"}
ENDLESS = {"take all memory", "take all cpu"}
ERRORS = {
    "read a file": "Permission denied",
    "write a file": "Permission denied",
    "list a folder": "Permission denied",
    "ask for a file": "Permission denied",
    "read the parents environment": "Permission denied",
    "raise its limits": "not allowed",
    "become visible": "not permitted",
    "take all memory": "MemoryError",
}
BESIEGE = "from workers.media.forks.siege import besiege; siege = besiege(); print(siege.layers); print(siege.breaches)"


@pytest.fixture(scope="module")
def siege() -> Siege:
    return besiege()


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_gets_out_of_a_locked_child(siege: Siege, attack: str) -> None:
    (outcome,) = (outcome for outcome in siege.outcomes if outcome.attack == attack)
    assert not outcome.got_through
    expected = ERRORS.get(attack, "SIGXCPU" if attack == "take all cpu" else "SIGSYS")
    assert expected in outcome.how


def test_the_required_layers_hold(siege: Siege) -> None:
    assert set(REQUIRED) <= set(siege.layers.active)
    assert siege.layers.lacking == ()


UNLOCKED = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from workers.media.lock.attacks import ATTACKS, Target
target = Target(**json.loads(sys.argv[2]))
for name in sys.argv[3:]:
    pid = os.fork()
    if pid == 0:
        try:
            ATTACKS[name](target)
        except BaseException as error:
            print(name, error, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        print(name, "failed", flush=True)
"""


def test_the_same_attacks_get_through_where_there_is_no_lock() -> None:
    """Or that they fail under the lock would say nothing."""
    left_out = NEEDING_A_GENEROUS_KERNEL | ENDLESS | (set() if os.geteuid() == 0 else NEEDING_ROOT)
    with _target() as (target, harm):
        command = [sys.executable, "-c", UNLOCKED, str(ROOT), json.dumps(asdict(target)), *(set(ATTACKS) - left_out)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
        assert harm() == "it created a file"


def test_harm_is_seen_even_where_the_child_says_nothing_of_it() -> None:
    with _target() as (target, harm):
        assert harm() == ""
        with socket.create_connection(("127.0.0.1", target.port)):
            assert harm() == "a listener heard it"


def test_what_reads_videos_cannot_reach_an_attack() -> None:
    armed = {"workers.media.lock.attacks", "workers.media.forks.siege"}
    program = f"import sys, workers.media.child.zygote; sys.exit(bool({armed!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_the_lock_holds_without_its_optional_layers() -> None:
    ended = run_refused(BESIEGE, *CONTAINER)
    layers, breaches = ended.stdout.splitlines()
    assert breaches == "()"
    active, missing = layers.split("; not to be had here: ")
    assert all(layer in active for layer in REQUIRED)
    assert "namespaces (Operation not permitted" in missing
    assert "landlock (Operation not permitted" in missing


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run without privileges then")
@pytest.mark.parametrize("refused", [(), CONTAINER])
def test_the_lock_holds_for_a_user_without_privileges(refused: tuple[str, ...]) -> None:
    layers, breaches = run_refused(BESIEGE, *refused, prefix=NOBODY).stdout.splitlines()
    assert breaches == "()"
    assert all(layer in layers.split(";")[0] for layer in REQUIRED)
