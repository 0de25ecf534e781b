from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

import pytest
from builders import WatchedStore, film, new_store, spec_of

from producer.plan import part_room, part_size, plan
from producer.sources import Source, open_source
from schemas.errors import OperatorError
from schemas.job import JobSpec, PlanPartHeader, Selection
from schemas.task import ShardTask, shard_id
from schemas.video import UNKNOWN_ETAG
from storage import Store
from storage.job import Job, PlanPart
from storage.memory import MemoryStore


def job_of(spec: JobSpec, store: Store | None = None) -> Job:
    job = Job(store or MemoryStore("planned", prefix=new_store().url.rpartition("/")[2]))
    job.create_spec(spec)
    return job


def opened(spec: JobSpec) -> Callable[[], Source]:
    return lambda: open_source(spec.source, spec.selection)


def run(job: Job, spec: JobSpec) -> list[PlanPart]:
    return list(plan(job, spec, opened(spec)))


def run_interrupted(job: Job, spec: JobSpec) -> int:
    """Plan as a producer does that dies after each new part; returns how often it was started."""
    for starts in count(1):
        before = len(list(job.plan_parts()))
        list(islice(plan(job, spec, opened(spec)), before + 1))
        if len(list(job.plan_parts())) == before:
            return starts
    raise AssertionError


def bodies(job: Job) -> dict[str, bytes]:
    """The whole plan, but for the job's own address in it."""
    return {meta.key: repr(parts_of(job.store.get(meta.key), meta.key, job)).encode() for meta in job.store.list("plan/")}


def parts_of(body: bytes, key: str, job: Job) -> object:
    if key.endswith(".json"):
        complete = job.plan_complete()
        assert complete is not None
        return complete.shards, complete.videos, [(seal.key, seal.shards, seal.videos) for seal in complete.parts]
    part = next(part for part in job.plan_parts() if f"part-{part.header.part:05d}" in key)
    return part.header, [(task.shard_id, task.videos) for task in part.shards], bool(body)


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


def test_parts_begin_small_and_grow() -> None:
    assert [part_size(part) for part in (0, 1, 5, 6, 7, 100)] == [16, 32, 512, 1024, 1024, 1024]


def test_a_part_holds_whole_shards_and_no_more_videos_than_fit_in_memory() -> None:
    rooms = [part_room(9, first_ordinal=5000, videos_per_shard=per_shard) for per_shard in (0, 1, 64, 1000, 40_000, 70_000)]
    assert rooms == [65_536, 1024, 65_536, 65_000, 40_000, 70_000]
    assert part_room(0, first_ordinal=0, videos_per_shard=0) == 16


@pytest.mark.parametrize("fields", [{}, {"videos_per_shard": 1}, {"videos_per_shard": 7}, {"selection": Selection(limit=150)}], ids=str)
@pytest.mark.parametrize("videos", [0, 1, 16, 17, 300])
def test_a_plan_does_not_depend_on_how_often_its_producer_died(fields: dict[str, object], videos: int) -> None:
    spec = spec_of(source=folder(videos), **fields)
    whole, broken = job_of(spec), job_of(spec)
    run(whole, spec)
    starts = run_interrupted(broken, spec)
    assert bodies(broken) == bodies(whole)
    assert starts == len(list(whole.plan_parts())) + 1


def test_what_a_manifest_leaves_out_does_not_depend_on_how_often_its_producer_died(tmp_path: Path) -> None:
    spec = spec_of(source=manifest(tmp_path / "m.jsonl", rows=200))
    whole, broken = job_of(spec), job_of(spec)
    run(whole, spec)
    run_interrupted(broken, spec)
    assert whole.plan_complete().skipped == {"repeated": 130}
    assert broken.plan_complete().skipped == {"repeated": 130}


def test_the_videos_of_a_manifest_do_not_depend_on_how_often_its_producer_died(tmp_path: Path) -> None:
    spec = spec_of(source=manifest(tmp_path / "m.jsonl", rows=200))
    whole, broken = job_of(spec), job_of(spec)
    run_interrupted(broken, spec)
    planned = videos_of(list(broken.plan_parts()))
    assert planned == videos_of(run(whole, spec))
    assert sorted(planned) == sorted(f"{n}.mp4" for n in range(70))


