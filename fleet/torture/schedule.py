"""In which order the fleet is tortured: by chance, the same for the same seed, so that every kind comes in its share."""

import random
from collections.abc import Iterator

from fleet.torture import kills, nemeses
from fleet.torture.nemeses import Nemesis

AIMED: tuple[Nemesis, ...] = (kills.kill_in_fetch, kills.kill_in_decode, kills.kill_in_caption, kills.kill_in_put, kills.kill_before_ack)


def rounds(*, kill_count: int, workers: int, seed: int) -> list[Nemesis]:
    """Nemeses for about so many SIGKILLs, a sixth of them at each stage, and all else in proportion."""
    share = -(-kill_count // len(kills.STAGES))

    def times(per_kills: int) -> int:
        return -(-kill_count // per_kills)

    chosen: list[Nemesis] = [nemesis for nemesis in AIMED for _ in range(share)]
    chosen += [nemeses.kill_claims] * -(-share // workers)
    chosen += [nemeses.freeze_claims] * -(-times(4) // workers)
    chosen += [nemeses.kill_redis] * times(10) + [nemeses.flush] * times(100)
    chosen += [nemeses.storm] * times(20) + [nemeses.zombie] * times(20)
    chosen += [nemeses.drain] * times(15) + [nemeses.twice] * times(20) + [nemeses.kill_producer] * times(20)
    random.Random(f"schedule {seed}").shuffle(chosen)  # noqa: S311 - a torture that can be repeated
    return chosen


def endless(*, per_round: int, workers: int, seed: int) -> Iterator[Nemesis]:
    """One round after the other, each in an order of its own."""
    number = 0
    while True:
        yield from rounds(kill_count=per_round, workers=workers, seed=seed + number)
        number += 1
