"""What a new user is told who mistypes something: one sentence with the way out, never a traceback."""

from pathlib import Path

import pytest
from fleet_runs import framefleet
from s3_server import S3Server

NO_BROKER = ("--broker", "redis://127.0.0.1:1/0")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"a film")
    return folder


def told(*words: object) -> str:
    """What a command that fails says."""
    ended = framefleet(*words)
    assert ended.status == 1, ended.said
    assert ended.err.startswith("framefleet: ")
    assert ended.err.count("\n") == 1, ended.err
    return ended.err


def test_an_address_with_one_slash_is_no_folder(source: Path) -> None:
    said = told("caption", source, "--out", "s3:/bucket/run")
    assert "'s3:/bucket/run' has one slash behind its colon: write s3://bucket/prefix with two" in said
    assert not Path("s3:").exists()


def test_an_output_that_is_a_file_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    said = told("launch", source, "--out", tmp_path / "out", *NO_BROKER)
    assert f"{tmp_path}/out is a file where a folder must be" in said


def test_a_source_that_is_some_file_is_told_what_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "videos").write_bytes(b"a.mp4\n")
    said = told("plan", tmp_path / "videos", "--price", 2)
    assert "is no folder, and by its name neither a video nor a manifest: those end in .txt" in said


def test_a_folder_of_something_else_is_no_job(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"a": 1}')
    said = told("status", tmp_path)
    assert "written by another version of framefleet, or by something else (sources: Field required): use the version that wrote it" in said


@pytest.mark.usefixtures("s3_server")
def test_a_bucket_that_is_not_there_is_named(source: Path, s3_bucket: str) -> None:
    assert told("launch", source, "--out", f"{s3_bucket}-not/run", *NO_BROKER) == (
        f"framefleet: The bucket of {s3_bucket}-not/run is not there: create it, or name another output.\n"
    )


def test_a_job_that_may_not_be_read_says_what_to_grant(source: Path, s3_server: S3Server, s3_bucket: str) -> None:
    s3_server.denied.add(f"{s3_bucket}/run/job.json")
    for words in (("status", f"{s3_bucket}/run"), ("launch", source, "--out", f"{s3_bucket}/run", *NO_BROKER)):
        assert f"{s3_bucket}/run may not be used with these credentials: grant s3:GetObject, s3:PutObject" in told(*words)
