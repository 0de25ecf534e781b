"""What a keyframe costs in CPU, decoded, scaled to the recipe's size and encoded as JPEG, in the sandbox and elsewhere, round by round."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from bare import RECIPE
from media_clips import Reel, Video, spare_folder, write
from media_libraries import Cost, Library
from media_reading import Weighed, listed
from media_rivals import NOT_INSTALLED, by_ffmpeg, ffmpeg_start, has_ffmpeg, in_process

from workers.media.pictures.rendering import fit

CODECS = ("h264", "hevc", "vp9", "mpeg4")
Ways = dict[str, Callable[[], Cost]]


def reels(*, width: int, height: int) -> list[Reel]:
    """H.264 also in two thirds of the size."""
    return [Reel("h264", width * 2 // 3, height * 2 // 3), *(Reel(codec, width, height) for codec in CODECS)]


def measure_cpu(*, seconds: int, width: int, height: int, rounds: int, libraries: dict[str, Library | None]) -> list[dict[str, object]]:
    """Take the keyframes of a video of each codec in every way there is here."""
    with ExitStack() as stack:
        folder = stack.enter_context(spare_folder())
        sandbox = stack.enter_context(Weighed.started())
        return [_measure(reel, sandbox, libraries, folder, seconds, rounds) for reel in reels(width=width, height=height)]


def _measure(
    reel: Reel, sandbox: Weighed, libraries: dict[str, Library | None], folder: Path, seconds: int, rounds: int
) -> dict[str, object]:
    path = folder / f"{reel.codec}-{reel.height}p.mp4"
    write(Video("", reel), path, seconds=seconds)
    ways: Ways = {"sandbox": partial(sandbox.take, listed(str(path))), "inprocess": partial(in_process, path)}
    if has_ffmpeg():
        size = fit((reel.width, reel.height), aspect=1.0, most=(RECIPE.image.max_width, RECIPE.image.max_height))
        ways["ffmpeg"] = partial(by_ffmpeg, path, size=size)
    ways |= {name: partial(library.keyframes, path) for name, library in libraries.items() if library is not None}
    missing = {f"cpu_ratio_{name}": NOT_INSTALLED for name in ("ffmpeg", *libraries) if name not in ways}
    return {"case": f"CPU, {reel.codec} {reel.height}p"} | _figures(_laps(ways, rounds)) | missing


def _laps(ways: Ways, rounds: int) -> dict[str, list[Cost]]:
    """Go every way in turn, another one first in each round; the very first round warms up."""
    laps: dict[str, list[Cost]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        order = [*ways][number % len(ways) :] + [*ways][: number % len(ways)]
        for name in order:
            laps[name].append(ways[name]())
    return {name: costs[1:] for name, costs in laps.items()}


def _figures(laps: dict[str, list[Cost]]) -> dict[str, object]:
    frames = {name: costs[0].frames for name, costs in laps.items()}
    if len(set(frames.values())) != 1:
        raise SystemExit(f"Not all ways find as many keyframes: {frames}")
    ours, found = laps["sandbox"], dict[str, object]()
    for name, costs in laps.items():
        if name != "sandbox":
            found[f"cpu_ratio_{name}"] = _paired(ours, costs)
        if name == "ffmpeg":
            found["cpu_ratio_ffmpeg_less_start"] = _paired(ours, costs, spare=ffmpeg_start())
    found |= {f"ms_{name}": round(1000 * median(cost.cpu_seconds / cost.frames for cost in costs), 2) for name, costs in laps.items()}
    sizes = {name: costs[0].picture_bytes / costs[0].frames for name, costs in laps.items() if costs[0].picture_bytes}
    found |= {f"jpeg_kb_{name}": round(size / 1000, 1) for name, size in sizes.items()}
    return found | {"keyframes": frames["sandbox"]}


def _paired(ours: list[Cost], theirs: list[Cost], *, spare: float = 0.0) -> float:
    """Median of the rounds' ratios."""
    return round(median(one.cpu_seconds / (other.cpu_seconds - spare) for one, other in zip(ours, theirs, strict=True)), 3)
