from pathlib import Path

import pytest
from builders import WatchedStore, film, new_store, spec_of
from planning import bodies, folder, job_of, manifest, opened, run, run_interrupted, videos_of

from producer.plan import part_room, part_size, plan
from producer.sources import Source
from schemas.errors import OperatorError
from schemas.job import Selection
from schemas.video import UNKNOWN_ETAG
from schemas.work import Work
from storage.ledger import PlanPart


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
    assert starts == len(list(whole.ledger().parts())) + 1


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
    planned = videos_of(list(broken.ledger().parts()))
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
    run_interrupted(job, spec)
    assert len(run(job, spec)) == 2
    assert len(events) == len(set(events)) == 4


def test_a_complete_plan_needs_no_look_at_its_source() -> None:
    spec = spec_of(source=folder(20))
    job = job_of(spec)
    run(job, spec)

    def gone() -> Source:
        raise AssertionError("the source was opened again")

    assert list(plan(job, spec, gone)) == []


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
    assert (first.header.part, first.header.shards, first.header.videos, first.header.cursor) == (0, 16, 16, "0:0015.mp4")
    assert first.header.skipped == {"no video suffix": 5}
    assert (second.header.cursor, second.header.shards_before, second.header.videos_before) == ("0:0059.mp4", 16, 16)
    assert second.header.seconds == pytest.approx(44 * 0.15, rel=0.01)
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
    assert sorted(videos_of(list(job.ledger().parts()))) == [f"{n:04}.mp4" for n in range(min(limit, 50))]


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
    next(first), next(second)
    with pytest.raises(OperatorError, match=r"Another producer is planning.*part 1 appeared"):
        list(first)
    assert len(list(job.ledger().parts())) == 2


def test_two_producers_that_see_the_same_write_one_plan() -> None:
    spec = spec_of(source=folder(40))
    job = job_of(spec)
    first, second = plan(job, spec, opened(spec)), plan(job, spec, opened(spec))
    next(first)
    last = next(second)
    assert list(first) == [last]
    assert list(second) == []
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
    store, work = new_store(), Work(frames_per_byte={".mp4": 0.1})
    for number in range(100):
        film(store, f"{number:04}.mp4", bytes(5000 if number in {0, 20, 99} else 10))
    spec = spec_of(source=store.url, videos_per_shard=2, work=work)
    whole, broken = job_of(spec), job_of(spec)
    first, last = run(whole, spec)
    run_interrupted(broken, spec)
    assert bodies(broken) == bodies(whole)
    big = [[videos_of([PlanPart(part.header, (task,))]) for task in part.shards if len(task.videos) == 1] for part in (first, last)]
    assert sorted(big[0]) == [["0000.mp4"], ["0020.mp4"]]
    assert big[1][0] == ["0099.mp4"]
    assert [len(task.videos) for task in first.shards[:3]] == [1, 1, 2]
    assert (first.header.cursor, last.header.cursor) == ("0:0031.mp4", "0:0099.mp4")


def test_what_a_listing_leaves_out_behind_its_last_video_is_counted_once() -> None:
    spec = spec_of(source=folder(1))  # with 0000.txt behind 0000.mp4
    broken = job_of(spec)
    run_interrupted(broken, spec)
    assert broken.plan_complete().skipped == {"no video suffix": 1}
