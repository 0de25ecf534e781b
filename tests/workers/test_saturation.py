import asyncio
from dataclasses import dataclass, field

import pytest
from builders import RECIPE

from schemas.errors import OperatorError, PermanentError
from schemas.reasons import Reason, Stage
from schemas.recipe import ImageSize
from workers.ceiling import Ceiling
from workers.engines import Answer, Ask
from workers.engines.scripted import ScriptedEngine
from workers.keyframe import Form, Picture
from workers.saturation import Load, Stopwatch, made_pictures, measure

SMALL = RECIPE.model_copy(update={"image": ImageSize(max_width=64, max_height=48)})
ANSWER = Answer(text="x", finish_reason="length", prompt_tokens=1000, image_tokens=256, output_tokens=25, cached_tokens=700)


@dataclass
class Kiln:
    """An engine that answers only when it is full, all at once, in rounds of its own time: one question too few would stop it for ever."""

    concurrency: int = 4
    round_seconds: tuple[float, ...] = (0.5,)
    """How long the first rounds take; the last holds for all that follow."""
    answer_with: Answer = ANSWER
    takes: Form = Form.RGB
    versions: dict[str, str] = field(default_factory=lambda: {"engine": "kiln", "kiln": "1.2"})
    seen: list[tuple[Picture, Ask]] = field(default_factory=list)
    now: float = 100.0
    rounds: int = 0
    _inside: list["asyncio.Future[None]"] = field(default_factory=list)

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        self.seen.append((picture, ask))
        done = asyncio.get_running_loop().create_future()
        self._inside.append(done)
        if len(self._inside) >= self.concurrency:
            self._burn()
        await done
        return self.answer_with

    def _burn(self) -> None:
        self.now += self.round_seconds[min(self.rounds, len(self.round_seconds) - 1)]
        self.rounds += 1
        batch, self._inside = self._inside[: self.concurrency], self._inside[self.concurrency :]
        for done in batch:
            done.set_result(None)

    def waiting(self) -> int | None:
        return None

    async def probe(self) -> None: ...

    async def close(self) -> None: ...


def measured(kiln: Kiln, **how) -> Ceiling:
    with_all = {"answer_tokens": 25, "machine": "a machine", "clock": lambda: kiln.now} | how
    return asyncio.run(asyncio.wait_for(measure(kiln, SMALL, **with_all), 20))


@pytest.mark.parametrize("concurrency", [1, 4, 7])
def test_the_ceiling_is_what_a_full_engine_answers(concurrency: int) -> None:
    ceiling = measured(Kiln(concurrency))
    assert ceiling.frames_per_second == pytest.approx(concurrency / 0.5)
    assert ceiling.frames >= 32
    assert ceiling.seconds == pytest.approx(ceiling.frames / concurrency * 0.5)


def test_the_warm_up_is_left_out() -> None:
    assert measured(Kiln(round_seconds=(60.0, 0.5))).frames_per_second == pytest.approx(8.0)


def test_whatever_comes_after_the_warm_up_counts() -> None:
    assert measured(Kiln(round_seconds=(0.5, 0.5, 0.5, 60.0, 0.5))).seconds == pytest.approx(60.0 + 7 * 0.5)


def test_as_many_frames_are_measured_as_asked_for() -> None:
    assert measured(Kiln(), frames=12).frames == 12


def test_time_ends_it_too() -> None:
    ceiling = measured(Kiln(), frames=1000, most_seconds=2.0)
    assert (ceiling.seconds, ceiling.frames_per_second) == (2.0, pytest.approx(8.0, rel=0.2))
    assert 13 <= ceiling.frames <= 16


def test_no_two_questions_are_about_the_same_picture_or_share_what_is_said() -> None:
    kiln = Kiln()
    measured(kiln)
    assert len({picture.body for picture, _ in kiln.seen}) == len(kiln.seen)
    assert len({id(ask.said) for _, ask in kiln.seen}) == len(kiln.seen)
    assert {(picture.width, picture.height, picture.form) for picture, _ in kiln.seen} == {(64, 48, Form.RGB)}


