"""Text for people: counts with their nouns, and strings of unknown origin as printable words."""

from __future__ import annotations

import re
import unicodedata

MOST_IN_FULL = 1e9
SPACE_MARK = "▁"  # U+2581, as SentencePiece shows a space

_ESCAPES = {"\t": "\\t", "\n": "\\n", "\r": "\\r", " ": SPACE_MARK}
_SIGNS = {" ": SPACE_MARK, "\t": "␉", "\n": "␊", "\r": "␍"}
_MARKED = re.compile(rf"(\\*)([{''.join(_SIGNS)}{''.join(_SIGNS.values())}])")


def plural(count: int, noun: str) -> str:
    """`1 token`, `2,000 tokens`."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def decimal(value: float, digits: int = 4) -> str:
    """A loss or a perplexity with as many digits after the point; a huge one as `2.02e+30`.

    >>> decimal(1.39818), decimal(2.0190792e30)
    ('1.3982', '2.019e+30')
    """
    return f"{value:.{digits}f}" if abs(value) < MOST_IN_FULL else f"{value:.4g}"


def codepoint(character: str) -> str:
    """`U+00E9 LATIN SMALL LETTER E WITH ACUTE` for é."""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip()


def visible(text: str) -> str:
    """A text as one printable word, for a message: white space and control characters are signs or escapes."""
    return "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in text)


def escaped(text: str) -> str:
    """The text with an escape for every control or format character, as a terminal may show it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def marked(text: str) -> str:
    """A token as one field of a line: its white space as signs (▁ ␉ ␊ ␍), all else as it stands.

    A backslash before a sign says that the text has the sign itself. Only backslashes in front of these are doubled, so
    the token can be read back.

    >>> marked(" the"), marked("\\t"), marked("\\n"), marked("C:\\\\tmp"), marked("▁")
    ('▁the', '␉', '␊', 'C:\\\\tmp', '\\\\▁')
    """
    return _MARKED.sub(_mark, text)


def _mark(found: re.Match[str]) -> str:
    backslashes, sign = found.groups()
    return 2 * backslashes + (_SIGNS.get(sign) or f"\\{sign}")


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
