"""Climbs the repair ladder: from one keyframe to an annotation that fits the recipe, or to the reason why there is none.

    constrained ──cut──▶ longer ──▶ free          an answer cut at the token limit is asked for again with a larger one
        │                  │
        └──unfit, looped───┴──▶ reseeded ──▶ free an answer that does not fit, went in circles or broke off: another seed, warmer
           broken                                 free: without the engine's constraint; the first JSON object in the text counts

One deadline holds for the whole climb. An answer that is cut, incomplete or too long is never trimmed until it fits.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from schemas.recipe import Recipe
from schemas.record import Usage
from workers.engines import Answer, Ask, Engine
from workers.keyframe import Picture
from workers.validation import Annotation, UnfitError, annotation_in, first_object

LARGEST_MAX_TOKENS = 8192
HOTTEST = 2.0
RAW_ANSWER_CHARACTERS = 2000


class Flaw(StrEnum):
    """What was wrong with a rung's answer."""

    CUT = "cut"
    """It ended at the token limit."""
    LOOPED = "looped"
    """It went in circles, on white space or on words, until the engine ended it."""
    UNFIT = "unfit"
    """It is whole, and no annotation."""
    BROKEN = "broken"
    """The engine ended it for another reason: an abort, a grammar that would not compile."""
    REFUSED = "refused"
    """The engine, which took the first question, would not take this one."""


REASONS = {
    Flaw.CUT: Reason.ANSWER_TOO_LONG,
    Flaw.LOOPED: Reason.INVALID_ANSWER,
    Flaw.UNFIT: Reason.INVALID_ANSWER,
    Flaw.BROKEN: Reason.ENGINE_FAILED,
}


@dataclass(frozen=True, slots=True)
class Rung:
    """One way of asking."""

    name: str
    seed_step: int = 0
    warmer: float = 0.0
    constrained: bool = True


CONSTRAINED = Rung("constrained")
LONGER = Rung("longer")
RESEEDED = Rung("reseeded", seed_step=1, warmer=0.2)
FREE = Rung("free", seed_step=2, warmer=0.2, constrained=False)


@dataclass(frozen=True, slots=True)
class Caption:
    """An annotation that fits, and what it cost."""

    annotation: Annotation
    usage: Usage
    seconds: float
    validate_seconds: float = 0.0
    """Of these, how long answers were held against the schema."""


class _Slip(Exception):  # noqa: N818 - a step of the climb, not its end
    """A rung did not hold. `cause` is from a closed list, for counting; the text is for people."""

    def __init__(self, flaw: Flaw, says: str, *, cause: str = "") -> None:
        super().__init__(says)
        self.flaw = flaw
        self.cause = cause or flaw.value


async def annotate(
    engine: Engine, picture: Picture, recipe: Recipe, *, counts: Counter[tuple[str, str]], deadline_seconds: float
) -> Caption:
    """Caption one picture, and count each rung climbed by what came of it (`accepted`, or the cause of its failure).

    Causes are `cut`, `looped`, `refused`, `deadline`, `abort`, `error`, `broken`, and those of `UnfitError`.

    Raises:
        PermanentError: no rung held in time, or the engine refuses this frame or fails on it; it carries what was said last.
        TransientError: the engine is busy beyond patience.
        FatalError: the engine cannot answer at all.
    """
    return await _Climb(engine, picture, recipe, counts, deadline_seconds).up()


