import pytest
from vital_signs import vitals

from fleet.efficiency import AT_WORK_SECONDS, dollars_per_million, efficiency_of, in_words, without_ceiling, work_in_words


def test_one_workers_rates_are_its_counts_over_its_time() -> None:
    one = vitals("a:1", seconds_at_work=100.0, frames=1500, captioned=1400, recent_seconds=60.0, recent_frames=960, recent_captioned=900)
    found = efficiency_of([one])
    assert (found.frames_per_second, found.frames_per_second_since_start) == (16.0, 15.0)
    assert found.gpu_seconds_per_frame == pytest.approx(1 / 15)
    assert (found.ceiling_share, found.ceiling_share_since_start, found.dollars_per_million_frames) == (None, None, None)


def test_the_share_of_the_ceiling_is_of_what_the_engine_answered_and_not_of_copies() -> None:
    one = vitals("a:1", recent_frames=40, recent_captioned=19, frames=50, captioned=18, ceiling_frames_per_second=2.0)
    found = efficiency_of([one])
    assert (found.frames_per_second, found.ceiling_share, found.ceiling_share_since_start) == (4.0, 0.95, 0.9)


def test_a_price_makes_dollars_of_time() -> None:
    one = vitals("a:1", seconds_at_work=100.0, frames=2000, dollars_per_hour=2.0)
    assert efficiency_of([one]).dollars_per_million_frames == pytest.approx(27.7778, rel=1e-4)
    assert dollars_per_million(0.05, dollars_per_hour=2.0) == pytest.approx(27.7778, rel=1e-4)
    assert dollars_per_million(1 / 13, dollars_per_hour=2.0) == pytest.approx(42.735, rel=1e-4)


def test_workers_add_up() -> None:
    fast = vitals("a:1", frames=400, captioned=400, recent_frames=400, recent_captioned=400, ceiling_frames_per_second=50.0)
    slow = vitals("b:2", frames=100, captioned=100, recent_frames=100, recent_captioned=100, ceiling_frames_per_second=10.0)
    found = efficiency_of([fast, slow])
    assert (found.frames_per_second, found.frames_per_second_since_start, found.gpu_seconds_per_frame) == (50.0, 50.0, 0.04)
    assert found.ceiling_share == found.ceiling_share_since_start == pytest.approx(50 / 60)


def test_who_has_no_ceiling_or_price_is_left_out_of_share_and_dollars_only() -> None:
    known = vitals("a:1", ceiling_frames_per_second=4.0, dollars_per_hour=3.6)
    found = efficiency_of([known, vitals("b:2", frames=80)])
    assert (found.ceiling_share, found.frames_per_second_since_start) == (0.5, 10.0)
    assert found.dollars_per_million_frames == pytest.approx(1e6 * 0.5 * 3.6 / 3600)


def test_an_idle_worker_has_a_past_and_no_present() -> None:
    idle = vitals("a:1", idle_seconds=AT_WORK_SECONDS + 1, ceiling_frames_per_second=4.0)
    found = efficiency_of([idle])
    assert (found.frames_per_second, found.ceiling_share) == (0.0, None)
    assert (found.frames_per_second_since_start, found.ceiling_share_since_start, found.gpu_seconds_per_frame) == (2.0, 0.5, 0.5)
    assert efficiency_of([idle, vitals("b:2")]).frames_per_second == 2.0
    assert efficiency_of([vitals("c:3", idle_seconds=1.0)]).frames_per_second == 2.0


def test_a_worker_that_has_done_nothing_divides_by_nothing() -> None:
    nothing = {"seconds_at_work": 0.0, "recent_seconds": 0.0, "frames": 0, "captioned": 0, "recent_frames": 0, "recent_captioned": 0}
    found = efficiency_of([vitals("a:1", ceiling_frames_per_second=4.0, dollars_per_hour=2.0, tokens={}, **nothing)])
    assert set(found.model_dump().values()) == {0.0, None}
    assert efficiency_of([]) == efficiency_of([vitals("b:2", tokens={}, **nothing)])


def test_the_prefix_caches_share_is_known_where_it_is_counted() -> None:
    counted = vitals("a:1", tokens={"prompt": 1000, "cached": 700, "output": 5})
    assert efficiency_of([counted, vitals("b:2", tokens={"prompt": 9000})]).prefix_cache_share == 0.7
    assert efficiency_of([vitals("b:2", tokens={"prompt": 9000})]).prefix_cache_share is None
    assert efficiency_of([vitals("b:2", tokens={"prompt": 9000, "cached": 0})]).prefix_cache_share == 0.0


def test_rates_in_words_leave_out_what_is_not_known() -> None:
    assert in_words(efficiency_of([vitals("a:1")])) == "2.00 frames/s now, 2.00 frames/s since the start, 0.5000 GPU-seconds a frame"
    all_known = vitals("a:1", ceiling_frames_per_second=2.5, dollars_per_hour=1.8, tokens={"prompt": 100, "cached": 71})
    assert in_words(efficiency_of([all_known])) == (
        "2.00 frames/s now (80.0% of the ceiling), 2.00 frames/s since the start (80.0% of the ceiling), 0.5000 GPU-seconds a frame, "
        "250.00 $ per million frames, 71% of the prompt tokens out of the prefix cache"
    )


def test_work_in_words_tells_of_window_and_rungs() -> None:
    one = vitals("a:1", rungs={"constrained": {"accepted": 20, "cut": 1}, "longer": {"accepted": 1}})
    words = "window 8, 8 in flight, 3 pictures wait; rungs: 20 constrained accepted, 1 constrained cut, 1 longer accepted"
    assert work_in_words(one) == words
    assert work_in_words(vitals("a:1", rungs={}, idle_seconds=60)) == "idle, window 8, 8 in flight, 3 pictures wait; rungs: none"


def test_engines_without_a_ceiling_are_named_once_they_have_worked() -> None:
    workers = [vitals("a:1", engine="vllm"), vitals("b:2", engine="vllm"), vitals("c:3", engine="openai at host:8000")]
    known = [vitals("d:4", engine="opencv", ceiling_frames_per_second=4.0), vitals("e:5", engine="scripted", model="")]
    assert without_ceiling([*workers, *known]) == ["openai", "vllm"]
