"""Measurements as the nine fields: facts where something was measured, one fixed value where nothing can be.

A single frame shows no movement, so `actions` is empty; what a logo is, a measurement does not know, so `logos` is empty.
"""

from collections.abc import Iterable, Sequence

from schemas.annotation import FrameAnnotation
from workers.engines.measuring.boxes import Box
from workers.engines.measuring.colours import ColourShare
from workers.engines.measuring.detectors import Seen
from workers.engines.measuring.pixels import Pixels
from workers.engines.measuring.text import Text, TextLine

UNKNOWN = "not measurable without the model"
FACES, PEOPLE = ("face", "faces"), ("upright person", "upright people")
MOST_WORDS = 80
"""Characters of a line of text that are repeated."""
NAMED_SHARE = 0.08
"""Least share of the frame at which a colour is named."""
AREA_SHARE = 0.3
"""Least share of the frame at which a colour counts as an object."""
LIGHTNESS = ((20.0, "dark"), (40.0, "dim"), (65.0, "medium-bright"), (101.0, "bright"))
CONTRAST = ((10.0, "low"), (25.0, "medium"), (101.0, "high"))
DETAIL = ((20.0, "very little"), (100.0, "little"), (500.0, "moderate"), (float("inf"), "much"))
COLOURFULNESS = (
    (15.0, "almost colourless"),
    (33.0, "slightly colourful"),
    (45.0, "moderately colourful"),
    (59.0, "fairly colourful"),
    (82.0, "quite colourful"),
    (109.0, "highly colourful"),
    (float("inf"), "extremely colourful"),
)
"""After the verbal scale of Hasler and Suesstrunk (2003), whose values are taken as the borders between its words."""


def annotate(pixels: Pixels, seen: Seen) -> FrameAnnotation:
    """Say what was measured."""
    return FrameAnnotation(
        description=_description(pixels, seen),
        objects=_objects(pixels, seen),
        actions=(),
        environment=_environment(pixels),
        content_type=UNKNOWN,
        specific_style=UNKNOWN,
        production_quality=_quality(pixels),
        summary=_summary(pixels, seen),
        logos=(),
    )


def _description(pixels: Pixels, seen: Seen) -> str:
    if pixels.uniform:
        return f"{_uniform(pixels)}."
    found = [*_faces(seen.faces), *_people(seen.people), *_text_summary(seen.text)]
    sentences = [
        _sentence("; ".join(found) or "No frontal face, upright person or text was detected"),
        f"{'All is grey' if pixels.greyscale else 'Largest colours'}: {_colours(pixels.colours)}.",
        _sentence(f"{_light(pixels)}; {_edges(pixels)}"),
    ]
    return " ".join(sentences)


def _objects(pixels: Pixels, seen: Seen) -> tuple[str, ...]:
    if pixels.uniform:
        return (_uniform(pixels)[2:],)
    return (
        *_faces(seen.faces),
        *_people(seen.people),
        *(f"{_quoted(line)}, {line.box.place}" for line in seen.text.lines),
        *_unread(seen.text),
        *(f"{colour.name} areas ({_percent(colour.share)} of the frame)" for colour in pixels.colours[:2] if colour.share >= AREA_SHARE),
    )


def _environment(pixels: Pixels) -> str:
    colours = "greyscale" if pixels.greyscale else f"{_word(COLOURFULNESS, pixels.colourfulness)} ({pixels.colourfulness:.0f})"
    return f"{_sentence(_light(pixels))} Colours: {_colours(pixels.colours)}; {colours}. Setting: {UNKNOWN}."


def _quality(pixels: Pixels) -> str:
    facts = [
        f"{_word(DETAIL, pixels.detail)} fine detail (Laplacian variance {pixels.detail:.0f})",
        *_clipped("black", pixels.clipped_dark),
        *_clipped("white", pixels.clipped_bright),
        *_bars(pixels),
        _shape(pixels),
    ]
    return "; ".join(facts)


