"""The main job from bucket to bucket, and what a bucket may refuse."""

import json
from pathlib import Path

from clips import Clip, make
from fleet_runs import audited, dead, framefleet, letters, records_in
from s3_places import bodies, etag, upload
from s3_server import S3Server

from schemas.reasons import Reason


def test_a_prefix_is_captioned_into_another_once_and_only_once(s3_bucket: str, s3_server: S3Server) -> None:
    keys = ["in/a.mp4", "in/deep er/ü#?%20.mp4", "in/z.mkv"]
    clips = [make(Clip()), make(Clip(frames=60)), make(Clip(container="matroska", frames=30))]
    upload(s3_server, s3_bucket, dict(zip(keys, clips, strict=True)) | {"in/notes.txt": b"no video", "inner/no.mp4": clips[0]})
    job = f"{s3_bucket}/out/run-1"
    words = ("caption", f"{s3_bucket}/in/", "--out", job, "--engine", "scripted", "--workers", 1, "--every", 0)
    ended = framefleet(*words)
    assert ended.status == 0, ended.said
    lines = records_in(bodies(s3_server, s3_bucket, "out/run-1/captions/"))
    assert sorted({line.video.uri for line in lines}) == [f"{s3_bucket}/{key}" for key in keys]
    assert {line.video.etag for line in lines} == {etag(s3_server, f"{s3_bucket}/{key}") for key in keys}
    assert len(lines) == len({line.frame_id for line in lines}) == audited(job).frames

    before = bodies(s3_server, s3_bucket)
    assert framefleet(*words).status == 0
    assert bodies(s3_server, s3_bucket) == before
    refused = framefleet("caption", f"{s3_bucket}/inner", "--out", job, "--engine", "scripted", "--workers", 1)
    assert refused.status == 1
    assert f"its source is {s3_bucket}/in/, not {s3_bucket}/inner" in refused.err
    assert framefleet("status", job, "--json").json["committed_videos"] == len(keys)


def test_objects_that_went_or_changed_since_they_were_listed_are_dead(s3_bucket: str, s3_server: S3Server, tmp_path: Path) -> None:
    upload(s3_server, s3_bucket, dict.fromkeys(("good.mp4", "changed.mp4", "denied.mp4"), make(Clip(frames=20))))
    s3_server.denied.add(f"{s3_bucket}/denied.mp4")
    stale = {"etag": '"00000000000000000000000000000000"', "size_bytes": 5000}
    rows = [{"uri": f"{s3_bucket}/{name}.mp4"} for name in ("good", "never-there", "denied")]
    rows += [{"uri": f"{s3_bucket}/{name}.mp4"} | stale for name in ("changed", "gone")]
    manifest = tmp_path / "videos.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = framefleet("caption", manifest, "--out", f"{s3_bucket}/out", "--engine", "scripted", "--workers", 1)
    assert ended.status == 3, ended.said
    assert dead(f"{s3_bucket}/out") == {
        ("changed.mp4", None): Reason.OBJECT_CHANGED,
        ("denied.mp4", None): Reason.ACCESS_DENIED,
        ("gone.mp4", None): Reason.OBJECT_GONE,
        ("never-there.mp4", None): Reason.OBJECT_GONE,
    }
    assert audited(f"{s3_bucket}/out").captioned_videos == 1

    s3_server.denied.clear()
    assert framefleet("dead", "redrive", f"{s3_bucket}/out", "--engine", "scripted", "--workers", 1).status == 3
    assert dead(f"{s3_bucket}/out").keys() == {("gone.mp4", None), ("never-there.mp4", None)}
    assert audited(f"{s3_bucket}/out").captioned_videos == 3


def test_a_denied_bucket_stops_the_fleet_and_buries_nobody(s3_bucket: str, s3_server: S3Server) -> None:
    upload(s3_server, s3_bucket, {f"in/{number}.mp4": make(Clip(frames=20)) for number in range(4)})
    s3_server.denied |= {f"{s3_bucket}/in/{number}.mp4" for number in range(4)}
    words = ("caption", f"{s3_bucket}/in", "--out", f"{s3_bucket}/out", "--engine", "scripted", "--workers", 1)
    ended = framefleet(*words)
    assert ended.status == 1
    assert "s3:GetObject" in ended.err
    assert letters(f"{s3_bucket}/out") == {}

    s3_server.denied.clear()
    assert framefleet(*words).status == 0
    assert audited(f"{s3_bucket}/out").captioned_videos == 4


def test_a_bucket_that_may_not_be_listed_or_is_not_there_is_named(s3_bucket: str, s3_server: S3Server) -> None:
    s3_server.denied.add(s3_bucket)
    ended = framefleet("caption", f"{s3_bucket}/in", "--out", f"{s3_bucket}/out")
    assert ended.status == 1
    assert "s3:ListBucket" in ended.err
    ended = framefleet("caption", f"{s3_bucket}-not/in", "--out", f"{s3_bucket}/out")
    assert ended.status == 1
    assert f"{s3_bucket}-not" in ended.err


def test_a_busy_and_forgetful_store_changes_nothing(s3_bucket: str, s3_server: S3Server) -> None:
    """503s while reading, and commits whose answers are lost, are nobody's failure."""
    upload(s3_server, s3_bucket, {"in/a.mp4": make(Clip(frames=20)), "in/b.mp4": make(Clip(frames=30))})
    s3_server.fail |= {f"{s3_bucket}/in/a.mp4": 2}
    s3_server.lose_answer |= {f"{s3_bucket}/out/job.json": 1, f"{s3_bucket}/out/plan/part-00000.jsonl.zst": 1}
    ended = framefleet("caption", f"{s3_bucket}/in", "--out", f"{s3_bucket}/out", "--engine", "scripted", "--workers", 1)
    assert ended.status == 0, ended.said
    assert audited(f"{s3_bucket}/out").captioned_videos == 2
