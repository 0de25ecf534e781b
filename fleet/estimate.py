"""What a job is likely to be and to cost: its sources are counted, a sample of its videos is looked into, and prices are put to it."""

import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass

from fleet.estimate_answer import Answer, Look, Question
from fleet.probe import Probe, Prober
from fleet.strata import allotted
from producer.census import Census, census_of
from producer.fresh import fresh
from producer.sources import Source
from schemas.estimate import Estimate
from schemas.work import Work
from storage.job import Job
from storage.memory import MemoryStore
from workers.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Progress:
    """What is heard of an estimate on its way."""

    counted: Callable[[Census], None] = lambda _: None
    probed: Callable[[Probe], None] = lambda _: None


def estimate(question: Question, source: Source, settings: WorkerSettings, progress: Progress = Progress()) -> Estimate:
    """Answer a question about what a source holds.

    Raises:
        OperatorError: a source cannot be read, or none of its videos.
        FatalError: no decoder can be started here.
    """
    census = counted(question, source, progress)
    begun = time.monotonic()
    looks = looked_into(census, question, settings, progress)
    return Answer(question, census, looks, time.monotonic() - begun).estimate()


def counted(question: Question, source: Source, progress: Progress) -> Census:
    """Walk the sources as a plan would."""
    nothing_planned = Job(MemoryStore(uuid.uuid4().hex))
    with ExitStack() as stack:
        batches = fresh(source, after="", job=nothing_planned, later=None, stack=stack)
        return census_of(batches, most=question.sample, look=question.look, limit=question.selection.limit, progress=progress.counted)


def looked_into(census: Census, question: Question, settings: WorkerSettings, progress: Progress) -> list[Look]:
    """Probe a sample of each class of sizes."""
    classes = [census.classes[kind] for kind in sorted(census.classes)]
    most = question.recipe.keyframes.max_per_video
    likely = [one.videos * Work().frames(one.size_bytes // one.videos, "", most=most) for one in classes]
    numbers = allotted([one.videos for one in classes], likely, most=question.sample)
    samples = [one.sample[:number] for one, number in zip(classes, numbers, strict=True)]
    with closing(Prober(settings, question.recipe)) as prober:
        probes = iter(prober.probe_all([video for sample in samples for video in sample], progress=progress.probed))
    return [Look(one.videos, one.size_bytes, [next(probes) for _ in sample]) for one, sample in zip(classes, samples, strict=True)]
