"""The pure parts of the embedded engine: places, colours, bars, scripts, and words that always fit."""

import numpy as np
import pytest

from schemas.annotation import FrameAnnotation
from workers.engines.measuring.boxes import PLACES, Box, merge
from workers.engines.measuring.colours import ColourShare, colour_shares
from workers.engines.measuring.detectors import Seen
from workers.engines.measuring.pixels import Bars, Pixels, colourfulness, measure, shrink, without_bars
from workers.engines.measuring.text import HAN, JAPANESE, LATIN, NUMERALS, Reading, Text, TextLine, judge, script_of
from workers.engines.measuring.wording import annotate

SOMEWHERE = Box(0.1, 0.1, 0.2, 0.1)
ONE_OF_EACH_PLACE = tuple(Box(column / 3 + 0.1, row / 3 + 0.1, 0.1, 0.1) for row in range(3) for column in range(3))


def patch(*rgb: int, rows: int = 60, columns: int = 80) -> np.ndarray:
    return np.full((rows, columns, 3), rgb, np.uint8)


def test_a_box_is_cut_at_the_frames_borders():
    assert Box.in_pixels((-10, 40, 30, 30), frame=(100, 50)) == Box(0, 0.8, 0.2, 0.2)


def test_the_nine_places_have_the_names_that_people_give_them():
    assert tuple(box.place for box in ONE_OF_EACH_PLACE) == PLACES
    assert Box(1.0, 1.0, 0.0, 0.0).place == "lower right"


def test_overlapping_boxes_are_one_thing_and_the_surest_stands_for_it():
    sure, nested, apart = Box(0.1, 0.1, 0.3, 0.3, score=5), Box(0.15, 0.15, 0.1, 0.1, score=2), Box(0.6, 0.1, 0.35, 0.35, score=1)
    assert merge([nested, apart, sure]) == (apart, sure)


def test_faces_are_told_by_number_place_and_size():
    told = annotate(measure(np.hstack([patch(10, 10, 10), patch(200, 200, 200)])), Seen(faces=(Box(0.1, 0.1, 0.1, 0.25),)))
    assert told.objects[0] == "1 face (upper left; 25 % of the frame's height)"
    assert told.summary.startswith("1 face in a ")


def test_people_are_told_by_number_and_place():
    told = annotate(measure(np.hstack([patch(10, 10, 10), patch(200, 200, 200)])), Seen(people=ONE_OF_EACH_PLACE[3:5]))
    assert told.objects[0] == "2 upright people (centre left, centre)"


@pytest.mark.parametrize(
    ("name", "rgb"),
    [
        ("black", (8, 8, 8)),
        ("dark grey", (70, 70, 70)),
        ("grey", (128, 128, 128)),
        ("light grey", (200, 200, 200)),
        ("white", (250, 250, 250)),
        ("red", (220, 20, 20)),
        ("dark red", (90, 0, 10)),
        ("pink", (255, 192, 203)),
        ("brown", (139, 69, 19)),
        ("orange", (255, 140, 0)),
        ("beige", (210, 180, 140)),
        ("yellow", (255, 230, 0)),
        ("olive", (128, 128, 0)),
        ("green", (0, 128, 0)),
        ("cyan", (0, 255, 255)),
        ("blue", (0, 0, 255)),
        ("dark blue", (0, 0, 100)),
        ("light blue", (135, 206, 235)),
        ("purple", (128, 0, 128)),
        ("magenta", (255, 0, 255)),
    ],
)
def test_colours_have_the_names_that_people_give_them(name, rgb):
    assert measure(patch(*rgb)).colours == (ColourShare(name, 1.0),)


def test_every_colour_has_a_name():
    levels = np.arange(0, 256, 15, np.uint8)
    every = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    assert sum(share for _, share in measure(every).colours) == pytest.approx(1)
    assert [name for name, _ in colour_shares(np.zeros((1, 1, 3), np.float32))] == ["black"]


def test_a_colour_without_any_tone_is_grey_however_light():
    for lightness in np.linspace(0, 100, 101):
        assert colour_shares(np.array([[[lightness, 3, -3]]], np.float32))[0].name.endswith(("black", "grey", "white"))


