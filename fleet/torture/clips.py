"""The torture's input: little clips of which no two pictures are alike, and files that cannot be captioned, each for a known reason."""

import random
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import ImageDraw

from schemas.reasons import Reason

WIDTH, HEIGHT, BLOCK = 96, 64, 8
HOSTILE_EVERY = 8
"""Every so many files one is hostile."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One input object."""

    name: str
    body: bytes
    reason: Reason | None = None
    """Why it must end as a dead letter; None if it must be captioned."""


def clips(count: int, *, seed: int) -> list[Clip]:
    """Make so many files, the same for the same seed."""
    with tempfile.TemporaryDirectory(prefix="framefleet-clips-") as folder:
        return [_clip(Path(folder), number, seed=seed) for number in range(count)]


def _clip(folder: Path, number: int, *, seed: int) -> Clip:
    name = f"{number:05d}.mp4"
    if number % HOSTILE_EVERY != HOSTILE_EVERY - 1:
        return Clip(name, _video(folder / name, number, seed=seed))
    match number // HOSTILE_EVERY % 3:
        case 0:
            body = _video(folder / name, number, seed=seed)
            return Clip(name, body[: len(body) // 2], Reason.TRUNCATED)
        case 1:
            return Clip(name, b"", Reason.EMPTY_FILE)
        case _:
            return Clip(name, b"This is a letter, and no video at all. " * 40, Reason.NOT_A_VIDEO)


def _video(path: Path, number: int, *, seed: int) -> bytes:
    from workers.media.samples import Sample, write_sample  # noqa: PLC0415 - only this command needs an encoder

    draw = partial(_mosaic, random.Random(f"{seed} {number}"))  # noqa: S311 - pictures, no secrets
    write_sample(Sample(path.name, "libx264", WIDTH, HEIGHT, draw), path)
    return path.read_bytes()


def _mosaic(dice: random.Random, draw: ImageDraw.ImageDraw, width: int, height: int, _done: float) -> None:
    """Blocks of random colours, new in each picture."""
    for left in range(0, width, BLOCK):
        for top in range(0, height, BLOCK):
            colour = (dice.randrange(256), dice.randrange(256), dice.randrange(256))
            draw.rectangle((left, top, left + BLOCK, top + BLOCK), fill=colour)
