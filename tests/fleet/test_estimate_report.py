import io

import pytest
from rich.console import Console

from fleet.estimate_report import Told, dollars, hours, print_estimate, size
from fleet.probe import Probe
from producer.census import Census
from schemas.estimate import Dollars, Estimate, Interval, Prices, Requests, Sample
from schemas.video import VideoRef
from schemas.work import Work

VIDEO = VideoRef(uri="s3://b/a.mp4", etag="e", size_bytes=5)


def interval(expected: float) -> Interval:
    return Interval(expected=expected, low=0.9 * expected, high=1.1 * expected)


def estimate(**fields) -> Estimate:
    given = {
        "sources": ("s3://films", "s3://more"),
        "recipe": "vidcap-12b",
        "recipe_id": "c0ffee",
        "looked_at_all": True,
        "objects": 1_234_567,
        "videos": 1_200_000,
        "size_bytes": 5 << 40,
        "skipped": {"no video suffix": 34_000, "archived": 567},
        "sample": Sample(probed=208, frames=9000, seconds=31.5, whole=False),
        "frames": interval(40_000_000),
        "dead_videos": interval(12_000),
        "dead_by_reason": {"truncated": 11_000.0, "not_a_video": 1000.0},
        "bytes_read": interval(200 << 30),
        "accelerator_hours": interval(555.0),
        "caption_bytes": 88e9,
        "shards": 9_000,
        "plan_bytes": 61e6,
        "messages": 9_000,
        "requests": Requests(get=2.1e7, head=9000, put=21_000, list=1235),
        "prices": Prices(accelerator_hour=2.0),
        "dollars": Dollars(
            accelerators=1111, requests=8.5, bytes=0, storage_month=1.9, total=1121.4, low=1009, high=1233, per_million_frames=28.035
        ),
        "measured": ("keyframes: 208 videos",),
        "assumed": ("0.05 s of a GPU per frame",),
        "work": Work(),
    }
    return Estimate.model_validate(given | fields)


def printed(found: Estimate) -> list[str]:
    file = io.StringIO()
    print_estimate(Console(file=file, width=200), found)
    return file.getvalue().splitlines()


def test_an_estimate_is_told_line_by_line():
    assert printed(estimate()) == [
        "s3://films, s3://more with recipe vidcap-12b (c0ffee)",
        "videos\t1,200,000\tcounted\t5.0 TB in 1,234,567 objects",
        "left out\t34,567\tcounted\t34000 no video suffix, 567 archived",
        "sample\t208\t\t9,000 frames in it, probed in 31.5 s",
        "frames\t40,000,000\t36,000,000 to 44,000,000\t33.3 a video",
        "dead videos\t12,000\t10,800 to 13,200\t11,000 truncated, 1,000 not_a_video",
        "bytes read\t200.0 GB\t180.0 GB to 220.0 GB\t3.9% of the videos, in ranges",
        "GPU-hours\t555.0\t499.5 to 610.5\t20 frames/s on each",
        "captions\t82.0 GB\t\tas lines in storage",
        "shards\t9,000\t\tabout; a plan of 58.2 MB, 9,000 messages through Redis",
        "$ GPU\t1,111.00\t\t2 $ an hour",
        "$ requests\t8.50\t\t21,000,000 GET, 9,000 HEAD at 0.0004 $ a thousand; 21,000 PUT, 1,235 LIST at 0.005 $",
        "$ bytes\t0.00\t\t0 $ a GB read",
        "$ storage\t1.90\t\ta month, 0.023 $ a GB",
        "$ total\t1,121.40\t1,009.00 to 1,233.00\twith the first month's storage",
        "$ per million frames\t28.04\t\t",
        "measured: keyframes: 208 videos",
        "assumed: 0.05 s of a GPU per frame",
    ]


def test_a_lower_bound_is_called_one_before_anything_else():
    lines = printed(estimate(looked_at_all=False))

    assert lines[1].startswith("ONLY THE FIRST 1,234,567 OBJECTS")
    assert "\tat least\t" in lines[2]


def test_what_was_counted_is_not_called_a_guess():
    lines = printed(estimate(sample=Sample(probed=208, frames=9000, seconds=31.5, whole=True)))

    assert lines[4] == "frames\t40,000,000\tcounted\t33.3 a video"


def test_videos_that_could_not_be_read_are_told():
    assert printed(estimate(sample=Sample(probed=200, not_read=8, frames=9000, seconds=1, whole=False)))[-1].startswith("8 of the sample")


def test_a_job_without_frames_has_no_price_for_a_million():
    nothing = estimate().dollars.model_copy(update={"per_million_frames": None})

    assert not any("per million" in line for line in printed(estimate(dollars=nothing)))


@pytest.mark.parametrize(("bytes_", "words"), [(0, "0 B"), (1023, "1,023 B"), (1536, "1.5 KB"), (5 << 40, "5.0 TB")])
def test_sizes_are_told_as_people_say_them(bytes_, words):
    assert size(bytes_) == words


def test_small_figures_are_not_rounded_to_nothing():
    assert [dollars(amount) for amount in (0, 0.0099, 0.5, 1234.5)] == ["0.00", "< 0.01", "0.50", "1,234.50"]
    assert [hours(number) for number in (0.00107, 9.5, 12345.67)] == ["0.00107", "9.5", "12,345.7"]


def test_in_a_pipe_progress_is_told_seldom():
    file = io.StringIO()
    with Told(Console(file=file), sample=5) as told:
        for _ in range(1000):
            told.counted(Census(most=1))
            told.probed(Probe(VIDEO))

    assert file.getvalue() == ""


def test_on_a_terminal_progress_is_shown():
    file = io.StringIO()
    with Told(Console(file=file, force_terminal=True, width=120), sample=5) as told:
        told.probed(Probe(VIDEO))

    assert "looking into videos: 1 of about 5, the last s3://b/a.mp4" in file.getvalue()
