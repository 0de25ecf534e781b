"""Several sources read as one, the first one wholly before the second. Its cursor is a source's number and its cursor: `1:clips/b.mp4`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

from producer.sources import INVENTORY, Batch, Source, is_manifest
from schemas.errors import OperatorError
from storage import split_uri


class Several:
    """Sources by their names, in the order in which they are read."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        """Read these sources; none is opened before its turn.

        Raises:
            OperatorError: two of them are the same.
        """
        refuse_twins(tuple(sources))
        self._sources = tuple(sources.items())
        self.distinct = all(source.distinct for source in sources.values()) and _lie_apart(sorted(map(_place, sources)))

    def check(self) -> None:
        """Check each source.

        Raises:
            OperatorError: one of them has nothing to caption, or cannot be read; the message names it.
        """
        for name, source in self._sources:
            try:
                source.check()
            except OperatorError as error:
                if len(self._sources) == 1 or name in str(error):
                    raise
                raise OperatorError(f"Of the sources, {name} is wrong: {error}") from error

    def batches(self, *, after: str = "") -> Iterator[Batch]:
        """Show the rows of all sources; those before the cursor's are not opened."""
        place, _, cursor = after.partition(":")
        first = int(place or 0)
        for number, (_, source) in enumerate(self._sources[first:], start=first):
            for batch in source.batches(after=cursor):
                yield replace(batch, cursor_at=partial(_cursor, number, batch.cursor_at))
            cursor = ""


def refuse_twins(sources: Sequence[str]) -> None:
    """Refuse sources that are the same, which would plan every video once and read it twice.

    Raises:
        OperatorError: two are.
    """
    known = dict[str, str]()
    for source in sources:
        twin = known.get(place := _place(source))
        if twin is not None:
            named = repr(source) if source == twin else f"{twin!r} and {source!r} are the same source, which"
            raise OperatorError(f"{named} is named twice: name each source once.")
        known[place] = source


def _cursor(number: int, cursor_at: Callable[[int], str], row: int) -> str:
    return f"{number}:{cursor_at(row)}"


def _place(source: str) -> str:
    """A source's address, the same however it is written; of what is listed it ends in a slash."""
    if source == "-":
        return source
    kind = INVENTORY if source.startswith(INVENTORY) else ""
    address = "/".join(split_uri(source.removeprefix(INVENTORY)))
    return kind + (address if is_manifest(source) else f"{address.rstrip('/')}/")


def _lie_apart(places: Sequence[str]) -> bool:
    """Whether no two sources can show the same object; what an inventory holds its address does not say."""
    if len(places) > 1 and any(place.startswith(INVENTORY) for place in places):
        return False
    return not any(below.startswith(above) for above, below in pairwise(places))  # sorted, what is within a place follows it at once
