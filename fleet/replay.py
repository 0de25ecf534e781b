"""A dead letter's video once more, in this very process: an operator sees what a worker saw, and nothing is written into the job."""

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from fleet import options as o
from fleet.deadletters import as_it_is_now
from schemas.annotation import FrameAnnotation
from schemas.errors import OperatorError
from schemas.job import JobSpec
from schemas.model import Model
from schemas.record import Attempt, DeadLetter, FrameRecord
from schemas.task import Changes, ShardTask
from schemas.video import UNKNOWN_ETAG, VideoRef
from storage import shared_store, split_uri
from storage.job import Job
from storage.memory import MemoryStore
from workers.pipeline import ShardRun
from workers.room import Room
from workers.settings import read_settings

KEPT_AT_ONCE = 16 * 1024 * 1024


class Replayed(Model):
    """What became of the frames."""

    records: tuple[FrameRecord, ...]
    letters: tuple[DeadLetter, ...]


def task_of(letter: DeadLetter, changes: Changes) -> ShardTask:
    """A shard of what the letter speaks of, as it lies in storage now: one frame, or all of a video."""
    video = as_it_is_now(letter.video)
    same = video.etag == letter.video.etag
    return ShardTask(
        job=letter.job,
        shard_id=letter.shard_id,
        recipe_id=letter.recipe_id,
        videos=(video,),
        only_frames=(letter.frame_index,) if same and letter.frame_index is not None else None,
        changes=changes,
    )


def replay(task: ShardTask, spec: JobSpec, room: Room) -> Replayed:
    """Work the shard as a worker would, for a job in memory that is forgotten.

    Raises:
        TransientError: storage or the engine is busy.
        FatalError: the engine cannot answer.
    """
    forgotten = Job(MemoryStore(uuid.uuid4().hex))
    here = Attempt(number=1, worker=f"{socket.gethostname()}:{os.getpid()}", at=datetime.now(UTC))
    ShardRun(task, forgotten, spec, room, here, lambda _: None).run()
    return Replayed(
        records=tuple(sorted(forgotten.records(task.shard_id), key=lambda record: record.frame_index)),
        letters=tuple(sorted((letter for _, letter in forgotten.letters(task.shard_id)), key=lambda letter: letter.frame_index or 0)),
    )


@contextmanager
def opened_room(spec: JobSpec, env: dict[str, str]) -> Iterator[Room]:
    """What a worker of this process holds: a decoder, and the engine that was asked for.

    Raises:
        FatalError: the engine cannot answer.
    """
    with TemporaryDirectory(prefix="framefleet-replay-") as folder:
        recipe = Path(folder, "recipe.json")
        recipe.write_text(spec.recipe.model_dump_json(), encoding="utf-8")
        o.use_worker(env | {"FRAMEFLEET_RECIPE": str(recipe)}, None)
        with closing(Room(read_settings())) as room:
            yield room


def keep(video: VideoRef, path: Path) -> None:
    """Copy a video's object to a file, byte for byte, for who is to look into it.

    Raises:
        OperatorError: the file is there already or cannot be written, or the object cannot be looked at.
    """
    if video.etag == UNKNOWN_ETAG:
        raise OperatorError(f"{video.uri} cannot be looked at, so there is nothing to keep.")
    try:
        file = path.open("xb")
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}): name another file for --keep-file.") from error
    try:
        with file:
            for body in _pieces(video):
                file.write(body)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _pieces(video: VideoRef) -> Iterator[bytes]:
    url, key = split_uri(video.uri)
    for start in range(0, video.size_bytes, KEPT_AT_ONCE):
        end = min(start + KEPT_AT_ONCE, video.size_bytes)
        yield shared_store(url).get_range(key, start=start, end=end, etag=video.etag)


def record_in_words(record: FrameRecord) -> list[str]:
    """A captioned frame as an operator reads it."""
    annotation = record.annotation
    fields = annotation.model_dump() if isinstance(annotation, FrameAnnotation) else annotation
    head = f"frame {record.frame_index} of {record.frames_chosen}, at {record.pts_seconds:.2f} s: answered"
    return [head, *(f"  {name}: {', '.join(value) if isinstance(value, tuple) else value}" for name, value in fields.items())]


def letter_in_words(letter: DeadLetter) -> list[str]:
    """A failure as an operator reads it: what died, of what, and what was said last."""
    what = "the video" if letter.frame_index is None else f"frame {letter.frame_index} of {letter.frames_chosen}"
    codec = f", {letter.codec}" if letter.codec else ""
    signals = [f"  signal: {attempt.signal}" for attempt in letter.attempts if attempt.signal]
    said = [f"  FFmpeg said: {line}" for line in letter.ffmpeg_log_tail.splitlines()]
    answered = [f"  the engine said: {line}" for line in letter.raw_answer.splitlines()]
    return [f"{what}: dead, {letter.reason.value} ({letter.stage.value}{codec})", f"  {letter.message}", *signals, *said, *answered]
