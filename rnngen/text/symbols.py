"""The two special symbols, the unknown symbol as a finding, and how a token is shown to a person."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

NEWLINE = "\n"
UNK = "<unk>"
SPACE_MARK = "▁"  # U+2581, as SentencePiece shows a space

_ESCAPES = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\", " ": SPACE_MARK}


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
        return f"'{visible(self.symbol)}' at character {self.offset + 1}"


def codepoint(character: str) -> str:
    """`U+00E9 LATIN SMALL LETTER E WITH ACUTE` for é."""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip()


def visible(token: str) -> str:
    """A token as one printable word: white space and control characters shown as signs or escapes."""
    return "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in token)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
