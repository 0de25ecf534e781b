"""Small plans, and what it takes to feed them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from builders import HandmadeJob, film

from producer.enqueue import Manner
from producer.window import Limits
from schemas.control import ControlState
from schemas.task import ShardTask
from storage.control import set_control
from storage.ledger import PlanPart
from storage.tenure import Pace

AT_ONCE = Pace(beat_seconds=3600, save_seconds=0)
EAGER = Manner(pace=AT_ONCE)


def never() -> bool:
    return False


def manner(*, window: int = 10**6, say: Callable[[str], None] = print, **more) -> Manner:
    return replace(EAGER, limits=Limits(most=window), say=say, **more)


def tasks_of(handmade: HandmadeJob, count: int, *, first: int = 0) -> list[ShardTask]:
    """Shards that are planned nowhere; later ones are bigger."""
    return [handmade.task(film(handmade.source, f"{number:04}.mp4", b"x" * (number + 1))) for number in range(first, first + count)]


def parts_of(handmade: HandmadeJob, *parts: Sequence[ShardTask]) -> Iterator[PlanPart]:
    """Plan these as new parts when they are asked for."""
    for tasks in parts:
        handmade.plan(*tasks)
        ledger = handmade.job.ledger()
        yield ledger.part(ledger.heads()[-1])


def ids(tasks: Sequence[ShardTask]) -> list[str]:
    return [task.shard_id for task in tasks]


def biggest_first(tasks: Sequence[ShardTask]) -> list[str]:
    return ids(sorted(tasks, key=lambda task: -task.videos[0].size_bytes))


def say_of(handmade: HandmadeJob, state: ControlState, why: str = "") -> None:
    set_control(handmade.job, state, by="ann", why=why)
