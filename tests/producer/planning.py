"""Planning a source in memory, to its end or over many deaths."""

from collections.abc import Callable
from itertools import count, islice
from pathlib import Path

from builders import film, new_store

from producer.plan import plan
from producer.sources import Source, open_sources
from schemas.job import JobSpec, Round
from storage import Store
from storage.job import Job
from storage.ledger import PlanPart
from storage.memory import MemoryStore


def job_of(spec: JobSpec, store: Store | None = None) -> Job:
    job = Job(store or MemoryStore("planned", prefix=new_store().url.rpartition("/")[2]))
    job.create_spec(spec)
    return job


def opened(spec: JobSpec) -> Callable[[], Source]:
    return lambda: open_sources(spec.sources, spec.selection)


def run(job: Job, spec: JobSpec, *, later: Round | None = None) -> list[PlanPart]:
    """Plan to the end of the sources; returns the whole plan."""
    for _ in plan(job, spec, opened(spec), later=later):
        pass
    return list(job.ledger().parts())


def run_interrupted(job: Job, spec: JobSpec, *, later: Round | None = None) -> int:
    """Plan as a producer does that dies after each new part; returns how often it was started."""
    for starts in count(1):
        if not list(islice(plan(job, spec, opened(spec), later=later), 1)):
            return starts
    raise AssertionError


def bodies(job: Job) -> dict[str, bytes]:
    """The whole plan, byte for byte."""
    return {meta.key: job.store.get(meta.key) for meta in job.store.list("plan/")}


def folder(videos: int) -> str:
    store = new_store()
    for number in range(videos):
        film(store, f"{number:04}.mp4")
        if number % 3 == 0:
            film(store, f"{number:04}.txt")
    return store.url


def manifest(path: Path, *, rows: int) -> str:
    path.write_text("".join(f"{{'uri': 's3://b/{n % 70}.mp4', 'etag': 'e', 'size_bytes': 1}}\n".replace("'", '"') for n in range(rows)))
    return str(path)


def videos_of(parts: list[PlanPart]) -> list[str]:
    return [video.uri.rpartition("/")[2] for part in parts for task in part.shards for video in task.videos]
