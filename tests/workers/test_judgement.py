from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from builders import film, new_store

from broker.breaker import SAYS_NOTHING
from schemas.errors import (
    ClaimLostError,
    DroppedError,
    EngineDiedError,
    FatalError,
    HandedBackError,
    OperatorError,
    PermanentError,
    TransientError,
)
from schemas.reasons import FLEETS_FAULTS, Reason, Stage
from schemas.record import Fetched
from storage import StoreUnavailable
from workers.judgement import failure_of, failures_of
from workers.pipeline import Outcome
from workers.records import Death

VIDEO = film(new_store(), "a.mp4")


@dataclass(frozen=True)
class Video:
    """A video of so many captioned frames, and of these dead ones."""

    captioned: int
    deaths: tuple[Death, ...] = ()

    @property
    def records(self) -> Sequence[object]:
        return range(self.captioned)


def dead(*reasons: Reason, captioned: int = 0) -> Video:
    """A video some of whose frames died of these."""
    errors = [PermanentError(reason, Stage.CAPTION, "It failed.") for reason in reasons]
    return Video(captioned, tuple(Death(0, VIDEO, error, index) for index, error in enumerate(errors)))


def test_a_shard_is_told_of_video_by_video_in_order() -> None:
    shard = [Video(3), dead(Reason.ENGINE_FAILED), Video(1), dead(Reason.TRUNCATED)]
    assert failures_of(shard) == ["", "engine_failed", "", "truncated"]


def test_what_the_pipeline_makes_is_understood() -> None:
    error = PermanentError(Reason.DECODER_CRASHED, Stage.DECODE, "It died.", signal="SIGSEGV")
    shard = [Outcome((), (Death(0, VIDEO, error),), Fetched()), Outcome((), (), Fetched())]
    assert failures_of(shard) == ["decoder_crashed", ""]


@pytest.mark.parametrize(("captioned", "told"), [(0, "engine_timeout"), (1, "engine_timeout"), (2, ""), (30, "")])
def test_a_video_fails_if_most_of_its_frames_do(captioned: int, told: str) -> None:
    assert failures_of([dead(Reason.ENGINE_TIMEOUT, Reason.ENGINE_TIMEOUT, captioned=captioned)]) == [told]


def test_of_several_classes_the_commonest_counts_and_one_that_speaks_of_the_fleet_before_all_others() -> None:
    mixed = dead(Reason.ENGINE_FAILED, Reason.ENGINE_FAILED, Reason.INVALID_ANSWER)
    broken = dead(Reason.CORRUPT, Reason.CORRUPT, Reason.ENGINE_FAILED)
    assert failures_of([mixed, broken]) == ["engine_failed", "engine_failed"]


def test_what_fails_again_after_a_redrive_tells_nothing_and_what_succeeds_does() -> None:
    assert failures_of([dead(Reason.DECODER_CRASHED), Video(2)], redriven=True) == [SAYS_NOTHING, ""]


class EngineBusyError(TransientError):
    """A shade of trouble."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreUnavailable("away"), "StoreUnavailable"),
        (EngineBusyError("busy"), "EngineBusyError"),
        (EngineDiedError("dead"), "EngineDiedError"),
        (FatalError("denied"), "FatalError"),
        (KeyError("a bug"), "KeyError"),
        (PermanentError(Reason.ACCESS_DENIED, Stage.FETCH, "denied"), "access_denied"),
    ],
)
def test_an_error_that_ends_an_attempt_is_told_by_its_name(error: Exception, told: str) -> None:
    assert failure_of(error) == told


@pytest.mark.parametrize("ended", [ClaimLostError, DroppedError, HandedBackError, OperatorError])
def test_an_attempt_that_was_ended_for_no_fault_tells_nothing(ended: type[Exception]) -> None:
    assert failure_of(ended("enough")) == SAYS_NOTHING


def test_faults_that_lie_in_the_bytes_are_never_the_fleets() -> None:
    assert {Reason.TRUNCATED, Reason.NOT_A_VIDEO, Reason.ENCRYPTED, Reason.OBJECT_GONE, Reason.TOO_LARGE}.isdisjoint(FLEETS_FAULTS)
    assert {reason for reason in Reason if reason.value.startswith("engine_")} <= FLEETS_FAULTS
