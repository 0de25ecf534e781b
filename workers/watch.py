"""What a run of a shard tells while it goes on, and what may tell it to stop."""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

from schemas.reasons import Stage

if TYPE_CHECKING:
    from workers.pipeline import Outcome

LOOK_SECONDS = 0.5

T = TypeVar("T")


class Watch:
    """Nobody watches: a run goes on to its end, and what it finds is believed."""

    serial = False
    """Whether one frame is decoded and captioned after the other, so that a crash tells who is guilty."""

    def check(self) -> None:
        """Return if the run may go on.

        Raises:
            ClaimLostError: another worker has the shard.
            HandedBackError: this worker leaves.
            DroppedError: the job is paused or cancelled.
        """

    def at(self, stage: Stage, place: int | None = None) -> None:
        """Note where the run is, and that it gets on; `place` is the video's in its shard."""

    def judge(self, outcomes: "Sequence[Outcome]") -> None:
        """Return if what became of the videos is to be believed.

        Raises:
            HandedBackError: most of what the fleet does fails so, which is no video's fault.
            TransientError: that may be so; better try again.
        """

    def committed(self) -> None:
        """Note that the shard's object is there."""

    def ended(self, outcomes: "Sequence[Outcome]") -> None:
        """Count what the commit made of the videos."""

    def took(self, stage: Stage, seconds: float) -> None:
        """Count how long something of a stage took."""

    def result(self, future: "Future[T]") -> T:
        """Wait for a result, for as long as the run may go on."""
        while not future.done():
            self.check()
            wait([future], timeout=LOOK_SECONDS)
        return future.result()
