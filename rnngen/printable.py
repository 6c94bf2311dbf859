"""Text for people: counts with their nouns, and strings of unknown origin as printable words."""

from __future__ import annotations

import unicodedata

SPACE_MARK = "▁"  # U+2581, as SentencePiece shows a space

_ESCAPES = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\", " ": SPACE_MARK}


def plural(count: int, noun: str) -> str:
    """`1 token`, `2,000 tokens`."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def codepoint(character: str) -> str:
    """`U+00E9 LATIN SMALL LETTER E WITH ACUTE` for é."""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip()


def visible(text: str) -> str:
    """A text as one printable word: white space and control characters are shown as signs or escapes."""
    return "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
