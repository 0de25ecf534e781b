"""Dead letters tried again."""

import shutil
from pathlib import Path

import pytest
import redis
from clips import FASTSTART, Clip, bad_files, make
from fleet_runs import (
    Ended,
    audited,
    command,
    dead,
    everything,
    expected,
    framefleet,
    letters,
    records,
    redis_server,
    running,
    shown,
    slow,
    wait_until,
    write_clips,
)
from typed_commands import typed

from broker.app import make_app
from broker.queues import ShardQueue
from schemas.reasons import Reason

HALF = "truncated_index_in_front.mp4"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source, `in`, and a job, `out`, in which a text is dead, and some frames of a video."""
    folder = tmp_path_factory.mktemp("redrives")
    (folder / "in").mkdir()
    for name in ("text.mp4", HALF):
        (folder / "in" / name).write_bytes(bad_files()[name]())
    words = ("caption", folder / "in", "--out", folder / "out", "--engine", "scripted", "--every", 0, "--workers", 1)
    assert framefleet(*words).status == 3
    return folder


def redrive(folder: Path, *options: object) -> Ended:
    return framefleet("dead", "redrive", folder / "out", "--engine", "scripted", "--workers", 1, *options)


def test_a_dry_run_says_what_would_be_tried_and_does_nothing(failed: Path) -> None:
    before = everything(failed / "out")
    ended = redrive(failed, "--dry-run", "--reason", "not_a_video", "--reason", "truncated")
    assert (ended.status, ended.err) == (0, "2 videos to try.\n")
    assert ended.out.count("would try") == 2
    assert redrive(failed, "--dry-run", "--limit", 1).out.count("would try") == 1
    assert HALF in redrive(failed, "--dry-run", "--video", f"*/{HALF}").out
    assert everything(failed / "out") == before


def test_a_life_of_redrives(failed: Path) -> None:
    """One that fails again leaves a letter that names the one before; once the files are repaired, both are captioned."""
    job, source = failed / "out", failed / "in"
    first = letters(job)
    assert redrive(failed, "--reason", "not_a_video").status == 3
    later = {key: letter for key, letter in letters(job).items() if key not in first}
    assert [letter.reason for letter in later.values()] == [Reason.NOT_A_VIDEO]
    assert [letter.earlier for letter in later.values()] == [tuple(key for key, old in first.items() if old.reason is Reason.NOT_A_VIDEO)]
    assert audited(job).superseded_letters == 1
    [once] = later
    assert redrive(failed, "--reason", "not_a_video", "--decode-deadline", 30).status == 3
    [(twice, letter)] = [(key, letter) for key, letter in letters(job).items() if key not in first]
    assert letter.earlier == (*later[once].earlier, once)
    assert twice.count(".") == once.count(".") + 1
    assert audited(job).superseded_letters == 2

    for name in ("text.mp4", HALF):
        (source / name).write_bytes(make(Clip(options=FASTSTART)))
    assert redrive(failed, "--limit", 1).status == 3
    assert len({name for name, _ in dead(job)}) == 1
    ended = redrive(failed)
    assert ended.status == 0, ended.said
    assert dead(job) == {}
    assert framefleet("dead", "list", job).out == ""
    report = audited(job)
    assert report.captioned_videos == 2
    assert report.superseded_letters == 3 + len(first) - 1
    etags = {name: f"{(source / name).stat().st_mtime_ns:x}" for name in ("text.mp4", HALF)}
    fresh = [record for record in records(job) if record.video.etag.startswith(etags[record.video.uri.rpartition("/")[2]])]
    paths = [source / name for name in etags]
    assert shown(fresh) == expected(paths, root=f"file://{source}", folder=source, min_gap_seconds=0.0)

    ended = redrive(failed)
    assert (ended.status, ended.err) == (0, "0 videos to try.\n")


def test_a_repaired_file_with_fewer_frames_leaves_no_letter_and_is_captioned_once(tmp_path: Path) -> None:
    source, job = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / HALF).write_bytes(bad_files()[HALF]())
    assert framefleet("caption", source, "--out", job, "--engine", "scripted", "--every", 0, "--workers", 1).status == 3
    (source / HALF).write_bytes(make(Clip(frames=10)))
    assert redrive(tmp_path).status == 0
    assert dead(job) == {}
    assert redrive(tmp_path).err == "0 videos to try.\n"
    audited(job)


def test_a_redrive_cut_off_before_its_letters_neither_doubles_nor_loses_a_frame(tmp_path: Path) -> None:
    source, job = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / HALF).write_bytes(bad_files()[HALF]())
    words = ("caption", source, "--out", job, "--engine", "scripted", "--every", 0, "--workers", 1)
    assert framefleet(*words).status == 3
    shutil.copyfile(source / HALF, source / "copy")
    (source / "copy").rename(source / HALF)
    before = letters(job)
    assert redrive(tmp_path).status == 3
    lost = letters(job).keys() - before.keys()
    assert lost
    for key in lost:
        (job / key).unlink()
    assert framefleet(*words).status == 3
    report = audited(job)
    assert report.dead_frames == len(before)
    again = redrive(tmp_path)
    assert again.status == 3
    audited(job)


def test_a_redrive_asked_again_while_the_first_is_under_way_does_no_harm(tmp_path: Path) -> None:
    """The broker forgets the first in between, so that both are truly worked at the same time, and under one name."""
    source, job = write_clips(tmp_path / "in", 1), tmp_path / "out"
    good = (source / "clip-0.mp4").read_bytes()
    (source / "clip-0.mp4").write_bytes(bad_files()["text.mp4"]())
    assert framefleet("caption", source, "--out", job, "--engine", "scripted", "--workers", 1).status == 3
    (source / "clip-0.mp4").write_bytes(good)
    with redis_server(tmp_path) as broker:
        again = ["dead", "redrive", str(job), "--broker", broker, "--rate", "5"]
        worker = command("worker", "--engine", "scripted", "--broker", broker)
        with running(worker, tmp_path / "one", slow(seconds=1.5)) as one, running(worker, tmp_path / "two", slow(seconds=1.5)) as two:
            assert "1 videos sent." in typed(*again)
            wait_until(lambda: one.family() and two.family() and shards_at(broker).depth() == 0)
            assert "0 videos sent, 1 were under way." in typed(*again)
            with redis.Redis.from_url(broker) as client:
                client.flushall()
            assert "is under way as" in typed(*again, "--max-tokens", "900")
            wait_until(lambda: dead(job) == {} and not shards_at(broker).in_flight())
    report = audited(job)
    assert (report.frames, report.superseded_letters, report.duplicates) == (8, 1, 0)


def shards_at(broker: str) -> ShardQueue:
    return ShardQueue(make_app(broker))
