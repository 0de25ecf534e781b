"""How busy the pipeline keeps an engine, what it costs in CPU, and how much memory it takes.

A real worker process, its fork server and decoding children, a private Redis and the real producer caption clips out of a local
folder into another, all keyframes, with the scripted engine: `CONCURRENCY` slots, each answer exactly `LATENCY_SECONDS` long, so
that it could take 20 frames a second and no more.

engine_busy
    Share of its slots' time in which the engine worked, in steady state. By Little's law it is frames answered x latency / (concurrency x
    seconds): an answer works its slot for the latency, and what our event loop adds to that counts as idle. Frames are the worker's own
    counter in Redis, which it moves once a second; the window begins when the counter first moves and ends before fewer videos are left
    than the worker holds at once, in its largest shards. Nothing is clamped.
own_cpu_ms_per_frame
    CPU of worker, fork server, children (also those that ended), Redis and the producer's thread, over a run that begins after the
    worker has shown with a small job that it is ready, less a bare loop (bare.py) over the same keyframes: open, demux and decode by
    PyAV's manual, scale to RGB, encode, at the engine's pace. The run encodes too: the scripted engine takes JPEGs.
    `..._less_hurried_loop` takes off the same in haste, `..._less_lean_loop` one at the engine's pace that opens by the header alone,
    reads by the index and scales to BGR, as the pipeline does.
cores_needed, cores_left
    Cores that the pipeline would need to feed this engine at its full rate, and cores that other processes of the machine left to the
    benchmark while it ran: where the first is more than the second, engine_busy speaks of the machine.
rss_mb_peak
    The kernel's high-water mark of the worker process; beside it the whole tree, each shared page counted once (PSS).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from threading import Thread

from bare import Bare
from celery import Celery
from clips import CACHE, Clip, distinct, made, spread
from processes import children, idle_seconds, rss_mb, rss_mb_peak, this_machine, tree_cpu_seconds, tree_pss_mb
from report import show

from broker.app import make_app
from broker.embedded import embedded_redis
from broker.progress import Progress
from broker.queues import ShardQueue
from fleet.crew import Crew
from fleet.options import Asked
from producer.enqueue import feed
from producer.rounds import new_parts
from storage.job import Job
from workers.backlog import lead
from workers.settings import WorkerSettings

LATENCY_SECONDS = 0.4
CONCURRENCY = 8
LOOK_SECONDS = 0.1
LOOKS_PER_WEIGHING = 5
WARM_UP_CLIPS = 12
PATIENCE_SECONDS = 60.0
"""How long nothing may be captioned before the benchmark gives up."""
MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Parts of the run after which memory is told."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment."""

    at: float
    frames: int
    videos: int
    rss_mb: float
    tree_pss_mb: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A worker that is up, and what it is fed through."""

    app: Celery
    worker: int
    redis: int

    def cpu_seconds(self) -> float:
        """CPU spent so far by the worker's tree and Redis."""
        return tree_cpu_seconds(self.worker) + tree_cpu_seconds(self.redis)


class Producer(Thread):
    """The real producer, which knows what CPU it spent."""

    def __init__(self, source: Path, out: Path, app: Celery) -> None:
        super().__init__(name="producer", daemon=True)
        self.job, self.spec = Asked(sources=[str(source)], dest=str(out), engine="scripted", every=0, max_frames=0).job()
        self.cpu_seconds = 0.0
        self._queue = ShardQueue(app)

    def run(self) -> None:
        feed(self.job, new_parts(self.job, self.spec), queue=self._queue, stopped=lambda: False)
        self.cpu_seconds = time.thread_time()


@contextmanager
def bench(logs: Path) -> Iterator[Bench]:
    """Start a private Redis and one worker."""
    with embedded_redis() as broker_url:
        (redis,) = children(os.getpid())
        settings = {
            "ENGINE": "scripted",
            "BROKER_URL": broker_url,
            "SCRIPTED_LATENCY_SECONDS": str(LATENCY_SECONDS),
            "SCRIPTED_CONCURRENCY": str(CONCURRENCY),
        }
        crew = Crew(1, os.environ | {f"FRAMEFLEET_{name}": value for name, value in settings.items()}, logs)
        crew.start()
        (worker,) = set(children(os.getpid())) - {redis}
        try:
            yield Bench(make_app(broker_url), worker, redis)
        finally:
            crew.stop(grace_seconds=10.0)


