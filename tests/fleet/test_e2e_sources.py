"""What a run can be given to caption: folders, manifests of all kinds, and choices among them."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import Clip, make
from fleet_runs import Ended, audited, framefleet, objects, records

SMALL, LARGE = Clip(frames=2), Clip(frames=80)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    (folder / "sub").mkdir()
    for name, clip in {"a.mp4": SMALL, "b.mp4": LARGE, "c.mkv": Clip(container="matroska", frames=2), "sub/d.mp4": SMALL}.items():
        (folder / name).write_bytes(make(clip))
    (folder / "video").write_bytes(make(SMALL))
    return folder


def caption(source: object, job: Path, *options: object, stdin: str = "") -> Ended:
    ended = framefleet("caption", source, "--out", job, "--engine", "scripted", "--workers", 1, *options, stdin=stdin)
    assert ended.status == 0, ended.said
    audited(job)
    return ended


def names(job: Path) -> list[str]:
    return sorted({record.video.uri.rpartition("/")[2] for record in records(job)})


def write_manifest(path: Path, uris: list[str]) -> None:
    match path.suffix:
        case ".txt":
            path.write_text("# a comment\n\n" + "\n".join(uris))
        case ".jsonl":
            path.write_text("".join(json.dumps({"uri": uri, "owner": "somebody"}) + "\n" for uri in uris))
        case ".parquet":
            pq.write_table(pa.table({"uri": uris, "n": [1] * len(uris)}), path)


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".parquet"])
def test_a_manifest_is_planned_without_its_repetitions(suffix: str, clips: Path, tmp_path: Path) -> None:
    manifest = tmp_path / f"videos{suffix}"
    write_manifest(manifest, [str(clips / "a.mp4"), f"file://{clips}/video", f"file://{clips}/a.mp4", f"{clips}/sub/../a.mp4"])
    caption(manifest, tmp_path / "job")
    assert names(tmp_path / "job") == ["a.mp4", "video"]
    found = framefleet("status", tmp_path / "job", "--json").json
    assert (found["videos"], found["skipped"]) == (2, {"repeated": 2})


def test_a_manifest_can_come_through_a_pipe(clips: Path, tmp_path: Path) -> None:
    caption("-", tmp_path / "job", stdin=f"{clips}/a.mp4\n{clips}/c.mkv\n")
    assert names(tmp_path / "job") == ["a.mp4", "c.mkv"]
    empty = framefleet("caption", "-", "--out", tmp_path / "empty", "--engine", "scripted", stdin="")
    assert empty.status == 1
    assert "The manifest on standard input is empty" in empty.err


def test_a_selection_leaves_out_what_is_not_wanted(clips: Path, tmp_path: Path) -> None:
    caption(clips, tmp_path / "job", "--include", "*.mp4", "--include", "video", "--exclude", "sub/*", "--all-files", "--limit", 2)
    assert names(tmp_path / "job") == ["a.mp4", "b.mp4"]


def test_sizes_packing_and_compression_are_as_asked(clips: Path, tmp_path: Path) -> None:
    size = (clips / "b.mp4").stat().st_size
    caption(clips, tmp_path / "large", "--min-size", size, "--compression", "gz", "--all-files")
    assert names(tmp_path / "large") == ["b.mp4"]
    assert [name[-9:] for name in objects(tmp_path / "large")] == [".jsonl.gz"]

    caption(clips, tmp_path / "small", "--max-size", size - 1, "--videos-per-shard", 2, "--compression", "zst", "--all-files")
    assert names(tmp_path / "small") == ["a.mp4", "c.mkv", "d.mp4", "video"]
    assert [name[-10:] for name in objects(tmp_path / "small")] == [".jsonl.zst"] * 2


def test_a_single_video_is_a_source(clips: Path, tmp_path: Path) -> None:
    caption(clips / "c.mkv", tmp_path / "job")
    assert names(tmp_path / "job") == ["c.mkv"]


BROKEN = {
    "not-json.jsonl": b'{"uri": \n',
    "no.parquet": b"PAR1 is what it only begins with",
    "unknown.txt": b"ftp://somewhere/video.mp4\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_manifest_is_named_and_claims_no_output(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    ended = framefleet("caption", tmp_path / name, "--out", tmp_path / "job")
    assert ended.status == 1
    assert name in ended.err or "ftp://" in ended.err
    assert len(ended.err.splitlines()) <= 6
    assert not (tmp_path / "job").exists()


def test_what_is_planned_and_open_is_worked_also_where_its_source_is_gone(clips: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    caption("-", job, stdin=f"{clips}/a.mp4\n{clips}/c.mkv\n")
    next((job / "captions").rglob("*.jsonl")).unlink()
    ended = caption("-", job)
    assert "only what is planned is worked: The manifest on standard input is empty." in ended.err
    assert names(job) == ["a.mp4", "c.mkv"]
    done = framefleet("caption", "-", "--out", job, "--engine", "scripted", stdin="")
    assert (done.status, done.err) == (1, "framefleet: The manifest on standard input is empty.\n")
