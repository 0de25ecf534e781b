"""Climbs the repair ladder: from one keyframe to an annotation that fits the schema, or to the reason why there is none.

    constrained ──cut──▶ longer ──▶ free         an answer cut at the token limit is asked for again with a larger one
        └──────unfit────▶ reseeded ──▶ free      an answer that does not fit, or broke off, is asked for with another seed
                                                 free: without the engine's constraint; the first JSON object in the text counts

An answer that is cut, incomplete or too long is never trimmed until it fits.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.annotation import FIELDS, FrameAnnotation
from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from schemas.recipe import Recipe
from schemas.record import Usage
from workers.engines import Answer, Ask, Engine
from workers.keyframe import Picture

LARGEST_MAX_TOKENS = 8192
HOTTEST = 2.0
RAW_ANSWER_CHARACTERS = 2000
BRACES_TRIED = 64
"""Opening braces of a free answer at which an object is looked for; no sensible answer has more before its own."""


class Flaw(StrEnum):
    """What was wrong with a rung's answer."""

    CUT = "cut"
    """It ended at the token limit."""
    UNFIT = "unfit"
    """It is whole, and no annotation."""
    BROKEN = "broken"
    """The engine ended it for another reason: an abort, a grammar that would not compile."""
    REFUSED = "refused"
    """The engine, which took the first question, would not take this one."""


REASONS = {Flaw.CUT: Reason.ANSWER_TOO_LONG, Flaw.UNFIT: Reason.INVALID_ANSWER, Flaw.BROKEN: Reason.ENGINE_FAILED}


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

    annotation: FrameAnnotation
    usage: Usage
    seconds: float


class _Unfit(Exception):  # noqa: N818 - a step of the climb, not its end
    """A rung did not hold. `cause` is from a closed list, for counting; the text is for people."""

    def __init__(self, flaw: Flaw, says: str, *, cause: str = "") -> None:
        super().__init__(says)
        self.flaw = flaw
        self.cause = cause or flaw.value


class _DuplicateKeyError(ValueError):
    """Two values for one key: which one was meant is anybody's guess."""


async def annotate(engine: Engine, picture: Picture, recipe: Recipe, *, counts: Counter[tuple[str, str]]) -> Caption:
    """Caption one picture, and count each rung climbed by what came of it (`accepted`, or the cause of its failure).

    Raises:
        PermanentError: no rung held, or the engine refuses this frame or fails on it.
        TransientError: the engine is busy beyond patience.
        FatalError: the engine cannot answer at all.
    """
    started = time.perf_counter()
    answers: list[Answer] = []
    failures: list[tuple[Rung, _Unfit]] = []
    rung: Rung | None = CONSTRAINED
    while rung is not None:
        try:
            answers.append(await _asked(engine, picture, rung, recipe, failures))
            annotation = _annotation_in(answers[-1], rung)
        except _Unfit as unfit:
            counts[rung.name, unfit.cause] += 1
            failures.append((rung, unfit))
            rung = _next_rung(rung, unfit.flaw, recipe)
        else:
            counts[rung.name, "accepted"] += 1
            return Caption(annotation, _usage(answers, rung), time.perf_counter() - started)
    raise _verdict(failures, answers)


def _next_rung(rung: Rung, flaw: Flaw, recipe: Recipe) -> Rung | None:
    match rung.name, flaw:
        case "constrained", Flaw.CUT if recipe.sampling.max_tokens < LARGEST_MAX_TOKENS:
            return LONGER
        case "constrained" | "longer", Flaw.UNFIT | Flaw.BROKEN:
            return RESEEDED
        case "free", _:
            return None
        case _:
            return FREE


async def _asked(engine: Engine, picture: Picture, rung: Rung, recipe: Recipe, failures: list[tuple[Rung, _Unfit]]) -> Answer:
    """Ask as this rung asks. A refusal of the first question is the frame's end; one of a later question is that rung's."""
    try:
        return await engine.answer(picture, _ask(rung, recipe, {unfit.flaw for _, unfit in failures}))
    except PermanentError as error:
        if error.reason is not Reason.ENGINE_REFUSED or not failures:
            raise
        raise _Unfit(Flaw.REFUSED, str(error)) from error


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


def _annotation_in(answer: Answer, rung: Rung) -> FrameAnnotation:
    match answer.finish_reason:
        case "stop":
            return _validated(answer.text if rung.constrained else _first_object(answer.text))
        case "length":
            raise _Unfit(Flaw.CUT, "cut at the token limit")
        case other:
            raise _Unfit(Flaw.BROKEN, f"ended with {other[:40]!r}")


def _validated(text: str) -> FrameAnnotation:
    try:
        annotation = FrameAnnotation.model_validate_json(text, strict=True)
        json.loads(text, object_pairs_hook=_refuse_duplicates)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        raise _Unfit(Flaw.UNFIT, ", ".join(_told(wrong)), cause=_cause(wrong[0])) from error
    except _DuplicateKeyError as error:
        raise _Unfit(Flaw.UNFIT, str(error), cause="duplicate_key") from error
    return annotation


def _first_object(text: str) -> str:
    """Find the first JSON object in prose, in a fenced block or bare."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    for _ in range(BRACES_TRIED):
        if start < 0:
            break
        try:
            return text[start : decoder.raw_decode(text, start)[1]]
        except (json.JSONDecodeError, RecursionError):
            start = text.find("{", start + 1)
    raise _Unfit(Flaw.UNFIT, "no JSON object in it", cause="json")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    if twice:
        raise _DuplicateKeyError(f"{', '.join(twice)}: more than once")
    return dict(pairs)


def _told(wrong: Iterable[ErrorDetails]) -> list[str]:
    """Each failing field once, with what is wrong with it."""
    return list(dict.fromkeys(f"{_field(error) or 'answer'}: {error['type']}" for error in wrong))


def _cause(error: ErrorDetails) -> str:
    """A failing field's name, or a word for what no field has; a foreign key must not become a label of a metric."""
    if error["type"] == "json_invalid":
        return "json"
    field = _field(error)
    return field if field in FIELDS else "other_key" if field else "shape"


def _field(error: ErrorDetails) -> str:
    return str(error["loc"][0])[:40] if error["loc"] else ""


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


def _verdict(failures: list[tuple[Rung, _Unfit]], answers: list[Answer]) -> PermanentError:
    """The last flaw of an answer gives the reason; a refused rung gave no answer."""
    flaw = next(unfit.flaw for _, unfit in reversed(failures) if unfit.flaw is not Flaw.REFUSED)
    stage = Stage.CAPTION if flaw is Flaw.BROKEN else Stage.VALIDATE
    message = "; ".join(f"{rung.name}: {str(unfit)[:300]}" for rung, unfit in failures)
    raw = answers[-1].text[:RAW_ANSWER_CHARACTERS].encode("utf-8", "replace").decode()
    return PermanentError(REASONS[flaw], stage, message, raw_answer=raw)
