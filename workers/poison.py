"""What becomes of a shard that has ended its workers too often: it is split until one video is left, and that one is dead."""

from broker.trial_scripts import CRASHES_OF_THE_GUILTY
from broker.trials import Trial
from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from schemas.record import Fetched
from schemas.task import ShardTask
from workers.descendants import split
from workers.pipeline import Outcome, ShardRun
from workers.records import Death


def condemn(run: ShardRun, trial: Trial) -> list[ShardTask]:
    """Split the shard, or end its single video, without touching its bytes; returns what is left open."""
    if len(run.task.videos) > 1:
        return split(run.job, run.task, run.spec, why=story(trial), guilty=trial.place)
    return run.end([Outcome((), (Death(0, run.task.videos[0], guilt(trial)),), Fetched())])


def guilt(trial: Trial) -> PermanentError:
    """Why a video that ends its workers is dead."""
    signal = trial.how if trial.how.startswith("SIG") else ""
    return PermanentError(Reason.WORKER_CRASHED, trial.stage or Stage.CAPTION, story(trial), signal=signal)


def story(trial: Trial) -> str:
    """What it did, in a sentence."""
    if trial.crashes >= CRASHES_OF_THE_GUILTY:
        return f"Alone in its worker it ended it {trial.crashes} times, the last time by: {trial.how}."
    return f"Its workers vanished {trial.expiries} times while they were at it."
