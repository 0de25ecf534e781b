"""Guesses which key lies so and so many pages ahead, from the distance that pages had so far.

Keys are read as numbers whose digits are the symbols seen where keys differ: figures in counters, hexadecimal in hashes, letters in names.
A bad guess costs a request and nothing else.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import takewhile

SAMPLE = 32
ALPHABET = 64
"""With more symbols than that a sample does not have most of them."""
DEPTH = 4
"""How many symbols from the first that differs on are counted."""
CARRY = 12
"""How many symbols before it a count may carry into."""
_FIRST_HALF, _BEHIND_HALVES, _END = 0xD800, 0xE000, 0x110000
"""Halves of characters in UTF-16 are no characters."""


def leap(keys: Sequence[str], pages: int, *, trail: Sequence[str] = (), wide: bool = False) -> str:
    """Guess the key so many pages behind a page's last; empty where there can be none, else greater than that key.

    Counting on from a page may lead out of the range of its figures, as from one day to the next. There, or where guesses were too near
    of late, the trail is asked too, which has the last keys of pages that follow each other.
    """
    here = _counted(keys, keys[-1], pages)
    if here and not wide:
        return here
    return max(here, _counted(trail, keys[-1], pages / max(1, len(trail) - 1)), _raised(keys, pages))


def _counted(keys: Sequence[str], last: str, times: float) -> str:
    """Add the distance of some keys' first and last so many times to another key; empty where it cannot be counted or is out of range."""
    common = _common(keys)
    depth = common + DEPTH
    symbols = sorted({symbol for key in (*keys[:: max(1, len(keys) // SAMPLE)], *keys[-1:], last) for symbol in key[common:depth]})
    if len(symbols) > ALPHABET:
        return ""
    begin = max(len(last[:common].rstrip("".join(symbols))), common - CARRY)
    width = depth - begin
    distance = _number(keys[-1][begin:depth], symbols, width) - _number(keys[0][begin:depth], symbols, width) if keys else 0
    target = _number(last[begin:depth], symbols, width) + int(times * distance)
    guess = last[:begin] + _text(target, symbols) if target < (len(symbols) + 1) ** width else ""
    return guess if guess > last else ""


def _common(keys: Sequence[str]) -> int:
    """How many symbols the first and the last key begin with alike."""
    pairs = zip(keys[0], keys[-1], strict=False) if keys else ()
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _number(text: str, symbols: Sequence[str], width: int) -> int:
    """Its value; the end of the text is a digit too, less than all others."""
    value = 0
    for place in range(width):
        value = value * (len(symbols) + 1) + (bisect_right(symbols, text[place]) if place < len(text) else 0)
    return value


def _text(value: int, symbols: Sequence[str]) -> str:
    """The text that has this value, up to where it ends."""
    digits: list[int] = []
    while value:
        value, digit = divmod(value, len(symbols) + 1)
        digits.append(digit)
    return "".join(symbols[digit - 1] for digit in takewhile(bool, reversed(digits)))


def _raised(keys: Sequence[str], times: int) -> str:
    """Raise the symbol in which a page's keys first differ by as much as it rose, so many times; else the one before by one."""
    first, last, common = keys[0], keys[-1], _common(keys)
    if common < min(len(first), len(last)):
        symbol = ord(last[common]) + times * (ord(last[common]) - ord(first[common]))
        if symbol < _END:
            return last[:common] + _character(symbol)
    places = (place for place in reversed(range(common)) if ord(last[place]) + 1 < _END)
    return next((last[:place] + _character(ord(last[place]) + 1) for place in places), "")


def _character(number: int) -> str:
    return chr(_BEHIND_HALVES if _FIRST_HALF <= number < _BEHIND_HALVES else number)