def test_two_jobs_of_one_source_have_the_same_shards() -> None:
    spec = spec_of(source=folder(40))
    first, second = ([task.shard_id for part in run(job_of(spec), spec) for task in part.shards] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)


def test_a_part_is_written_before_its_shards_are_seen() -> None:
    spec, events = spec_of(source=folder(60)), []
    job = job_of(spec, WatchedStore(new_store(), events))
    events.extend(f"seen {part.header.part}" for part in plan(job, spec, opened(spec)))
    parts = [event for part in range(2) for event in (f"plan/part-{part:05d}.jsonl.zst", f"seen {part}")]
    assert events == ["job.json", *parts, "plan/complete.json"]


def test_a_part_that_stands_is_not_written_again() -> None:
    spec, events = spec_of(source=folder(60)), []
    job = job_of(spec, WatchedStore(new_store(), events))
    next(plan(job, spec, opened(spec)))
    assert len(run(job, spec)) == 2
    assert len(events) == len(set(events)) == 4


def test_a_complete_plan_is_read_without_its_source() -> None:
    spec = spec_of(source=folder(20))
    job = job_of(spec)
    planned = run(job, spec)

    def gone() -> Source:
        raise AssertionError("the source was opened again")

    assert list(plan(job, spec, gone)) == planned


def test_a_plan_is_complete_only_at_its_end() -> None:
    spec = spec_of(source=folder(60))
    job = job_of(spec)
    parts = plan(job, spec, opened(spec))
    next(parts), next(parts)
    assert job.plan_complete() is None
    assert list(parts) == []
    complete = job.plan_complete()
    assert (complete.videos, complete.skipped, len(complete.parts)) == (60, {"no video suffix": 20}, 2)


def test_a_header_sums_up_its_part() -> None:
    spec = spec_of(source=folder(60))
    first, second = run(job_of(spec), spec)
    assert (first.header.part, first.header.shards, first.header.videos, first.header.cursor) == (0, 16, 16, "0015.mp4")
    assert first.header.skipped == {"no video suffix": 5}
    assert second.header.cursor == "0059.mp4"
    assert second.header.size_bytes == sum(video.size_bytes for task in second.shards for video in task.videos)


def test_an_empty_source_makes_a_complete_and_empty_plan() -> None:
    spec = spec_of(source=folder(0))
    job = job_of(spec)
    assert run(job, spec) == []
    assert job.plan_complete().videos == 0


@pytest.mark.parametrize("limit", [1, 16, 17, 20, 1000])
def test_a_limit_holds_over_a_resume(limit: int) -> None:
    spec = spec_of(source=folder(50), selection=Selection(limit=limit))
    job = job_of(spec)
    run_interrupted(job, spec)
    assert sorted(videos_of(list(job.plan_parts()))) == [f"{n:04}.mp4" for n in range(min(limit, 50))]


def test_a_repeated_uri_is_planned_once_over_a_resume(tmp_path: Path) -> None:
    path = tmp_path / "m.txt"
    store = new_store()
    uris = [film(store, f"{n:02}.mp4").uri for n in range(40)]
    path.write_text("\n".join([*uris, *reversed(uris)]))
    spec = spec_of(source=str(path))
    job = job_of(spec)
    next(plan(job, spec, opened(spec)))
    assert sorted(videos_of(run(job, spec))) == [f"{n:02}.mp4" for n in range(40)]


def test_a_video_that_is_missing_is_planned_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.txt"
    path.write_text(f"{new_store().url}/gone.mp4\n")
    spec = spec_of(source=str(path))
    [part] = run(job_of(spec), spec)
    assert [video.etag for task in part.shards for video in task.videos] == [UNKNOWN_ETAG]


