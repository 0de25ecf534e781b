import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from workers.gate import Gate
from workers.window import Window

pytestmark = pytest.mark.timeout(30)  # a place that is never given


class Clock:
    """Moves when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Visit:
    """A coroutine that holds its place until it may leave."""

    gate: Gate
    inside: bool = False
    may_leave: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.task = asyncio.create_task(self.stay())

    async def stay(self) -> None:
        async with self.gate:
            self.inside = True
            await self.may_leave.wait()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def gate_of(bound: int, *, floor: int = 16, clock: Callable[[], float] = Clock(), waiting: int | None = 0, **fields) -> Gate:  # noqa: B008
    return Gate(Window(bound=bound, floor=floor), waiting=lambda: waiting, clock=clock, **fields)


async def visitors(gate: Gate, count: int) -> list[Visit]:
    visits = [Visit(gate) for _ in range(count)]
    await settled()
    return visits


def inside(visits: list[Visit]) -> list[bool]:
    return [visit.inside for visit in visits]


async def leave(*visits: Visit) -> None:
    for visit in visits:
        visit.may_leave.set()
    await settled()


async def ended(visits: list[Visit]) -> None:
    await leave(*visits)
    await asyncio.gather(*(visit.task for visit in visits), return_exceptions=True)


def test_no_more_than_the_window_are_in_and_the_next_is_who_came_first() -> None:
    async def scene() -> None:
        gate = gate_of(2)
        visits = await visitors(gate, 4)
        assert inside(visits) == [True, True, False, False]
        await leave(visits[1])
        assert inside(visits) == [True, True, True, False]
        assert gate.in_flight == 2
        await ended(visits)
        assert gate.in_flight == 0

    asyncio.run(scene())


def test_a_place_is_free_again_when_its_holder_fails() -> None:
    async def scene() -> None:
        gate = gate_of(1)
        with pytest.raises(ValueError, match="no"):
            async with gate:
                raise ValueError("no")
        assert gate.in_flight == 0

    asyncio.run(scene())


@pytest.mark.parametrize("who", [0, 1, 2])
def test_who_is_cancelled_inside_or_in_the_queue_leaves_no_trace(who: int) -> None:
    async def scene() -> None:
        gate = gate_of(1)
        visits = await visitors(gate, 4)
        visits[who].task.cancel()
        await settled()
        left = [visit for number, visit in enumerate(visits) if number != who]
        for visit in left:
            assert visit.inside
            await leave(visit)
        assert gate.in_flight == 0
        await visitors(gate, 1)
        assert gate.in_flight == 1
        await ended(await visitors(gate, 0))

    asyncio.run(scene())


def test_who_is_cancelled_at_the_moment_of_being_let_in_hands_the_place_on() -> None:
    async def scene() -> None:
        gate = gate_of(1)
        visits = await visitors(gate, 3)
        visits[0].may_leave.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        visits[1].task.cancel()
        await settled()
        assert inside(visits)[2]
        await ended(visits)
        assert gate.in_flight == 0

    asyncio.run(scene())


def test_a_queue_that_was_cancelled_whole_does_not_bar_the_gate() -> None:
    async def scene() -> None:
        gate = gate_of(1)
        visits = await visitors(gate, 3)
        for visit in visits[1:]:
            visit.task.cancel()
        visits[0].may_leave.set()
        await settled()
        late = await visitors(gate, 1)
        assert inside(late) == [True]
        await ended(late)

    asyncio.run(scene())


def test_a_window_grows_while_it_runs_and_lets_in_who_waits() -> None:
    async def scene() -> None:
        clock, sizes = Clock(), []
        gate = gate_of(8, floor=2, clock=clock, resized=sizes.append)
        visits = await visitors(gate, 10)
        assert sum(inside(visits)) == 2
        clock.now = 1.0
        await leave(*visits[:2])
        assert sizes == [3]
        assert gate.size == gate.in_flight == 3
        await ended(visits)

    asyncio.run(scene())


def test_a_window_that_shrinks_lets_nobody_in_until_few_enough_are_left() -> None:
    async def scene() -> None:
        clock = Clock()
        gate = Gate(Window(bound=8, floor=2, queue_is_told=True), waiting=lambda: 8, clock=clock)
        visits = await visitors(gate, 30)
        clock.now = 1.0
        await leave(*visits[:8])
        assert (gate.size, gate.in_flight) == (4, 8)
        before = sum(inside(visits))
        staying = [visit for visit in visits if visit.inside and not visit.task.done()]
        await leave(*staying[: len(staying) - 4])
        assert sum(inside(visits)) == before
        assert gate.in_flight == 4
        await ended(visits)

    asyncio.run(scene())


def test_an_interval_is_not_shorter_than_half_a_second() -> None:
    async def scene() -> None:
        clock, sizes = Clock(), []
        gate = gate_of(8, floor=2, clock=clock, resized=sizes.append)
        visits = await visitors(gate, 10)
        await leave(*visits[:4])
        assert sizes == []
        clock.now = 0.5
        await leave(visits[4])
        assert sizes == [3]
        await ended(visits)

    asyncio.run(scene())


def test_a_window_that_nobody_waits_for_does_not_grow() -> None:
    async def scene() -> None:
        clock, sizes = Clock(), []
        gate = gate_of(8, floor=2, clock=clock, resized=sizes.append)
        for now in range(1, 20):
            clock.now = float(now)
            await ended(await visitors(gate, 2))
        assert sizes == []

    asyncio.run(scene())
