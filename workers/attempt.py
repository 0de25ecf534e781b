"""One attempt at a shard, as the fleet watches it: its claim, its trial, its place in the black box, and whether to stop."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from time import monotonic

from broker.breaker import Breaker, Verdict
from broker.lease import Hold, Leases
from broker.queues import message_id
from broker.trials import Trial, Trials
from schemas.control import ControlState
from schemas.errors import ClaimLostError, DoubtedError, DroppedError, HandedBackError, OperatorError
from schemas.reasons import FLEETS_FAULTS, Stage
from schemas.task import ShardTask
from schemas.video import VideoRef
from storage.job import Job
from workers.blackbox import Place, Step
from workers.controls import Controls
from workers.drain import Drain
from workers.figures import Figures
from workers.health import Health
from workers.judgement import failure_of, failures_of
from workers.logs import about, note
from workers.pipeline import Outcome
from workers.tracing import UNTRACED, ShardTrace, Tracing
from workers.watch import Watch

BELIEVED_AT = 3
"""At which attempt a failure is believed that may be this one worker's fault."""
WITNESS_SECONDS, WITNESS_LOOK_SECONDS = 5.0, 0.5
"""How long a failure that may be the fleet's waits for a word of others."""
UNDECIDED = (Verdict.DOUBT, Verdict.ALONE)
"""What a witness answers that may know more in a moment."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all attempts of a worker share."""

    worker: str
    leases: Leases
    drain: Drain
    controls: Controls
    breaker: Breaker
    figures: Figures
    health: Health
    tracing: Tracing


