"""What may be said to a terminal: text, and never a command that a text, a file name or a stranger's file brings along.

Control characters start the sequences with which a terminal's title, keys, clipboard and screen are changed. On a
terminal each is shown as a sign; what goes to a pipe or a file is untouched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO, cast

_CONTROL_PICTURES = 0x2400  # ␀ and what follows, in the order of the characters that they show
_SIGNS: dict[int, str] = {code: chr(_CONTROL_PICTURES + code) for code in range(0x20) if chr(code) not in "\n\t"}
_SIGNS |= {0x7F: "␡"} | {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
# They turn the order of what is shown after them, to the end of the line and no further. A text of a language that is
# written from right to left has them by right; a message of ours that quotes a stranger's name must read as it is.
_TURNING = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def harmless(text: str) -> str:
    """A text that moves no cursor and gives no command; line breaks and tabs stay."""
    return text.translate(_SIGNS)


def harmless_message(text: str) -> str:
    """`harmless`, and read in the order in which it was written."""
    return text.translate(_SIGNS | _TURNING)


class Guarded:
    """A terminal's stream through which all text goes harmless, each character by itself.

    Attributes:
        beyond: the stream itself, for what is harmless already and has colours of ours.
    """

    def __init__(self, beyond: TextIO, *, messages: bool) -> None:
        self.beyond = beyond
        self._harmless = harmless_message if messages else harmless

    def write(self, text: str) -> int:
        """As of any stream; the number is that of the characters given."""
        self.beyond.write(self._harmless(text))
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:
        """As of any stream."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beyond, name)


def guarded(stream: TextIO, *, messages: bool = False) -> TextIO:
    """A terminal's stream with a guard; any other one as it is."""
    if isinstance(stream, Guarded) or not stream.isatty():
        return stream
    return cast(TextIO, Guarded(stream, messages=messages))


def unguarded(stream: TextIO) -> TextIO:
    """The door past the guard."""
    return stream.beyond if isinstance(stream, Guarded) else stream
