"""A column of strings of one length, such as etags, that is one string in memory instead of a thousand."""

from collections.abc import Iterator, Sequence
from typing import overload


class Even(Sequence[str]):
    """Strings of `width` ASCII characters each; `text` is all of them without anything between."""

    __slots__ = ("text", "width")

    def __init__(self, text: str, width: int) -> None:
        self.text = text
        self.width = width

    def __len__(self) -> int:
        """How many."""
        return len(self.text) // self.width

    def __iter__(self) -> Iterator[str]:
        """Cut them off one by one."""
        text, width = self.text, self.width
        return (text[place : place + width] for place in range(0, len(text), width))

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        """Cut off one, or some of them."""
        if isinstance(place, slice):
            begin, end, step = place.indices(len(self))
            whole = Even(self.text[begin * self.width : end * self.width], self.width)
            return whole if step == 1 else list(self)[place]
        begin = range(0, len(self.text), self.width)[place]
        return self.text[begin : begin + self.width]

    def __eq__(self, other: object) -> bool:
        """Whether a sequence has the same strings."""
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # like a list's
