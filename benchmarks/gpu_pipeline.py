"""What the fleet delivers: private Redis, the real producer and one real worker that hosts the model, from clips to committed lines.

A warm-up job half as large goes before, in which the worker's window grows to what the engine takes. Frames are the worker's own counter,
which it moves once a second.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from threading import Thread

import gpu_clips
from celery import Celery
from gpu_rates import LOOK_SECONDS, Point, per_second, steady
from gpu_watch import Watch
from processes import children, rss_mb_peak, tree_cpu_seconds

from broker.app import make_app
from broker.embedded import embedded_redis
from broker.progress import Progress, Tally
from broker.queues import ShardQueue
from broker.vitals import all_vitals
from fleet.crew import Crew
from fleet.options import Asked
from producer.enqueue import feed
from producer.rounds import new_parts
from schemas.record import FrameRecord
from storage.job import Job

PATIENCE_SECONDS = 900.0
"""How long nothing may be captioned, the worker's start included, before the benchmark gives up."""
GRACE_SECONDS = 20.0
VITALS_SECONDS = 2.5
"""In which a worker has told its last counts."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A worker that is started, and what it is fed through."""

    app: Celery
    crew: Crew
    worker: int
    recipe: Path
    folder: Path

    def last_words(self) -> str:
        """The end of the worker's log."""
        return (self.folder / "worker-0.log").read_text()[-3000:]

    def cpu_seconds(self) -> dict[str, float]:
        """CPU spent so far by the parts of the worker's tree."""
        inner = {child: tree_cpu_seconds(child) for child in children(self.worker)}
        engine = sum(seconds for child, seconds in inner.items() if is_engine(child))
        rest = sum(inner.values()) - engine
        return {"worker": tree_cpu_seconds(self.worker) - engine - rest, "engine": engine, "decoding": rest}

    def tokens(self) -> "Counter[str]":
        """Tokens that the worker's engine has counted so far; the worker tells once a second."""
        return Counter({kind: count for one in all_vitals(self.app) for kind, count in one.tokens.items()})