def test_answers_of_one_length_are_asked_for_and_no_grammar() -> None:
    kiln = Kiln()
    measured(kiln)
    assert {(ask.max_tokens, ask.exact_tokens, ask.constrained, ask.recipe.name) for _, ask in kiln.seen} == {(25, True, False, "test")}


def test_tokens_are_counted_where_the_engine_counts_them() -> None:
    ceiling = measured(Kiln())
    assert ceiling.prompt_tokens_per_second == pytest.approx(8000)
    assert ceiling.cached_tokens_per_second == pytest.approx(5600)
    assert ceiling.output_tokens_per_second == pytest.approx(200)
    silent = measured(Kiln(answer_with=Answer(text="x", finish_reason="stop")))
    assert (silent.prompt_tokens_per_second, silent.cached_tokens_per_second, silent.output_tokens_per_second) == (None, None, None)


def test_a_ceiling_says_of_what_it_is_one() -> None:
    ceiling = measured(Kiln())
    assert (ceiling.engine, ceiling.versions, ceiling.machine) == ("kiln", {"engine": "kiln", "kiln": "1.2"}, "a machine")
    assert (ceiling.model, ceiling.image, ceiling.recipe, ceiling.recipe_id) == (SMALL.model, SMALL.image, "test", SMALL.recipe_id)
    assert (ceiling.answer_tokens, ceiling.in_flight) == (25, 5)


@pytest.mark.parametrize("reason", ["error", "abort", "repetition"])
def test_an_engine_that_does_not_finish_its_answers_has_no_ceiling(reason: str) -> None:
    with pytest.raises(OperatorError, match=reason):
        measured(Kiln(answer_with=Answer(text="", finish_reason=reason)))


def test_what_an_engine_raises_is_passed_on() -> None:
    class Refusing(Kiln):
        async def answer(self, _picture: Picture, _ask: Ask) -> Answer:
            raise PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, "no")

    with pytest.raises(PermanentError, match="no"):
        measured(Refusing())


def test_nothing_is_left_in_flight() -> None:
    async def go() -> int:
        engine = ScriptedEngine(latency_seconds=0.02, concurrency=4)
        await measure(engine, SMALL, answer_tokens=25, machine="m", frames=8)
        return engine.load().in_flight

    assert asyncio.run(go()) == 0


def test_no_engine_can_be_faster_than_its_latency_lets_it() -> None:
    ceiling = asyncio.run(measure(ScriptedEngine(latency_seconds=0.05, concurrency=4), SMALL, answer_tokens=25, machine="m", frames=16))
    assert 0 < ceiling.frames_per_second < 1.4 * 4 / 0.05  # a round may be late at the start of the clock, and only there


@pytest.mark.parametrize("form", Form)
def test_made_pictures_are_as_large_as_the_recipe_lets_them_and_as_the_engine_takes_them(form: Form) -> None:
    pictures = list(made_pictures(3, ImageSize(max_width=100, max_height=60), form))
    assert {(picture.width, picture.height, picture.form) for picture in pictures} == {(100, 60, form)}
    assert len({picture.body for picture in pictures}) == 3


def test_an_engine_is_kept_fuller_than_it_can_use_and_filled_some_times_over() -> None:
    assert Load.of(256, frames=None) == Load(in_flight=320, warm_up=256, frames=1024)
    assert Load.of(1, frames=None) == Load(in_flight=2, warm_up=1, frames=32)
    assert Load.of(8, frames=50) == Load(in_flight=10, warm_up=8, frames=50)
    assert Load.of(8, frames=50).pictures == 68


def test_a_stopwatch_counts_nothing_after_the_end() -> None:
    times = iter(range(100))
    watch = Stopwatch(load=Load(in_flight=1, warm_up=2, frames=3), most_seconds=60, clock=lambda: float(next(times)))
    for _ in range(9):
        watch.count(ANSWER)
    assert (watch.over, watch.meter.questions, watch.seconds) == (True, 3, 3.0)
