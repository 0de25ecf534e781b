"""An audit's result as a file to keep, and whether a job still is what such a file says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from fleet.audit import COUNTED, AuditReport
from schemas.errors import OperatorError
from schemas.job import PlanPartSeal
from schemas.model import SCHEMA_VERSION, Model
from storage.job import Job

ProofFile = Annotated[Path | None, typer.Option("--proof", help="Write a summary to this new file, to keep as proof.")]
CheckFile = Annotated[Path | None, typer.Option("--check", help="Say whether the job still is what this proof says.")]


class Proof(Model):
    """What an audit found of a job at a moment, in sums that anyone who reads the job can make again."""

    schema_version: Literal[1] = SCHEMA_VERSION
    job: str
    at: datetime
    framefleet: str
    """Version of the code that audited."""
    recipe_id: str
    """The recipe that the job was begun with."""
    later_recipe_ids: tuple[str, ...] = ()
    """Those that it went on to, in order."""
    complete: bool
    """Whether everything that was planned is accounted for."""
    clean: bool
    """Whether nothing is there that should not be."""
    plan: tuple[PlanPartSeal, ...]
    counts: dict[str, int]
    """An audit's figures, `objects` (committed objects, each read to its end) among them."""
    dead_by_reason: dict[str, int]
    objects_sha256: str
    """Over key and SHA-256 of each committed object, in the order of their keys: lines of `key sha256`."""
    letters_sha256: str
    """The same of the dead letters."""


def proof_of(job: Job, report: AuditReport) -> Proof:
    """Sum up an audit of a job."""
    first, *later = job.recipe_ids()
    return Proof(
        job=job.url,
        at=datetime.now(UTC),
        framefleet=version("framefleet"),
        recipe_id=first,
        later_recipe_ids=tuple(later),
        complete=report.complete,
        clean=report.clean,
        plan=job.ledger().seals(),
        counts={name: getattr(report, name) for name in ("shards", "videos", *COUNTED)},
        dead_by_reason=report.dead_by_reason,
        objects_sha256=report.objects_sha256,
        letters_sha256=report.letters_sha256,
    )


def differences(then: Proof, now: Proof) -> Iterator[str]:
    """Say in which ways a job is not what a proof says. Who looked, when and where does not count, so that a copy can be checked."""
    for name in ("recipe_id", "later_recipe_ids", "complete", "clean"):
        if getattr(then, name) != getattr(now, name):
            yield f"{name} was {getattr(then, name)} and is {getattr(now, name)}"
    old, new = ({part.key: part.sha256 for part in proof.plan} for proof in (then, now))
    yield from (f"{key} of the plan is not what it was" for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key))
    for name, was in then.counts.items():
        if now.counts.get(name) != was:
            yield f"{name} was {was} and is {now.counts.get(name)}"
    if then.objects_sha256 != now.objects_sha256:
        yield "the committed objects are not those that were read"
    if then.letters_sha256 != now.letters_sha256:
        yield "the dead letters are not those that were read"


@dataclass(slots=True)
class Papers:
    """The proof to write and the proof to check, looked at before a long audit begins."""

    proof: Path | None
    check: Path | None
    _then: Proof | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Read the one and see that the other is not there.

        Raises:
            OperatorError: it is there, or what is to be checked is no proof.
        """
        if self.proof is not None and self.proof.exists():
            raise OperatorError(f"{self.proof} is there already, and a proof is never written over: name another file for --proof.")
        self._then = None if self.check is None else read_proof(self.check)

    def settle(self, now: Proof, *, say: Callable[[str], None]) -> bool:
        """Write what is to be kept; False if the job is not what the other says.

        Raises:
            OperatorError: the file cannot be written.
        """
        if self.proof is not None:
            write_proof(self.proof, now)
            say(f"The proof is in {self.proof}; check it with: framefleet audit {now.job} --check {self.proof}")
        found = [] if self._then is None else list(differences(self._then, now))
        if self._then is not None:
            verdict = "is not" if found else "still is"
            say(f"{now.job} {verdict} what {self.check} says of {self._then.job} at {self._then.at:%Y-%m-%d %H:%M} UTC.")
        for words in found:
            say(f"  {words}")
        return not found


def read_proof(path: Path) -> Proof:
    """Read a proof.

    Raises:
        OperatorError: there is none.
    """
    try:
        return Proof.model_validate_json(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}): name a file that `framefleet audit --proof` wrote.") from error
    except ValidationError as error:
        raise OperatorError(f"{path} is no proof of this version of framefleet: {error.errors()[0]['msg']}.") from error


def write_proof(path: Path, proof: Proof) -> None:
    """Write a proof into a new file.

    Raises:
        OperatorError: it is there already, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(proof.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}): name another file for --proof.") from error
