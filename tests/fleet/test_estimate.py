from fractions import Fraction

import pytest
from builders import RECIPE, HandmadeJob, film, lines, new_store
from clips import Clip, make

from fleet.bill import shards_for
from fleet.estimate import Progress, estimate
from fleet.estimate_answer import LINE_BYTES, Answer, Look, Question
from fleet.learnt import lessons_of
from fleet.probe import Probe
from producer.census import Census, SizeClass
from producer.plan import part_room, plan
from producer.shards import shards
from producer.sources import open_sources
from schemas.errors import OperatorError
from schemas.estimate import Estimate, Prices
from schemas.job import Selection
from schemas.reasons import Reason
from schemas.record import Fetched
from schemas.work import Work
from storage import Store, open_store
from workers.settings import WorkerSettings

PRICES = Prices(accelerator_hour=2.0)
SHORT = Clip(frames=4, gop=1, rate=10, seconds_between_frames=Fraction(2))
LONG = Clip(frames=12, gop=1, rate=10, seconds_between_frames=Fraction(2), width=320, height=240)


def asked(store: Store, **fields) -> Question:
    return Question(**{"sources": (store.url,), "recipe": RECIPE, "prices": PRICES} | fields)


def estimated(question: Question, progress: Progress = Progress()) -> Estimate:  # noqa: B008 - a frozen value
    return estimate(question, open_sources(question.sources, question.selection), WorkerSettings(), progress)


