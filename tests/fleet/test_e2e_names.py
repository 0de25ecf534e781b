"""A name is never an order: whatever a file is called, it is read as it is, and nothing else is."""

from pathlib import Path

import clips
from clips import Clip
from fleet_runs import audited, framefleet, records

NAMES = (
    "-i.mp4",
    "--help.mp4",
    "concat:a|b.mp4",
    "subfile,,start,0,end,9,,:x.mp4",
    "new\nline.mp4",
    "%s%n$(id);'\".mp4",
    "http:a.mp4",
    "файл 影.mp4",
)


def test_names_that_look_like_orders_are_but_names(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in NAMES:
        (tmp_path / "in" / name).write_bytes(clips.make(Clip(frames=10)))
    ended = framefleet("caption", tmp_path / "in", "--out", tmp_path / "out", "--engine", "scripted", "--workers", 1)
    assert ended.status == 0, ended.said
    assert {record.video.uri.rpartition("/in/")[2] for record in records(tmp_path / "out")} == set(NAMES)
    assert audited(tmp_path / "out").frames == len(NAMES)
    reads = framefleet("status", tmp_path / "out", "--reads", "--json")
    assert reads.status == 0, reads.said
