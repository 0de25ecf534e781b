"""The commands about dead letters: what could not be captioned, why, and trying it again."""

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from broker.app import make_app
from broker.queues import ShardQueue
from fleet import options as o
from fleet.deadletters import Choice, ask, counted, fields_in, find_letter, live_letters, redrives
from fleet.local import redriving
from fleet.pace import paced
from fleet.reconcile import Counted
from fleet.replay import Replayed, keep, letter_in_words, opened_room, record_in_words, replay, task_of
from fleet.report import print_letter, print_letters, print_rows, say
from fleet.running import EXIT_INTERRUPTED, EXIT_SOME_DEAD, err, out, run
from fleet.stop import Stop, listening
from producer.enqueue import Manner, send
from schemas.errors import OperatorError
from schemas.reasons import Reason, Stage
from schemas.task import Changes, ShardTask
from storage.control import refuse_halted
from storage.job import Job
from workers.settings import EngineName

dead = typer.Typer(no_args_is_help=True, help="What could not be captioned, why, and trying it again.")

Reasons = Annotated[list[Reason] | None, typer.Option("--reason", help="Only letters with this reason; may be repeated.")]
Stages = Annotated[list[Stage] | None, typer.Option("--stage", help="Only letters of this stage; may be repeated.")]
Codecs = Annotated[
    list[str] | None, typer.Option("--codec", help="Only letters of videos in this codec, by FFmpeg's name, or `unknown`; may be repeated.")
]
Video = Annotated[str, typer.Option("--video", help="Only letters of videos whose URI matches this glob.")]
AtMost = Annotated[int, typer.Option("--limit", help="At most so many; 0 is no limit.", min=0)]
By = Annotated[str, typer.Option("--by", help="Count letters by these fields, as in reason,stage,codec (or scope).")]
Letter = Annotated[str, typer.Argument(help="A letter's key, or a part of it or of its video's URI.")]
Here = Annotated[bool, typer.Option("--local", help="Decode and caption in this very process. There is no other way; say so to agree.")]
KeepFile = Annotated[Path | None, typer.Option("--keep-file", help="First write the video's object to this new file, for a bug report.")]
AnyEngine = Annotated[
    EngineName | None, typer.Option("--engine", help="What captions the frames on this machine.", envvar="FRAMEFLEET_ENGINE")
]
DecodeDeadline = Annotated[
    float | None, typer.Option("--decode-deadline", help="Seconds that decoding a video may take, in place of the worker's.", min=0.001)
]
FrameDeadline = Annotated[
    float | None, typer.Option("--frame-deadline", help="Seconds that a frame may be with the engine, in place of the worker's.", min=0.001)
]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", help="Tokens that an answer may have, in place of the recipe's.", min=1)]
Rate = Annotated[float, typer.Option("--rate", help="Videos a second at most; 0 is no limit.", min=0)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be tried.")]
MaybeBroker = Annotated[str | None, typer.Option("--broker", help="Send to this fleet; on this machine if left out.")]


@dead.command("list")
def list_letters(  # noqa: PLR0913 - a command's options are its interface
    *,
    job: o.JobUrl,
    by: By = "",
    reason: Reasons = None,
    stage: Stages = None,
    codec: Codecs = None,
    video: Video = "",
    limit: AtMost = 0,
    as_json: o.AsJson = False,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """List the dead letters that stand, or count them by some of their fields."""
    fields = fields_in(by) if by else ()
    choice = chosen(reason, stage, codec, video, limit=0 if fields else limit)
    letters = live_letters(o.opened(job, endpoint_url, profile), choice)
    if fields:
        print_groups(fields, counted(letters, fields)[: limit or None], as_json=as_json)
    elif as_json:
        print_json([{"key": key, **letter.model_dump(mode="json")} for key, letter in letters])
    else:
        print_letters(out, letters)


def print_groups(fields: tuple[str, ...], groups: list[tuple[tuple[str, ...], int]], *, as_json: bool) -> None:
    """Print how many letters there are of each kind."""
    if as_json:
        print_json([dict(zip(fields, values, strict=True)) | {"letters": number} for values, number in groups])
    else:
        print_rows(out, (*fields, "letters"), ((*values, number) for values, number in groups))


@dead.command("show")
def show(*, job: o.JobUrl, letter: Letter, as_json: o.AsJson = False, endpoint_url: o.Endpoint = None, profile: o.Profile = None) -> None:
    """Show one dead letter."""
    key, found = find_letter(o.opened(job, endpoint_url, profile), letter)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_letter(out, key, found)


@dead.command("replay")
def replay_letter(  # noqa: PLR0913 - a command's options are its interface
    *,
    job: o.JobUrl,
    letter: Letter,
    local: Here = False,
    keep_file: KeepFile = None,
    engine: AnyEngine = None,
    openai_url: o.OpenAiUrl = None,
    openai_model: o.OpenAiModel = None,
    decode_deadline: DecodeDeadline = None,
    frame_deadline: FrameDeadline = None,
    max_tokens: MaxTokens = None,
    as_json: o.AsJson = False,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Decode and caption a letter's video (or frame) in this process and say what becomes of it. Nothing is written into the job.

    Exit status: 0 every frame was answered, 3 some are dead, 1 it could not be tried.
    """
    if not local:
        raise OperatorError(
            "A replay opens the video in this very process: add --local. To have a fleet try again: framefleet dead redrive."
        )
    place = o.opened(job, endpoint_url, profile)
    _, found = find_letter(place, letter)
    spec = place.spec_for(found.recipe_id)
    task = task_of(found, Changes(decode_deadline_seconds=decode_deadline, frame_deadline_seconds=frame_deadline, max_tokens=max_tokens))
    if task.videos[0].etag != found.video.etag:
        say(err, "The object has changed since the letter was written; this is about what lies there now.")
    if keep_file is not None:
        keep(task.videos[0], keep_file)
    env = o.engine_env(engine or o.engine_for(spec.recipe), openai_url=openai_url, openai_model=openai_model)
    with opened_room(spec, env) as room:
        replayed = replay(task, spec, room)
    print_json(replayed.model_dump(mode="json")) if as_json else print_replayed(replayed)
    raise typer.Exit(EXIT_SOME_DEAD if replayed.letters else 0)


def print_replayed(replayed: Replayed) -> None:
    """Say what became of each frame."""
    for words in chain(*map(record_in_words, replayed.records), *map(letter_in_words, replayed.letters)):
        say(out, words)
    say(err, f"{len(replayed.records)} frames answered, {len(replayed.letters)} dead letters; nothing was written into the job.")


@dead.command("redrive")
def redrive(  # noqa: PLR0913 - a command's options are its interface
    *,
    job: o.JobUrl,
    reason: Reasons = None,
    stage: Stages = None,
    codec: Codecs = None,
    video: Video = "",
    limit: AtMost = 0,
    rate: Rate = 0.0,
    dry_run: DryRun = False,
    decode_deadline: DecodeDeadline = None,
    frame_deadline: FrameDeadline = None,
    max_tokens: MaxTokens = None,
    broker: MaybeBroker = None,
    engine: AnyEngine = None,
    workers: o.Workers = None,
    openai_url: o.OpenAiUrl = None,
    openai_model: o.OpenAiModel = None,
    endpoint_url: o.Endpoint = None,
    profile: o.Profile = None,
) -> None:
    """Try dead letters again. A redrive that succeeds supersedes its letter; one that fails leaves a letter that names the earlier ones."""
    place = o.opened(job, endpoint_url, profile)
    changes = Changes(decode_deadline_seconds=decode_deadline, frame_deadline_seconds=frame_deadline, max_tokens=max_tokens)
    tasks = redrives(place, chosen(reason, stage, codec, video, limit=limit), changes)
    first = None if dry_run else next(tasks, None)
    if first is None:
        say(err, f"{named(tasks)} videos to try.")
        return
    refuse_halted(place)
    asked = asked_for(place, paced(chain([first], tasks), per_second=rate))
    if broker:
        send_to(broker, place, asked)
        return
    name = engine or o.engine_for(place.latest_spec().recipe)
    env = o.engine_env(name, openai_url=openai_url, openai_model=openai_model)
    recorded = next(asked)  # before a run asks whether there is anything to do
    run(place, redriving(place, chain([recorded], asked)), workers=o.workers_for(name, workers), env=env)


def named(tasks: Iterable[ShardTask]) -> int:
    """Say what would be tried, and count it."""
    number = 0
    for number, task in enumerate(tasks, start=1):  # noqa: B007 - the last one is how many there were
        say(out, f"would try {task.videos[0].uri} as {task.shard_id}")
    return number


def send_to(broker: str, job: Job, tasks: Iterable[ShardTask]) -> None:
    """Send redrives to a fleet until the operator stops it; what was not sent then was not put on record either."""
    stop, passed = Stop(), Counted(tasks)
    with listening(stop):
        sent = send(passed, job=job, queue=ShardQueue(make_app(broker)), stopped=stop, manner=Manner(batch=1))
    if stop():
        say(err, f"Stopped: {sent} videos sent. The others were not touched: run the same command again for them.")
        raise typer.Exit(EXIT_INTERRUPTED)
    under_way = passed.count - sent
    say(err, f"{sent} videos sent" + (f", {under_way} were under way." if under_way else "."))


def asked_for(job: Job, tasks: Iterable[ShardTask]) -> Iterator[ShardTask]:
    """Put each redrive on record as its turn comes: what is on record would be taken up by any reconciler, at its own pace."""
    for task in tasks:
        standing = ask(job, task)
        if standing != task:
            say(err, f"{task.videos[0].uri} is under way as {task.shard_id}, as an earlier redrive asked for it; it is left at that.")
        yield standing


def chosen(reason: list[Reason] | None, stage: list[Stage] | None, codec: list[str] | None, video: str, *, limit: int) -> Choice:
    """Which letters the options mean."""
    return Choice(reasons=tuple(reason or ()), stages=tuple(stage or ()), codecs=tuple(codec or ()), video=video, limit=limit)


def print_json(value: object) -> None:
    """Print JSON, for scripts."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