def work(bench: Bench, source: Path, out: Path, *, videos: int) -> tuple[Producer, list[Look]]:
    """Have a folder of videos captioned, and look on."""
    producer = Producer(source, out, bench.app)
    progress, looks = Progress(bench.app, producer.job.url), list[Look]()
    producer.start()
    while not looks or looks[-1].videos < videos:
        looks.append(look(bench.worker, progress, looks))
        if looks[-1].at - moved_at(looks) > PATIENCE_SECONDS:
            raise SystemExit("The worker does not get on.")
        time.sleep(LOOK_SECONDS)
    producer.join()
    return producer, looks


def look(worker: int, progress: Progress, before: list[Look]) -> Look:
    """Read the counters; weigh the processes now and then."""
    tally = progress.tally()
    if len(before) % LOOKS_PER_WEIGHING:
        return Look(time.monotonic(), tally.frames, tally.videos, before[-1].rss_mb, before[-1].tree_pss_mb)
    return Look(time.monotonic(), tally.frames, tally.videos, rss_mb(worker), tree_pss_mb(worker))


def moved_at(looks: list[Look]) -> float:
    """When the counter last moved."""
    return next(one.at for one in looks if one.frames == looks[-1].frames)


@dataclass(frozen=True, slots=True)
class Steady:
    """The time in which the engine could have been busy all along."""

    frames: int
    seconds: float

    @classmethod
    def of(cls, looks: list[Look], *, videos: int, held: int) -> "Steady":
        """From the counter's first move to its last before fewer than `held` videos are left."""
        moves = [now for then, now in pairwise(looks) if now.frames > then.frames]
        last = [one for one in moves if one.videos <= videos - held][-1]
        return cls(last.frames - moves[0].frames, last.at - moves[0].at)

    @property
    def frames_per_second(self) -> float:
        """How fast frames were answered."""
        return self.frames / self.seconds

    @property
    def engine_busy(self) -> float:
        """Share of the slots' time, by Little's law."""
        return self.frames_per_second * LATENCY_SECONDS / CONCURRENCY


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was seen to do and to cost."""

    looks: list[Look]
    steady: Steady
    cpu_seconds: float
    idle_seconds: float
    """Time in which a core of the machine had nothing to do."""
    slot_seconds: float
    """How long a caption had its slot, on average: the latency, and what our event loop adds."""
    rss_mb_peak: float

    @property
    def cpu_ms_per_frame(self) -> float:
        """All that the run cost."""
        return self.cpu_seconds * 1000 / self.looks[-1].frames

    @property
    def cores_left(self) -> float:
        """Cores that the run used or could have used."""
        return (self.cpu_seconds + self.idle_seconds) / (self.looks[-1].at - self.looks[0].at)


def measure(clips: list[Clip], *, videos: int) -> dict[str, object]:
    """Run the whole benchmark; returns its figures by name."""
    files = made(clips)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as name:
        folder = Path(name)
        spread(files, folder / "warm-up", count=WARM_UP_CLIPS)
        spread(files, folder / "videos", count=videos)
        with bench(folder) as started:
            work(started, folder / "warm-up", folder / "out-0", videos=WARM_UP_CLIPS)
            with Bare(files) as bare:
                run = observed(started, folder, videos=videos)
    frames = sum(clips[number % len(clips)].keyframes for number in range(videos))
    if run.looks[-1].frames != frames:
        raise SystemExit(f"{run.looks[-1].frames} frames were captioned of {frames}.")
    return figures(run, bare)


def observed(bench: Bench, folder: Path, *, videos: int) -> Run:
    """Do the run that counts."""
    cpu_before, idle_before = bench.cpu_seconds(), idle_seconds()
    producer, looks = work(bench, folder / "videos", folder / "out-1", videos=videos)
    cpu, idle = bench.cpu_seconds() - cpu_before + producer.cpu_seconds, idle_seconds() - idle_before
    largest = max(len(task.videos) for part in producer.job.ledger().parts() for task in part.shards)
    return Run(
        looks=looks,
        steady=Steady.of(looks, videos=videos, held=WorkerSettings().shards_at_once * largest),
        cpu_seconds=cpu,
        idle_seconds=idle,
        slot_seconds=slot_seconds(producer.job),
        rss_mb_peak=rss_mb_peak(bench.worker),
    )


def slot_seconds(job: Job) -> float:
    """Average of what the records say of their captions."""
    return fmean(record.seconds.caption for shard, _ in job.committed() for record in job.records(shard))


def figures(run: Run, bare: Bare) -> dict[str, object]:
    """Put the figures together."""
    cpu_ms, steady = run.cpu_ms_per_frame, run.steady
    paced, hurried = bare.ms_per_frame("paced"), bare.ms_per_frame("hurried")
    return {
        "engine_busy": round(steady.engine_busy, 4),
        "own_cpu_ms_per_frame": round(cpu_ms - plain(paced), 3),
        "rss_mb_peak": round(run.rss_mb_peak, 1),
        "frames": run.looks[-1].frames,
        "frames_per_second": round(steady.frames_per_second, 3),
        "steady_seconds": round(steady.seconds, 1),
        "slots_taken": round(steady.frames_per_second * run.slot_seconds / CONCURRENCY, 4),
        "caption_ms_beyond_latency": round((run.slot_seconds - LATENCY_SECONDS) * 1000, 2),
        "cores_needed": round(cpu_ms / 1000 * CONCURRENCY / LATENCY_SECONDS, 2),
        "cores_left": round(run.cores_left, 2),
        "pipeline_cpu_ms_per_frame": round(cpu_ms, 3),
        "own_cpu_ms_per_frame_less_hurried_loop": round(cpu_ms - plain(hurried), 3),
        "own_cpu_ms_per_frame_less_lean_loop": round(cpu_ms - sum(paced.values()) + plain(paced), 3),
        "bare_cpu_ms_per_frame": {name: round(ms, 3) for name, ms in paced.items()},
        "hurried_cpu_ms_per_frame": {name: round(ms, 3) for name, ms in hurried.items()},
        "bare_passes": bare.passes,
        "tree_pss_mb_peak": round(max(one.tree_pss_mb for one in run.looks), 1),
        "memory_over_run": [memory_at(run.looks, part) for part in MARKS],
    }


def plain(stages: dict[str, float]) -> float:
    """What a frame takes in the plain loop."""
    return sum(ms for name, ms in stages.items() if name.startswith("plain"))


def memory_at(looks: list[Look], part: float) -> dict[str, float]:
    """Memory when this part of the frames was done."""
    seen = next(one for one in looks if one.frames >= part * looks[-1].frames)
    return {"part": part, "frames": seen.frames, "rss_mb": round(seen.rss_mb, 1), "tree_pss_mb": round(seen.tree_pss_mb, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the pipeline with the scripted engine.")
    parser.add_argument("--clips", type=int, default=200, help="videos to caption (2000 for the memory figure)")
    parser.add_argument("--seconds", type=int, default=30, help="length of a clip; it has a keyframe every 2 seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    worker = WorkerSettings()
    settings = {
        "clips": asked.clips,
        "clip_seconds": asked.seconds,
        "latency_seconds": LATENCY_SECONDS,
        "concurrency": CONCURRENCY,
        "shards_at_once": worker.shards_at_once,
        "pictures_in_memory": worker.pictures_in_memory or CONCURRENCY + lead(CONCURRENCY),
    }
    machine = asdict(this_machine())
    show(measure(distinct(asked.seconds), videos=asked.clips) | {"settings": settings, "machine": machine}, as_json=asked.json)


if __name__ == "__main__":
    main()
