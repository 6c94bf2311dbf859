"""The special symbols of every vocabulary, and an unknown symbol as it is found in a text."""

from __future__ import annotations

from dataclasses import dataclass

from rnngen.printable import codepoint, visible

NEWLINE = "\n"
UNK = "<unk>"
LONGEST_SHOWN = 200  # characters of an unknown symbol in a message; a word may fill a file


@dataclass(frozen=True)
class Unknown:
    """A symbol of a text that a vocabulary lacks.

    Attributes:
        symbol: the character or word.
        offset: its place in the text, in characters from 0.
    """

    symbol: str
    offset: int

    def __str__(self) -> str:
        if len(self.symbol) == 1:
            return f"'{visible(self.symbol)}' ({codepoint(self.symbol)}) at character {self.offset + 1}"
        return f"'{visible(self.symbol[:LONGEST_SHOWN])}' at character {self.offset + 1}"
