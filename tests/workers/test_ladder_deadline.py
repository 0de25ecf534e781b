import asyncio
import time
from collections import Counter

import pytest
from climbing import PICTURE, RECIPE, SENSELESS, TOO_MANY, Dawdler, climb, fall, run_out_of_time, stop

from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from workers.ladder import annotate


def test_a_frame_whose_time_is_up_is_dead_and_its_question_is_taken_back():
    engine, counts = Dawdler(said=['{"mood', '": "ca']), Counter()
    started = time.monotonic()
    error = run_out_of_time(engine, counts=counts)
    assert time.monotonic() - started < 30
    assert (engine.cancelled, counts) == (1, {("constrained", "deadline"): 1})
    assert str(error) == "constrained: no answer within the 0.5 s that a frame has"
    assert error.raw_answer == '{"mood": "ca'


def test_the_deadline_is_for_all_rungs_together_and_the_letter_tells_them():
    error = run_out_of_time(Dawdler(TOO_MANY, stop("x" * 5000)))
    assert str(error).startswith("constrained: objects: too_long; reseeded: answer: json_invalid; free: no answer within")
    assert error.raw_answer == "x" * 2000


def test_a_climb_that_is_called_off_takes_its_question_back():
    async def go(engine):
        climbing = asyncio.create_task(annotate(engine, PICTURE, RECIPE, counts=Counter(), deadline_seconds=60))
        await asyncio.sleep(0.01)
        climbing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await climbing

    engine = Dawdler()
    asyncio.run(go(engine))
    assert engine.cancelled == 1


def test_an_engines_own_timeout_is_not_the_frames():
    with pytest.raises(TimeoutError):
        climb(TimeoutError("of the engine's own"))


def test_an_engine_that_fails_on_a_later_rung_leaves_what_was_said_before():
    failed = PermanentError(Reason.ENGINE_FAILED, Stage.CAPTION, "500")
    assert fall(SENSELESS, failed).raw_answer == SENSELESS.text