def is_engine(pid: int) -> bool:
    """Whether a child of the worker is vLLM's: its core names itself, or was spawned by multiprocessing."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"VLLM" in words or b"spawn_main" in words


@dataclass(frozen=True, slots=True)
class Run:
    """What was seen of a job."""

    job: Job
    points: list[Point]
    tally: Tally
    cpu_seconds: dict[str, float]
    tokens: Counter[str]
    """What the engine counted, by kind."""
    watch: Watch

    @property
    def seconds(self) -> float:
        """From the producer's start to the last video's end."""
        return self.points[-1][0] - self.points[0][0]


@contextmanager
def bench(folder: Path, settings: Mapping[str, str], recipe: Path) -> Iterator[Bench]:
    """Start a private Redis and one worker."""
    with embedded_redis() as broker_url:
        (redis,) = children(os.getpid())
        env = os.environ | {f"FRAMEFLEET_{name}": value for name, value in settings.items()} | {"FRAMEFLEET_BROKER_URL": broker_url}
        crew = Crew(1, env, folder)
        crew.start()
        (worker,) = set(children(os.getpid())) - {redis}
        try:
            yield Bench(make_app(broker_url), crew, worker, recipe, folder)
        finally:
            crew.stop(grace_seconds=GRACE_SECONDS)


def measure(folder: Path, *, model: Path, recipe: Path, frames: int, args: Mapping[str, object]) -> dict[str, object]:
    """Draw clips, have them captioned, and put figures together."""
    clips, warm_up = (max(1, count // gpu_clips.KEYFRAMES) for count in (frames, frames // 2))
    gpu_clips.draw(folder / "warm-up", clips=warm_up)
    gpu_clips.draw(folder / "videos", clips=clips, first=warm_up)
    settings = {"ENGINE": "vllm", "RECIPE": str(recipe), "VLLM_MODEL": str(model), "VLLM_ARGS": json.dumps(args)}
    started = time.monotonic()
    with bench(folder, settings, recipe) as up:
        first = work(up, "warm-up", videos=warm_up)
        ready = next(at for at, count in first.points if count) - started
        run = work(up, "videos", videos=clips)
        peak = rss_mb_peak(up.worker)
    return figures(run) | {"seconds_to_first_frame": round(ready, 1), "worker_rss_mb_peak": round(peak, 1)}


def work(bench: Bench, name: str, *, videos: int) -> Run:
    """Have a folder of videos captioned, and look on."""
    asked = Asked(
        source=str(bench.folder / name),
        dest=str(bench.folder / f"{name}-out"),
        engine="vllm",
        recipe=str(bench.recipe),
        every=0,
        max_frames=0,
    )
    job, spec = asked.job()
    queue, progress = ShardQueue(bench.app), Progress(bench.app, job.url)
    before, tokens = bench.cpu_seconds(), bench.tokens()
    producer = Thread(target=feed, args=(job, new_parts(job, spec)), kwargs={"queue": queue, "stopped": lambda: False}, daemon=True)
    with Watch() as watch:
        producer.start()
        points = watched(bench, progress, videos=videos)
    producer.join()
    time.sleep(VITALS_SECONDS)
    spent = {part: seconds - before[part] for part, seconds in bench.cpu_seconds().items()}
    return Run(job, points, progress.tally(), spent, bench.tokens() - tokens, watch)


def watched(bench: Bench, progress: Progress, *, videos: int) -> list[Point]:
    """Read the counter until all videos are through."""
    points, moved, tally = [(time.monotonic(), 0.0)], time.monotonic(), Tally()
    while tally.videos < videos:
        time.sleep(LOOK_SECONDS)
        now, before = time.monotonic(), tally
        tally = progress.tally()
        points.append((now, float(tally.frames)))
        moved = now if tally != before else moved
        if bench.crew.gone() or now - moved > PATIENCE_SECONDS:
            raise SystemExit(f"The worker does not get on:\n{bench.last_words()}")
    return points


def figures(run: Run) -> dict[str, object]:
    """Figures of a run."""
    records = [record for shard, _ in run.job.committed() for record in run.job.records(shard)]
    if not records:
        raise SystemExit(f"No frame was delivered; {run.tally.dead} are dead letters: framefleet dead list {run.job.url}")
    rate, inside = per_second(run.points), steady(run.points)
    cores = {part: round(seconds / run.seconds, 2) for part, seconds in run.cpu_seconds.items()}
    return {
        "frames": len(records),
        "dead_letters": run.tally.dead,
        "frames_per_second": round(rate, 3),
        "frames_per_second_with_start_and_end": round(len(records) / run.seconds, 3),
        "seconds": round(run.seconds, 1),
        "caption_seconds": round(fmean(record.seconds.caption for record in records), 3),
        "decode_seconds": round(fmean(record.seconds.decode for record in records), 4),
        "cores_used": cores | {"in_all": round(sum(cores.values()), 2)},
        "versions": records[0].versions,
        **usage(records, rate),
        "prompt_tokens_cached": round(run.tokens["cached"] / run.tokens["prompt"], 4) if run.tokens["prompt"] else None,
        **run.watch.figures(inside[0][0], inside[-1][0]),
    }


def usage(records: list[FrameRecord], rate: float) -> dict[str, object]:
    """Tokens, as the records tell them."""
    answers, prompts = ([getattr(record.usage, f"{kind}_tokens") or 0 for record in records] for kind in ("output", "prompt"))
    return {
        "output_tokens_per_second": round(rate * fmean(answers), 1),
        "tokens_per_answer": round(fmean(answers), 1),
        "prompt_tokens": round(fmean(prompts), 1),
        "first_rung": round(sum(record.usage.rung == "constrained" for record in records) / len(records), 4),
    }