def test_black_bars_are_cut_off_in_pairs():
    frame = patch(120, 60, 60, rows=180, columns=320)
    frame[:20] = frame[-20:] = 16
    inner, bars = without_bars(frame)
    assert (inner.shape, bars) == ((140, 320, 3), Bars(rows=40 / 180))


def test_a_dark_half_is_no_bar_and_neither_is_a_fade():
    half = patch(120, 60, 60, rows=180, columns=320)
    half[:, :100] = 0
    fade = np.broadcast_to((180 * np.sin(np.linspace(0, np.pi, 400)) ** 4)[:, None, None], (400, 300, 3)).astype(np.uint8)
    assert without_bars(half)[1] == without_bars(fade)[1] == Bars()


def test_grey_is_without_colour_and_opposite_colours_are_full_of_it():
    assert colourfulness(patch(90, 90, 90)) == 0
    assert colourfulness(np.hstack([patch(255, 0, 0), patch(0, 255, 0), patch(0, 0, 255)])) > 109


def test_light_detail_and_edges_are_measured_where_they_are():
    frame = patch(200, 200, 200, rows=300, columns=300)
    frame[210:290:4, 210:290] = 0
    pixels = measure(frame)
    assert pixels.edge_place == "lower right"
    assert pixels.detail > measure(patch(200, 200, 200)).detail == 0
    assert pixels.lightness < measure(patch(200, 200, 200)).lightness == pytest.approx(80.6, abs=0.5)


def test_pictures_are_only_ever_scaled_down():
    assert shrink(patch(1, 2, 3, rows=10, columns=20), 40).shape == (10, 20, 3)
    assert shrink(patch(1, 2, 3, rows=100, columns=200), 40).shape == (20, 40, 3)
    assert shrink(patch(1, 2, 3, rows=100, columns=200), 400, height=10).shape == (10, 20, 3)
    assert shrink(patch(1, 2, 3, rows=1, columns=4000), 40).shape == (1, 40, 3)


@pytest.mark.parametrize(
    ("words", "script"),
    [
        ("Breaking news", LATIN),
        ("YouTube", LATIN),
        ("Straße 4K", LATIN),
        ("\uff25\uff38\uff29\uff34", LATIN),
        ("出口 Exit", HAN),
        ("日本の車", JAPANESE),
        ("12:34", NUMERALS),
        ("ΕΛΛΑΔΑ", ""),
        ("pИBeT MИp", ""),
        ("o6po noKanoBaTb B MocKBy", ""),
        ("FwntL w2huwnh", ""),
    ],
)
def test_a_script_is_named_only_where_the_recogniser_knows_it(words, script):
    assert script_of(words) == script


def test_readings_are_believed_counted_or_dropped_by_their_confidence():
    readings = [
        Reading("Exit", 0.95, SOMEWHERE),
        Reading("MISYITS", 0.8, SOMEWHERE),
        Reading("lii", 0.3, SOMEWHERE),
        Reading("|", 0.99, SOMEWHERE),
    ]
    assert judge(readings, untried=3) == Text((TextLine("Exit", LATIN, SOMEWHERE),), unread=4)
    assert judge(readings[2:], untried=3) == Text()


def test_the_most_that_can_be_said_fits_the_schema():
    colours = tuple(ColourShare("light purple", 0.25) for _ in range(4))
    pixels = Pixels(
        width=4096,
        height=1,
        uniform=False,
        bars=Bars(0.99, 0.99),
        greyscale=False,
        lightness=100.0,
        contrast=50.0,
        clipped_dark=0.99,
        clipped_bright=0.99,
        colourfulness=300.0,
        detail=9999999.0,
        edge_share=0.99,
        edge_place="upper centre",
        colours=(ColourShare("light purple", 0.3), ColourShare("light green", 0.3), *colours),
    )
    line = TextLine("W" * 5000, HAN, Box(0.4, 0.1, 0.2, 0.1))
    seen = Seen(faces=ONE_OF_EACH_PLACE * 99, people=ONE_OF_EACH_PLACE * 99, text=Text((line,) * 5, 1000))
    told = annotate(pixels, seen)
    assert FrameAnnotation.model_validate_json(told.model_dump_json()) == told
    assert len(told.objects) == 10