@pytest.fixture(scope="module")
def films() -> Store:
    """Thirty short clips of 4 keyframes, three long ones of 12, one cut in half, and a text."""
    store = new_store()
    short, long = make(SHORT), make(LONG)
    for number in range(30):
        film(store, f"short-{number:02}.mp4", short)
    for number in range(3):
        film(store, f"long-{number}.mkv", long)
    film(store, "cut.mp4", short[: len(short) // 2])
    film(store, "readme.txt", b"no video")
    return store


@pytest.fixture(scope="module")
def whole(films) -> Estimate:
    return estimated(asked(films))


def answered(*probes: Probe, videos: int = 0, **fields) -> Estimate:
    """The answer where so many equal videos were counted, and these probed."""
    census = Census(most=10)
    count, size = videos or len(probes), probes[0].video.size_bytes
    census.classes[1] = SizeClass(videos=count, size_bytes=count * size)
    return Answer(asked(new_store(), **fields), census, [Look(count, count * size, probes)], 1.0).estimate()


def probes(*frames: int) -> list[Probe]:
    video = film(new_store(), "a.mp4")
    return [Probe(video, frames=number) for number in frames]


def test_a_job_that_is_looked_into_wholly_is_known_exactly(whole):
    assert (whole.videos, whole.objects, whole.skipped) == (34, 35, {"no video suffix": 1})
    assert (whole.frames.low, whole.frames.expected, whole.frames.high) == (156, 156, 156)
    assert (whole.dead_videos.expected, whole.dead_by_reason) == (1, {"truncated": 1})
    assert (whole.sample.probed, whole.sample.frames, whole.sample.whole, whole.looked_at_all) == (34, 156, True, True)
    assert whole.bytes_read.expected == whole.size_bytes, "small objects are read whole"
    assert (whole.requests.get, whole.requests.put) == (34 + 1, whole.shards + 1 + 1)


def test_a_sample_brings_an_interval_that_holds_the_truth(films):
    counted: list[int] = []
    probed: list[Probe] = []

    def note(census: Census) -> None:
        counted.append(census.objects)

    found = estimated(asked(films, sample=10), Progress(note, probed.append))

    assert 10 <= found.sample.probed == len(probed) < 34
    assert counted[-1] == 35
    assert not found.sample.whole
    assert found.frames.low <= 156 <= found.frames.high
    assert found.frames.low < found.frames.high
    assert found.dollars.low < found.dollars.total < found.dollars.high
    assert any("drawn at random" in words for words in found.measured)


def test_dollars_are_told_by_part_and_add_up():
    found = answered(*probes(100, 56), seconds_per_frame=36.0)

    assert found.accelerator_hours.expected == pytest.approx(1.56)
    assert found.dollars.accelerators == pytest.approx(3.12)
    assert found.dollars.storage_month == pytest.approx(156 * LINE_BYTES["none"] / (1 << 30) * 0.023)
    parts = (found.dollars.accelerators, found.dollars.requests, found.dollars.bytes, found.dollars.storage_month)
    assert found.dollars.total == pytest.approx(sum(parts))
    assert found.dollars.low == found.dollars.total == found.dollars.high
    assert found.dollars.per_million_frames == pytest.approx(found.dollars.total / 156 * 1e6)
    assert any("--frames-per-second" in words for words in found.assumed)


def test_bytes_are_paid_for_where_they_leave_the_region():
    video = film(new_store(), "a.mp4")
    paid = PRICES.model_copy(update={"gigabyte_read": 0.02})

    found = answered(Probe(video, frames=4, fetched=Fetched(bytes_read=1 << 30, requests=7)), prices=paid)

    assert found.dollars.bytes == pytest.approx(0.02)
    assert found.requests.get == 7 + 1


def test_a_limited_look_says_that_it_is_a_lower_bound(films):
    found = estimated(asked(films, look=5))

    assert (found.objects, found.looked_at_all) == (5, False)


def test_a_selection_is_heeded(films):
    found = estimated(asked(films, selection=Selection(include=("long-*",), limit=2)))

    assert (found.videos, found.frames.expected, found.looked_at_all) == (2, 24, True)


def test_a_video_that_two_sources_name_counts_once(films, tmp_path):
    manifest = tmp_path / "videos.txt"
    manifest.write_text(f"{films.url}/long-0.mkv\n{films.url}/long-0.mkv\n{films.url}/long-1.mkv\n")
    question = Question(sources=(str(manifest),), recipe=RECIPE, prices=PRICES)

    found = estimated(question)

    assert (found.videos, found.skipped) == (2, {"repeated": 1})


def test_what_is_learnt_serves_the_next_plan(films, whole):
    work = whole.work

    sizes = {suffix: sum(meta.size_bytes for meta in films.list() if meta.key.endswith(suffix)) for suffix in (".mp4", ".mkv")}
    cut = films.head("cut.mp4").size_bytes
    assert work.frames_per_byte == {".mkv": pytest.approx(36 / sizes[".mkv"]), ".mp4": pytest.approx(120 / (sizes[".mp4"] - cut))}
    assert Work.model_validate_json(work.model_dump_json()) == work


def test_plan_and_shards_are_near_to_what_a_plan_has(films, whole):
    made = HandmadeJob()
    spec = made.spec.model_copy(update={"sources": (films.url,)})
    for _ in plan(made.job, spec, lambda: open_sources(spec.sources, spec.selection)):
        pass
    assert whole.shards == pytest.approx(made.job.ledger().totals().shards, abs=2)
    written = sum(meta.size_bytes for meta in made.job.store.list("plan/part-"))
    assert whole.plan_bytes == pytest.approx(written, rel=0.25)


@pytest.mark.parametrize(("videos", "seconds"), [(100, 0.2), (3000, 0.2), (60_000, 0.3), (60_000, 2.0), (5000, 200.0)])
def test_shards_are_counted_as_they_will_be_cut(videos, seconds):
    made, ordinal, part, left = 0, 0, 0, videos
    while left:
        room = part_room(part, first_ordinal=ordinal, videos_per_shard=0)
        taken = left if left < 2 * room else room
        groups = shards([seconds] * taken, first_ordinal=ordinal, most_seconds=120, last=taken == left)
        made, ordinal, part, left = made + len(groups), ordinal + len(groups), part + 1, left - taken

    assert shards_for(videos, videos_per_shard=0, seconds_per_video=seconds, most_seconds=120) == pytest.approx(made, rel=0.35)
    assert shards_for(videos, videos_per_shard=50, seconds_per_video=seconds, most_seconds=120) == -(-videos // 50)


def test_a_job_alike_tells_what_a_line_takes():
    made = HandmadeJob()
    task = made.shard("a.mp4")
    made.commit(task, *lines(task, 3))

    found = answered(*probes(100, 56), like=lessons_of(made.job))

    assert found.caption_bytes == pytest.approx(156 * len(made.job.store.get(f"captions/{task.shard_id[:2]}/{task.shard_id}.jsonl")) / 3)
    assert any("20 output tokens" in words for words in found.measured)
    assert any("nobody measured" in words for words in found.assumed)


def test_where_storage_lets_nothing_be_read_there_is_no_estimate():
    video = film(new_store(), "a.mp4")

    with pytest.raises(OperatorError, match="503"):
        answered(Probe(video, unread="503"), Probe(video, unread="503"))
    with pytest.raises(OperatorError, match="s3:GetObject"):
        answered(Probe(video, dead=Reason.ACCESS_DENIED), Probe(video, unread="503"))


def test_videos_that_storage_did_not_answer_for_are_taken_to_be_as_the_rest():
    video = film(new_store(), "a.mp4")

    found = answered(Probe(video, frames=4), Probe(video, frames=4), Probe(video, unread="503"))

    assert (found.frames.expected, found.sample.not_read, found.sample.whole) == (12, 1, False)


def test_a_bucket_is_estimated_by_ranged_reads(s3_bucket):
    store = open_store(s3_bucket)
    for number in range(3):
        film(store, f"films/{number}.mp4", make(SHORT))
    film(store, "films/text.mp4", b"no video" * 20)
    question = Question(sources=(f"{s3_bucket}/films",), recipe=RECIPE, prices=PRICES)

    found = estimated(question)

    assert (found.videos, found.frames.expected, found.dead_by_reason) == (4, 12, {"not_a_video": 1})
    assert found.requests.list == 2