def test_a_second_producer_is_told_that_it_is_the_second() -> None:
    spec, late = spec_of(source=folder(40)), spec_of(source=folder(41), selection=Selection(exclude=("0000.mp4",)))
    job = job_of(spec)
    first, second = plan(job, spec, opened(spec)), plan(job, spec, opened(late))
    next(first)
    assert next(second).header.part == 0  # it reads the part that stands
    next(first)
    with pytest.raises(OperatorError, match=r"Another producer is planning.*part 1 appeared"):
        list(second)
    assert len(list(job.plan_parts())) == 2


def test_two_producers_that_see_the_same_write_one_plan() -> None:
    spec = spec_of(source=folder(40))
    job = job_of(spec)
    first, second = plan(job, spec, opened(spec)), plan(job, spec, opened(spec))
    planned: Iterator[PlanPart] = (part for pair in zip(first, second, strict=True) for part in pair)
    assert len(list(planned)) == 4
    assert job.plan_complete().videos == 40


def test_a_source_that_grows_before_the_plan_is_complete_is_planned_to_its_new_end() -> None:
    store = new_store()
    for number in range(40):
        film(store, f"{number:04}.mp4")
    spec = spec_of(source=store.url)
    job = job_of(spec)
    parts = plan(job, spec, opened(spec))
    next(parts), next(parts)
    film(store, "0040.mp4")
    assert sorted(videos_of(run(job, spec))) == [f"{n:04}.mp4" for n in range(41)]


@pytest.mark.parametrize("videos", [1, 31, 32, 33, 111, 112, 113, 400])
@pytest.mark.parametrize("videos_per_shard", [0, 3])
def test_the_last_part_is_never_a_short_one(videos: int, videos_per_shard: int) -> None:
    spec = spec_of(source=folder(videos), videos_per_shard=videos_per_shard)
    parts = run(job_of(spec), spec)
    sizes = [part.header.videos for part in parts]
    assert sum(sizes) == videos
    assert len(sizes) == 1 or sizes[-1] >= sizes[-2]
    assert max(part.header.shards for part in parts) <= 2 * part_size(len(parts))


def test_a_big_video_is_alone_and_first_in_its_part_however_often_the_producer_died() -> None:
    store = new_store()
    for number in range(100):
        film(store, f"{number:04}.mp4", bytes(5000 if number in {0, 20, 99} else 10))
    spec = spec_of(source=store.url, videos_per_shard=2)
    whole, broken = job_of(spec), job_of(spec)
    first, last = run(whole, spec)
    run_interrupted(broken, spec)
    assert bodies(broken) == bodies(whole)
    big = [[videos_of([PlanPart(part.header, (task,))]) for task in part.shards if len(task.videos) == 1] for part in (first, last)]
    assert big[0] == [["0000.mp4"], ["0020.mp4"]]
    assert big[1][0] == ["0099.mp4"]
    assert first.shards[0].videos[0].uri.endswith("0000.mp4")
    assert (first.header.cursor, last.header.cursor) == ("0031.mp4", "0099.mp4")


def test_a_plan_begun_in_the_sources_order_goes_on_behind_its_parts() -> None:
    spec = spec_of(source=folder(100), videos_per_shard=2)
    job, videos = job_of(spec), [sighting.video for sighting in opened(spec)().sightings()]
    pairs = [tuple(videos[place : place + 2]) for place in range(0, 32, 2)]
    tasks = tuple(ShardTask(job=job.url, shard_id=shard_id(spec.recipe_id, pair), recipe_id=spec.recipe_id, videos=pair) for pair in pairs)
    header = PlanPartHeader(part=0, cursor="0031.mp4", shards=16, videos=32, size_bytes=sum(video.size_bytes for video in videos[:32]))
    job.create_part(PlanPart(header, tasks))
    parts = run(job, spec)
    assert parts[0].shards == tasks
    assert sorted(videos_of(parts)) == [f"{n:04}.mp4" for n in range(100)]


def test_what_a_listing_leaves_out_behind_its_last_video_is_counted_once() -> None:
    spec = spec_of(source=folder(1))  # with 0000.txt behind 0000.mp4
    broken = job_of(spec)
    run_interrupted(broken, spec)
    assert broken.plan_complete().skipped == {"no video suffix": 1}
