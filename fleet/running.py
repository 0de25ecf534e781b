"""Working a job on this machine, from a command to its exit status."""

import typer
from rich.console import Console

from fleet.local import Feeding, Interrupted, run_here
from fleet.report import print_audit
from fleet.view import View
from storage.job import Job

EXIT_FAILED, EXIT_SOME_DEAD, EXIT_INTERRUPTED = 1, 3, 130

out, err = (Console(markup=False, emoji=False, highlight=False, stderr=stderr) for stderr in (False, True))


def run(job: Job, feeding: Feeding, *, workers: int, env: dict[str, str]) -> None:
    """Work a job to its end on this machine and say how it ended."""
    with View(err) as view:
        try:
            report = run_here(job, feeding, workers=workers, env=env, view=view)
        except Interrupted:
            view.say("Stopped. Nothing is lost: run the same command again to go on from here.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
    print_audit(out, report)
    if not (report.complete and report.clean):
        raise typer.Exit(EXIT_FAILED)
    raise typer.Exit(EXIT_SOME_DEAD if report.dead_videos or report.dead_frames else 0)
