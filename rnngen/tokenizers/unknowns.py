"""Counting the unknown symbols of a text that arrives in parts, for the one note that is made of them."""

from __future__ import annotations

from collections.abc import Iterable

from rnngen.config import OnUnknown
from rnngen.printable import plural
from rnngen.tokenizers.base import Encoded


class Unknowns:
    """How many unknown symbols there were so far, and the first of them.

    Attributes:
        count: unknown symbols, whether they were kept or left out.
        first: names the first one and its place; None where there was none.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: str | None = None

    def add(self, encoded: Encoded, place: str = "") -> None:
        """Take the unknown symbols of the next part in.

        Args:
            place: of the part in the text, such as ` of line 3`; stands behind the symbol in the note.
        """
        self.count += encoded.n_unknown
        if self.first is None and encoded.n_unknown and encoded.first_unknown is not None:
            self.first = f"{encoded.first_unknown}{place}"

    @classmethod
    def of_all(cls, parts: Iterable[Unknowns]) -> Unknowns:
        """Those of several texts in a row."""
        whole = cls()
        for part in parts:
            whole.count += part.count
            whole.first = whole.first or part.first
        return whole

    def note(self, where: str, on_unknown: OnUnknown) -> str:
        """What is to be said of them; empty where there were none.

        Args:
            where: names the text.
        """
        return note(self.count, self.first, where, on_unknown)


def note(count: int, first: object, where: str, on_unknown: OnUnknown) -> str:
    """The same for counts that come from elsewhere."""
    if not count:
        return ""
    handled = "left out" if on_unknown == "skip" else "taken as the unknown symbol"
    named = f"; the first is {first}" if first else ""
    return f"{where} has {plural(count, 'unknown symbol')}, {handled}{named}"


def emptiness(n_unknown: int) -> str:
    """Why nothing is left of a text in which so many symbols are unknown."""
    return "has unknown symbols only, all left out" if n_unknown else "is empty"
