"""The embedded engine: what it says about pictures that are drawn here, and what it does when it fails."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from schemas.annotation import FIELDS, FrameAnnotation
from schemas.errors import FatalError, PermanentError, UnsuitableError
from schemas.reasons import Reason
from schemas.recipe import load_recipe
from workers.engines import Ask
from workers.engines.measuring.wording import UNKNOWN
from workers.engines.opencv import OpenCvEngine
from workers.keyframe import Picture

ASK = Ask(recipe=load_recipe("opencv"), max_tokens=500, temperature=0.0, seed=0)
BLACK = Picture(bytes(48 * 32 * 3), width=48, height=32)


@pytest.fixture(scope="module")
def engine() -> Iterator[OpenCvEngine]:
    """One engine for all, since loading its models takes a second."""
    engine = OpenCvEngine()
    yield engine
    asyncio.run(engine.close())


def picture(array) -> Picture:
    return Picture(np.ascontiguousarray(array, np.uint8).tobytes(), width=array.shape[1], height=array.shape[0])


def drawn(*lines: str, width: int = 640, height: int = 360, scale: float = 1.2) -> np.ndarray:
    canvas = np.full((height, width, 3), (235, 240, 235), np.uint8)
    for row, line in enumerate(lines):
        cv2.putText(canvas, line, (30, int(60 + 45 * scale * row)), cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), max(int(2 * scale), 1))
    return canvas


def tell(engine: OpenCvEngine, array) -> FrameAnnotation:
    return FrameAnnotation.model_validate_json(asyncio.run(engine.answer(picture(array), ASK)).text)


def odd_pictures() -> dict[str, np.ndarray]:
    noise = np.random.default_rng(1)
    shapes = [(1, 1), (1, 2), (2, 3), (3, 3), (5, 31), (32, 32), (1, 896), (896, 1), (8, 896), (896, 40), (33, 896), (504, 896)]
    ramp = np.linspace(0, 255, 200).astype(np.uint8)
    full = drawn(*["The quick brown fox jumps over the lazy dog"] * 24, scale=0.8, width=896, height=896)
    barred = noise.integers(0, 256, (360, 640, 3), np.uint8)
    barred[:50] = barred[-50:] = barred[:, :60] = barred[:, -60:] = 0
    return {
        **{f"noise {shape}": noise.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes},
        **{f"level {level} {shape}": np.full((*shape, 3), level, np.uint8) for level in (0, 255) for shape in shapes},
        "ramp": np.broadcast_to(ramp[None, :, None], (100, 200, 3)),
        "checkers": np.kron(np.indices((12, 20)).sum(axis=0) % 2 * 255, np.ones((16, 16)))[..., None].repeat(3, axis=2),
        "full of text": full,
        "text on its side": np.rot90(full),
        "bars all around": barred,
    }


@pytest.mark.parametrize("name", odd_pictures())
def test_any_picture_gets_an_answer_that_fits_the_schema(engine, name):
    told = tell(engine, odd_pictures()[name])
    assert (told.actions, told.logos, told.content_type, told.specific_style) == ((), (), UNKNOWN, UNKNOWN)


@pytest.mark.parametrize("name", ["noise (504, 896)", "ramp", "checkers", "bars all around"])
def test_no_face_person_or_text_is_invented(engine, name):
    told = tell(engine, odd_pictures()[name])
    assert told.description.startswith("No frontal face, upright person or text was detected.")
    assert not [found for found in told.objects if not found.endswith("of the frame)")]


def test_text_is_an_object_with_its_script_its_words_and_its_place(engine):
    told = tell(engine, drawn("Breaking news tonight"))
    assert 'Latin-script text (read as "Breaking news tonight"), upper centre' in told.objects
    assert 'Latin-script text (read as "Breaking news tonight")' in told.summary


def test_numbers_are_numerals_and_no_script(engine):
    assert 'numerals (read as "2026-05-01"), upper left' in tell(engine, drawn("2026-05-01")).objects


def test_chinese_characters_are_told_from_latin_letters(engine):
    canvas = np.full((200, 500, 3), 255, np.uint8)
    strokes = {
        40: [(0, 0, 50, 0), (0, 25, 50, 25), (0, 50, 50, 50), (25, 0, 25, 50)],  # king
        110: [(0, 12, 50, 12), (0, 37, 50, 37), (0, 12, 0, 37), (50, 12, 50, 37), (25, -4, 25, 54)],  # middle
        180: [(0, 0, 50, 0), (0, 25, 50, 25), (0, 50, 50, 50), (0, 0, 0, 50), (25, 0, 25, 50), (50, 0, 50, 50)],  # field
        250: [(6, 0, 44, 0), (6, 25, 44, 25), (6, 50, 44, 50), (6, 0, 6, 50), (44, 0, 44, 50)],  # sun
        320: [(0, 5, 42, 5), (0, 47, 42, 47), (0, 5, 0, 47), (42, 5, 42, 47)],  # mouth
    }
    for left, lines in strokes.items():
        for x, y, to_x, to_y in lines:
            cv2.line(canvas, (left + x, 70 + y), (left + to_x, 70 + to_y), (0, 0, 0), 4)
    assert 'Chinese-character text (read as "王中田日口"), centre' in tell(engine, canvas).objects


def test_a_page_of_text_is_read_in_part_and_says_so(engine):
    told = tell(engine, odd_pictures()["full of text"])
    assert sum("read as" in found for found in told.objects) == 5
    assert any(found.endswith("unread lines of text") for found in told.objects)


@pytest.mark.parametrize(("rgb", "name"), [((0, 0, 0), "black"), ((255, 255, 255), "white"), ((0, 0, 255), "blue"), ((200, 30, 30), "red")])
def test_a_uniform_frame_is_said_to_be_one(engine, rgb, name):
    told = tell(engine, np.full((90, 160, 3), rgb, np.uint8))
    assert told.description == told.summary == f"A uniform {name} frame."
    assert told.objects == (f"uniform {name} frame",)


def test_the_same_pixels_get_the_same_text_in_any_thread():
    async def go():
        engine = OpenCvEngine(threads=2)
        await engine.probe()
        page = picture(drawn("Exit 12", "Departures"))
        texts = {(await answer).text for answer in [asyncio.ensure_future(engine.answer(page, ASK)) for _ in range(4)]}
        await engine.close()
        return texts

    assert len(asyncio.run(go())) == 1


def test_keys_come_in_the_order_of_the_recipe_and_tokens_are_not_counted(engine):
    recipe = ASK.recipe.model_copy(update={"key_order": tuple(sorted(FIELDS))})
    answer = asyncio.run(engine.answer(BLACK, Ask(recipe=recipe, max_tokens=1, temperature=0.0, seed=0)))
    assert tuple(json.loads(answer.text)) == tuple(sorted(FIELDS))
    assert (answer.finish_reason, answer.prompt_tokens, answer.image_tokens, answer.output_tokens) == ("stop", None, None, None)


def test_it_does_not_answer_in_the_name_of_another_model(engine):
    ask = Ask(recipe=load_recipe("vidcap-12b"), max_tokens=500, temperature=0.0, seed=0)
    with pytest.raises(UnsuitableError, match="--recipe opencv"):
        asyncio.run(engine.answer(BLACK, ask))


def test_versions_name_all_that_measures(engine):
    assert engine.versions.keys() == {"engine", "opencv", "rapidocr-onnxruntime", "onnxruntime"}
    assert engine.versions["opencv"] == cv2.__version__


class Scripted:
    """An observer that does what the test says."""

    def __init__(self, *, on_annotate=lambda: None, on_self_test=lambda: None) -> None:
        self.on_annotate, self.on_self_test = on_annotate, on_self_test

    def annotate(self, rgb) -> FrameAnnotation:
        self.on_annotate()
        words = f"{rgb.shape}"
        return FrameAnnotation.model_validate(dict.fromkeys(FIELDS, words) | {"objects": (), "actions": (), "logos": ()})

    def self_test(self) -> None:
        self.on_self_test()


def fail() -> None:
    raise ArithmeticError("no numbers today")


def answer_of(**script):
    return asyncio.run(OpenCvEngine(load=lambda: Scripted(**script)).answer(BLACK, ASK))


def test_the_event_loop_goes_on_while_a_picture_is_measured():
    looked = threading.Event()

    async def go():
        engine = OpenCvEngine(load=lambda: Scripted(on_annotate=lambda: looked.wait(timeout=20)))
        answer = asyncio.ensure_future(engine.answer(BLACK, ASK))
        await asyncio.sleep(0)
        assert not answer.done()
        looked.set()
        return await answer

    assert asyncio.run(go()).finish_reason == "stop"


def test_a_picture_that_alone_fails_is_a_dead_letter():
    with pytest.raises(PermanentError, match=r"48 x 32.*no numbers today") as caught:
        answer_of(on_annotate=fail)
    assert caught.value.reason is Reason.ENGINE_FAILED


def test_an_engine_that_fails_on_a_known_picture_too_is_unfit():
    with pytest.raises(FatalError, match="no numbers today"):
        answer_of(on_annotate=fail, on_self_test=fail)


def test_models_that_do_not_load_make_the_probe_say_what_to_do():
    with pytest.raises(FatalError, match="Install framefleet"):
        asyncio.run(OpenCvEngine(load=fail).probe())


def test_a_library_that_is_missing_makes_the_worker_say_what_to_do():
    program = "import sys; sys.modules['cv2'] = None\nfrom workers.engines.opencv import OpenCvEngine; OpenCvEngine()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "schemas.errors.FatalError" in ended.stderr.splitlines()[-1]
    assert "Install framefleet" in ended.stderr


def test_loading_and_measuring_are_silent():
    program = "import asyncio; from workers.engines.opencv import OpenCvEngine; asyncio.run(OpenCvEngine().probe())"
    ended = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")