def _summary(pixels: Pixels, seen: Seen) -> str:
    if pixels.uniform:
        return f"{_uniform(pixels)}."
    counts = (_number(len(seen.faces), *FACES), _number(len(seen.people), *PEOPLE))
    found = ", ".join(part for part in (*counts, *_text_summary(seen.text)) if part)
    colour = pixels.colours[0]
    frame = f"a {_word(LIGHTNESS, pixels.lightness)} frame, {_percent(colour.share)} {colour.name}"
    return _sentence(f"{found} in {frame}" if found else frame)


def _uniform(pixels: Pixels) -> str:
    return f"A uniform {pixels.colours[0].name} frame"


def _faces(faces: Sequence[Box]) -> Iterable[str]:
    """`2 faces (upper left, centre; the largest 12 % of the frame's height)`, or nothing."""
    if faces:
        largest = "the largest " if len(faces) > 1 else ""
        yield f"{_number(len(faces), *FACES)} ({_places(faces)}; {largest}{_percent(faces[0].height)} of the frame's height)"


def _people(people: Sequence[Box]) -> Iterable[str]:
    """`1 upright person (centre)`, or nothing; their detector's boxes are too rough to speak of sizes."""
    if people:
        yield f"{_number(len(people), *PEOPLE)} ({_places(people)})"


def _places(boxes: Sequence[Box]) -> str:
    return ", ".join(dict.fromkeys(box.place for box in boxes))


def _number(count: int, one: str, many: str) -> str:
    return "" if not count else f"1 {one}" if count == 1 else f"{count} {many}"


def _text_summary(text: Text) -> Iterable[str]:
    if text.lines:
        line = max(text.lines, key=lambda line: line.box.area)
        more = len(text.lines) - 1 + text.unread
        yield _quoted(line) + (f" and {_number(more, 'more line', 'more lines')} of text" if more else "")
    else:
        yield from _unread(text)


def _unread(text: Text) -> Iterable[str]:
    if text.unread:
        yield f"{_number(text.unread, 'unread line', 'unread lines')} of text"


def _quoted(line: TextLine) -> str:
    words = line.words if len(line.words) <= MOST_WORDS else f"{line.words[: MOST_WORDS - 1]}…"
    return f'{line.script} (read as "{words}")'


def _colours(colours: Sequence[ColourShare]) -> str:
    named = [colour for colour in colours[:4] if colour.share >= NAMED_SHARE] or list(colours[:1])
    return ", ".join(f"{colour.name} ({_percent(colour.share)})" for colour in named)


def _light(pixels: Pixels) -> str:
    lightness = f"{_word(LIGHTNESS, pixels.lightness)} (mean lightness {pixels.lightness:.0f} of 100)"
    return f"the frame is {lightness} with {_word(CONTRAST, pixels.contrast)} contrast"


def _edges(pixels: Pixels) -> str:
    if pixels.edge_share < 0.002:  # noqa: PLR2004 - as in `busiest_place`
        return "there are hardly any edges"
    return f"edges are densest in the {pixels.edge_place}" if pixels.edge_place else "edges are spread over it"


def _clipped(name: str, share: float) -> Iterable[str]:
    if share >= 0.01:  # noqa: PLR2004 - a percent
        yield f"{_percent(share)} clipped to {name}"


def _bars(pixels: Pixels) -> Iterable[str]:
    if pixels.bars.rows:
        yield f"black bars above and below: {_percent(pixels.bars.rows)}"
    if pixels.bars.columns:
        yield f"black bars left and right: {_percent(pixels.bars.columns)}"


def _shape(pixels: Pixels) -> str:
    ratio = pixels.width / pixels.height
    kind = "landscape" if ratio > 1 else "portrait" if ratio < 1 else "square"
    return f"{kind} {ratio:.2f}:1"


def _percent(share: float) -> str:
    return f"{round(100 * share)} %" if share >= 0.01 else "under 1 %"  # noqa: PLR2004 - a percent


def _word(scale: Sequence[tuple[float, str]], value: float) -> str:
    return next(word for limit, word in scale if value < limit)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