@dataclass(slots=True)
class _Climb:
    """One frame's way up."""

    engine: Engine
    picture: Picture
    recipe: Recipe
    counts: Counter[tuple[str, str]]
    deadline_seconds: float
    started: float = field(default_factory=time.perf_counter)
    ends_at: float = field(init=False)
    validate_seconds: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    slips: list[tuple[Rung, _Slip]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ends_at = asyncio.get_running_loop().time() + self.deadline_seconds

    async def up(self) -> Caption:
        rung: Rung | None = CONSTRAINED
        while rung is not None:
            try:
                self.answers.append(await self._asked(rung))
                annotation = self._validated(rung)
            except _Slip as slip:
                self.counts[rung.name, slip.cause] += 1
                slip.__traceback__ = slip.__cause__ = slip.__context__ = None  # they lead back here, and to the picture
                self.slips.append((rung, slip))
                rung = _next_rung(rung, slip.flaw, self.recipe)
            else:
                self.counts[rung.name, "accepted"] += 1
                return Caption(annotation, _usage(self.answers, rung), time.perf_counter() - self.started, self.validate_seconds)
        raise self._verdict()

    def _validated(self, rung: Rung) -> Annotation:
        began = time.perf_counter()
        try:
            return _annotation_in(self.answers[-1], rung, self.recipe)
        finally:
            self.validate_seconds += time.perf_counter() - began

    async def _asked(self, rung: Rung) -> Answer:
        """Ask as this rung asks. A refusal of the first question is the frame's end; one of a later question is that rung's."""
        ask = _ask(rung, self.recipe, {slip.flaw for _, slip in self.slips})
        try:
            return await self._in_time(rung, ask)
        except PermanentError as error:
            if error.reason is Reason.ENGINE_REFUSED and self.slips:
                raise _Slip(Flaw.REFUSED, str(error)) from error
            error.raw_answer = error.raw_answer or self._said_last(ask)
            if error.reason is not Reason.ENGINE_TIMEOUT:
                self.counts[rung.name, "refused" if error.reason is Reason.ENGINE_REFUSED else "failed"] += 1
            raise

    async def _in_time(self, rung: Rung, ask: Ask) -> Answer:
        """Ask, and take the question back when the frame's time is up."""
        try:
            async with asyncio.timeout_at(self.ends_at) as limit:
                return await self.engine.answer(self.picture, ask)
        except TimeoutError as error:
            if not limit.expired():
                raise
            self.counts[rung.name, "deadline"] += 1
            late = f"{rung.name}: no answer within the {self.deadline_seconds:g} s that a frame has"
            raise PermanentError(Reason.ENGINE_TIMEOUT, Stage.CAPTION, "; ".join([*self._told(), late])) from error

    def _verdict(self) -> PermanentError:
        """The last flaw of an answer gives the reason; a refused rung gave no answer."""
        flaw = next(slip.flaw for _, slip in reversed(self.slips) if slip.flaw is not Flaw.REFUSED)
        stage = Stage.CAPTION if flaw is Flaw.BROKEN else Stage.VALIDATE
        return PermanentError(REASONS[flaw], stage, "; ".join(self._told()), raw_answer=_shown(self.answers[-1].text))

    def _told(self) -> list[str]:
        return [f"{rung.name}: {str(slip)[:300]}" for rung, slip in self.slips]

    def _said_last(self, ask: Ask) -> str:
        """What there is of an answer that did not come, else the answer before it."""
        return _shown("".join(ask.said) or (self.answers[-1].text if self.answers else ""))


def _next_rung(rung: Rung, flaw: Flaw, recipe: Recipe) -> Rung | None:
    match rung.name, flaw:
        case "constrained", Flaw.CUT if recipe.sampling.max_tokens < LARGEST_MAX_TOKENS:
            return LONGER
        case "constrained" | "longer", Flaw.UNFIT | Flaw.LOOPED | Flaw.BROKEN:
            return RESEEDED
        case "free", _:
            return None
        case _:
            return FREE


def _ask(rung: Rung, recipe: Recipe, flaws: set[Flaw]) -> Ask:
    """Once an answer was cut, all later ones get the larger limit, unless the engine refused that."""
    sampling = recipe.sampling
    larger = max(sampling.max_tokens, min(2 * sampling.max_tokens, LARGEST_MAX_TOKENS))
    return Ask(
        recipe=recipe,
        max_tokens=larger if Flaw.CUT in flaws and Flaw.REFUSED not in flaws else sampling.max_tokens,
        temperature=min(sampling.temperature + rung.warmer, HOTTEST),
        seed=sampling.seed + rung.seed_step,
        constrained=rung.constrained,
    )


def _annotation_in(answer: Answer, rung: Rung, recipe: Recipe) -> Annotation:
    match answer.finish_reason:
        case "stop":
            return _fitting(answer.text, rung, recipe)
        case "length":
            raise _Slip(Flaw.CUT, "cut at the token limit")
        case "repetition":
            raise _Slip(Flaw.LOOPED, "went in circles")
        case "abort" | "error" as ended:
            raise _Slip(Flaw.BROKEN, f"ended with {ended!r}", cause=ended)
        case other:
            raise _Slip(Flaw.BROKEN, f"ended with {other[:40]!r}")


def _fitting(text: str, rung: Rung, recipe: Recipe) -> Annotation:
    try:
        return annotation_in(text if rung.constrained else first_object(text), recipe)
    except UnfitError as unfit:
        raise _Slip(Flaw.UNFIT, str(unfit), cause=unfit.cause) from unfit


def _usage(answers: list[Answer], rung: Rung) -> Usage:
    return Usage(
        prompt_tokens=_sum(answer.prompt_tokens for answer in answers),
        image_tokens=_sum(answer.image_tokens for answer in answers),
        output_tokens=_sum(answer.output_tokens for answer in answers),
        finish_reason=answers[-1].finish_reason,
        rung=rung.name,
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _shown(text: str) -> str:
    """A text as a dead letter may carry it."""
    return text[:RAW_ANSWER_CHARACTERS].encode("utf-8", "replace").decode()
