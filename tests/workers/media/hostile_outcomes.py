"""Tries the hostile corpus at length, and prints how it ended, kind by kind: the table in `docs/sandbox.md`.

PYTHONPATH=.:tests python tests/workers/media/hostile_outcomes.py --mutants 200
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import clips
import hostile
from clips import Bytes

from schemas.errors import PermanentError
from schemas.recipe import ImageSize, KeyframePolicy
from workers.keyframe import Keyframe
from workers.media import Limits
from workers.media.sandbox import Decoder

POLICY = KeyframePolicy(min_gap_seconds=0, max_per_video=8)
LIMITS = Limits(deadline_seconds=10, cpu_seconds=3, memory_bytes=256 << 20)


def outcome(decoder: Decoder, body: bytes) -> str:
    """How one input ended."""
    try:
        frames = list(decoder.keyframes(Bytes(body), policy=POLICY, image=ImageSize()))
    except PermanentError as error:
        return f"{error.reason} {error.signal}".strip()
    return "captioned" if all(isinstance(frame, Keyframe) for frame in frames) else "captioned in part"


def corpus(mutants: int) -> dict[str, Callable[[], Iterable[bytes]]]:
    """All inputs, by kind."""
    nowhere = hostile.Trap("/nowhere", 9)
    lists = {"texts that point elsewhere": lambda: [*hostile.playlists(nowhere).values(), *hostile.references(nowhere).values()]}
    absurd = {"absurd headers": lambda: [make() for make in hostile.absurdities().values()]}
    cut = {f"{kind}, cut": lambda clip=clip: hostile.truncations(clips.make(clip)) for kind, clip in hostile.KINDS.items()}
    flipped = {
        f"{kind}, bytes flipped": lambda kind=kind, clip=clip: hostile.mutants(clips.make(clip), kind, count=mutants)
        for kind, clip in hostile.KINDS.items()
    }
    return lists | absurd | cut | flipped


def main() -> None:
    """Try everything and print a Markdown table."""
    parser = argparse.ArgumentParser(description="Try the hostile corpus.")
    parser.add_argument("--mutants", type=int, default=200, help="mutants of each kind of clip")
    asked = parser.parse_args()
    total: Counter[str] = Counter()
    print("| Inputs | Tried | How they ended |\n|---|---:|---|")
    with Decoder(limits=LIMITS) as decoder, ThreadPoolExecutor(2) as pool:
        for kind, make in corpus(asked.mutants).items():
            seen = Counter(pool.map(lambda body: outcome(decoder, body), make()))
            total += seen
            print(f"| {kind} | {seen.total()} | {told(seen)} |", flush=True)
    print(f"| **all** | **{total.total()}** | {told(total)} |")


def told(seen: Counter[str]) -> str:
    """Counts in words."""
    return ", ".join(f"{name} {count}" for name, count in seen.most_common())


if __name__ == "__main__":
    main()