@dataclass(slots=True)
class ShardAttempt(Watch):
    """Watches a run. Redis being away stops nobody: what is done stands in storage, and the rest runs out and comes back."""

    task: ShardTask
    tag: str
    hold: Hold
    place: Place
    trials: Trials
    around: Surroundings
    job: Job | None = None
    """Known once its spec was read."""
    trial: Trial = field(default_factory=lambda: Trial(attempts=1))
    trace: ShardTrace = UNTRACED
    _step: Step | None = None
    _fine: list[str] = field(default_factory=list)
    _told: bool = False
    _begun_at: float = field(default_factory=monotonic)

    def begin(self) -> None:
        """Count the attempt, before any bytes are touched."""
        self._note(None, None)
        with suppress(OperatorError):
            self.trial = self.trials.begin(self.task.shard_id, tag=self.tag, worker=self.around.worker)
        note(attempt=self.trial.attempts)

    def traced(self, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Trace the attempt while the block runs; `headers` came with its message."""
        self.trace = self.around.tracing.shard(self.task, message=self._name, attempt=self.trial.attempts, headers=headers)
        return self.trace.attempt()

    @property
    def serial(self) -> bool:  # type: ignore[override]  # it is asked, never set
        """Whether the shard is a suspect."""
        return self.trial.suspect

    def check(self) -> None:
        """Stop when the claim is lost, the worker leaves, or the job is not to go on."""
        if self.hold.lost:
            raise ClaimLostError("The claim ran out while the shard was being worked; another worker has it.")
        if self.around.drain.due:
            raise HandedBackError("This worker is told to end.")
        self.check_control()

    def check_control(self) -> None:
        """Stop where the job is paused or cancelled."""
        if self.job is not None and (state := self.around.controls.state_of(self.job)) is not ControlState.RUNNING:
            raise DroppedError(f"{self.job.url} is {state.value}.")

    def at(self, stage: Stage, place: int | None = None) -> None:
        """Write the step down for whoever finds this worker dead; a suspect's also where it outlives this machine."""
        self.around.leases.progress()
        self.around.health.moved()
        if self._step and (stage, place) == (self._step.stage, self._step.place):
            return
        self._note(stage, place)
        note(video=None if place is None else name_of(self.task.videos[place]))
        self.trace.at(stage, place)
        if self.serial and place is not None:
            with suppress(OperatorError):
                self.trials.mark(self.task.shard_id, tag=self.tag, place=place, stage=stage)

    def judge(self, outcomes: Sequence[Outcome]) -> None:
        """Ask the breaker before anybody is called dead; what is fine is told once it is committed, since that may fail too."""
        self.trace.judged(outcomes)
        failures = failures_of(outcomes, redriven=bool(self.task.earlier_letters))
        if not any(outcome.deaths for outcome in outcomes):
            self._fine = failures
            return
        verdict = self.tell(failures)
        if verdict is Verdict.BELIEVE and any(failure in FLEETS_FAULTS for failure in failures):
            verdict = self._witnessed()
        if verdict is Verdict.OPEN:
            raise HandedBackError("Most of what the fleet does fails in the same way: the breaker is open.")
        if verdict is Verdict.DOUBT and self.trial.attempts < BELIEVED_AT:
            raise DoubtedError("Most of what this worker does fails in the same way, which may be its own fault.")

    def _witnessed(self) -> Verdict:
        """Wait a moment for a shard that is fine: a fault of the fleet begins with a few failures that look like anybody's own.

        Where nobody but this shard failed meanwhile it is believed; where others did too, and none was fine, it is doubted.
        """
        end = monotonic() + WITNESS_SECONDS
        while (verdict := self.around.breaker.witness(self._name, age_seconds=self._age_seconds)) in UNDECIDED:
            if self.around.drain.begun:
                raise HandedBackError("This worker is told to end before anybody can say whose fault its failures are.")
            if monotonic() >= end:
                return Verdict.BELIEVE if verdict is Verdict.ALONE else Verdict.DOUBT
            self.check()
            self.around.drain.sleep(WITNESS_LOOK_SECONDS)
        return verdict

    @property
    def _age_seconds(self) -> float:
        return monotonic() - self._begun_at

    @property
    def _name(self) -> str:
        return message_id(self.task.job, self.task.shard_id)

    def tell(self, failures: Sequence[str]) -> Verdict:
        """Tell the breaker what became of some units."""
        self._told = True
        return self.around.breaker.judge(self.around.worker, failures, shard=self._name, age_seconds=self._age_seconds)

    def failed(self, error: Exception) -> None:
        """Tell the breaker of an error that ended the attempt, with the weight of all its videos."""
        self.tell([failure_of(error)] * len(self.task.videos))

    def committed(self) -> None:
        """Note that only the acknowledgement is missing."""
        if self._step:
            self._write(self._step.model_copy(update={"committed": True}))
        self.tell(self._fine)

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Count what the commit made of the videos."""
        self.around.figures.ended(outcomes)
        for outcome in outcomes:
            log_deaths(outcome)
        frames, letters = sum(len(one.records) for one in outcomes), sum(len(one.deaths) for one in outcomes)
        log.info("committed: %d frames of %d videos, dead letters: %d, in %.1f s", frames, len(outcomes), letters, self._age_seconds)

    def took(self, stage: Stage, seconds: float) -> None:
        """Count how long something of a stage took."""
        self.around.figures.took(stage, seconds)
        self.trace.took(stage, seconds)

    def refund(self) -> None:
        """Take the attempt back: nobody is to blame."""
        self._note(None, None)
        with suppress(OperatorError):
            self.trials.refund(self.task.shard_id, tag=self.tag)
        self._release_probe()

    def put_back(self) -> None:
        """Close the attempt: it failed, and ended no worker."""
        self._note(None, None)
        with suppress(OperatorError):
            self.trials.put_back(self.task.shard_id, tag=self.tag)

    def settled(self) -> None:
        """Forget the trial of a shard that is done."""
        with suppress(OperatorError):
            self.trials.settled(self.task.shard_id)
        self._release_probe()

    def _release_probe(self) -> None:
        if not self._told:
            self.around.breaker.untold()

    def _note(self, stage: Stage | None, place: int | None) -> None:
        self._write(Step(job=self.task.job, shard_id=self.task.shard_id, tag=self.tag, stage=stage, place=place))

    def _write(self, step: Step) -> None:
        self._step = step
        self.place.write(step)


def log_deaths(outcome: Outcome) -> None:
    """Say in a line what became of a video that is dead, wholly or in part."""
    if outcome.deaths:
        first, letters = outcome.deaths[0], len(outcome.deaths)
        with about(video=name_of(first.video)):
            log.info("dead, %s at %s: %s (letters: %d)", first.error.reason, first.error.stage, first.error, letters)


def name_of(video: VideoRef) -> str:
    """A video's own name, without where it lies."""
    return video.uri.rpartition("/")[2]
