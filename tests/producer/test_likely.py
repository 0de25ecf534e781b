from hypothesis import given
from hypothesis import strategies as st

from producer.likely import likely_seconds
from schemas.work import Work, suffix_of

URIS = st.builds(
    "s3://b/{}/{}{}".format, st.text("ab.", max_size=3), st.text("xy.", max_size=3), st.sampled_from([".mp4", ".MKV", ".", ""])
)


@given(
    videos=st.lists(st.tuples(URIS, st.integers(0, 10**12)), max_size=40),
    most=st.sampled_from([0, 1, 64]),
    learnt=st.dictionaries(st.sampled_from([".mp4", ".mkv", ""]), st.floats(1e-9, 1e-3)),
)
def test_the_work_of_many_videos_is_that_of_each(videos: list[tuple[str, int]], most: int, learnt: dict[str, float]) -> None:
    work = Work(frames_per_byte=learnt)
    found = likely_seconds(work, [uri for uri, _ in videos], [size for _, size in videos], most=most)
    assert found == [work.seconds(size, suffix_of(uri), most=most) for uri, size in videos]


def test_a_video_is_likely_to_give_a_frame_every_four_seconds_and_one_at_least() -> None:
    work = Work()
    assert [work.frames(size, ".mp4", most=64) for size in (0, 1, 2_000_000, 2_000_001, 10**10)] == [1, 1, 1, 2, 64]
    assert work.frames(10**10, ".mp4", most=0) == 5000
    assert work.seconds(10**9, ".mp4", most=64) == 0.1 + 0.05 * 64 + 2


def test_a_suffix_is_what_stands_behind_the_last_dot_of_a_name() -> None:
    assert [suffix_of(f"s3://b/{name}") for name in ("a.MP4", "a.b/c", "a.tar.gz", ".mp4", "a.")] == [".mp4", "", ".gz", ".mp4", "."]
