"""What may be said about text that a recogniser of Latin letters and Chinese characters claims to have read."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from workers.engines.measuring.boxes import Box

READ_SCORE = 0.9
"""Least confidence of the recogniser at which its words are believed; Cyrillic and Greek, which it cannot read, mostly stay below."""
TEXT_SCORE = 0.5
"""Least confidence at which an area counts as text at all; textures that look like text stay below."""
LEAST_CHARACTERS = 2
"""A single sign is too easily a texture."""
WORD_SHAPE = re.compile(r"9*(A+|A?a+(Aaa+)*)9*|9+")
"""Shapes of words as people write them (A capital, a small letter, 9 digit); a misread script comes out as `o6po noKanoBaTb`."""
LATIN, HAN, JAPANESE, NUMERALS = "Latin-script text", "Chinese-character text", "Japanese text", "numerals"
SCRIPTS = {"LATIN": LATIN, "CJK": HAN, "HIRAGANA": JAPANESE, "KATAKANA": JAPANESE}
"""First word of a letter's Unicode name: what text with such letters is called. A letter of any other script is a misreading."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the recogniser said about one area."""

    words: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text that is believed to be read rightly, but for accents, which the recogniser drops."""

    words: str
    script: str
    """What text of its script is called; numerals are text without letters."""
    box: Box


@dataclass(frozen=True, slots=True)
class Text:
    """All text in a frame."""

    lines: tuple[TextLine, ...] = ()
    unread: int = 0
    """Areas of text without words: in a script that the recogniser does not know, too small, or more than it was asked to read."""


def judge(readings: Iterable[Reading], *, untried: int) -> Text:
    """Sort readings into lines that are believed, areas of text that are not read, and nothing; `untried` areas were not tried to read."""
    likely = [reading for reading in readings if reading.score >= TEXT_SCORE and _characters(reading.words) >= LEAST_CHARACTERS]
    scripts = [script_of(reading.words) if reading.score >= READ_SCORE else "" for reading in likely]
    lines = tuple(TextLine(tidy(reading.words), script, reading.box) for reading, script in zip(likely, scripts, strict=True) if script)
    return Text(lines, len(likely) - len(lines) + (untried if lines else 0))


def script_of(words: str) -> str:
    """Name the script of words, or nothing when they are no words of a script that the recogniser knows."""
    names = {unicodedata.name(letter, "?").split()[0] for letter in tidy(words) if letter.isalpha()}
    if not names:
        return NUMERALS
    if not names <= SCRIPTS.keys():
        return ""
    found = {SCRIPTS[name] for name in names}
    chosen = next(script for script in (JAPANESE, HAN, LATIN) if script in found)
    return chosen if chosen != LATIN or _looks_written(words) else ""


def tidy(words: str) -> str:
    """Replace full-width letters by plain ones and runs of blanks by one."""
    return " ".join(unicodedata.normalize("NFKC", words).split())


def _looks_written(words: str) -> bool:
    """Whether at least half of the letters and digits stand in words of a shape that people write."""
    parts = re.findall(r"[^\W_]+", tidy(words))
    good = sum(len(part) for part in parts if WORD_SHAPE.fullmatch(_shape(part)))
    return good >= sum(len(part) for part in parts) / 2


def _shape(word: str) -> str:
    return "".join("9" if letter.isdigit() else "A" if letter.isupper() else "a" for letter in word)


def _characters(words: str) -> int:
    return sum(letter.isalnum() for letter in words)
