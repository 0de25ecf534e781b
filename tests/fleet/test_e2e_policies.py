"""Keyframes chosen by scene, and captions copied between near duplicates, from the command line to the audit."""

from collections.abc import Sequence
from pathlib import Path

from clips import Pixels
from fleet_runs import Ended, audited, framefleet, records
from slides import show, view

from schemas.record import FrameRecord

SLIDES = [view("dawn"), view("dawn", brighter=3), view("day"), view("day", brighter=1), view("day", brighter=30), view("dawn")]


def caption(folder: Path, pictures: Sequence[Pixels], *options: object) -> Ended:
    """Caption a clip of these pictures, `in/slides.mp4`, into `out`."""
    (folder / "in").mkdir()
    (folder / "in" / "slides.mp4").write_bytes(show(pictures))
    words = ("caption", folder / "in", "--out", folder / "out", "--engine", "scripted", "--workers", 1)
    return framefleet(*words, *options)


def lines_of(folder: Path) -> list[FrameRecord]:
    return sorted(records(folder / "out"), key=lambda record: record.frame_index)


def test_near_duplicates_have_the_caption_of_their_source_and_name_it(tmp_path: Path) -> None:
    ended = caption(tmp_path, SLIDES, "--skip-duplicates", 8)
    assert ended.status == 0, ended.said
    found = lines_of(tmp_path)
    indexes = {record.frame_id: record.frame_index for record in found}
    assert [record.copied_from and indexes[record.copied_from] for record in found] == [None, 0, None, 2, None, None]
    assert [(record.frame_index, record.frames_chosen, record.pts_seconds) for record in found] == [(n, 6, 2.0 * n) for n in range(6)]
    for record in found:
        if record.copied_from:
            assert record.annotation == found[indexes[record.copied_from]].annotation
            assert (record.usage.output_tokens, record.usage.rung) == (0, "copied")
    assert audited(tmp_path / "out").frames == 6


def test_three_scenes_make_three_lines(tmp_path: Path) -> None:
    ended = caption(tmp_path, [view(look, brighter=level) for look in ("dawn", "day", "night") for level in (0, 2, 4)], "--scenes", 27)
    assert ended.status == 0, ended.said
    assert [(record.frame_index, record.frames_chosen, record.pts_seconds) for record in lines_of(tmp_path)] == [
        (0, 3, 0),
        (1, 3, 6),
        (2, 3, 12),
    ]
    assert {record.copied_from for record in lines_of(tmp_path)} == {None}
    assert audited(tmp_path / "out").frames == 3
    ended = framefleet("audit", tmp_path / "out")
    assert ended.status == 0, ended.said
