"""Keep texts, file names and untrusted files from injecting escape sequences into a terminal.

Control characters start the sequences that change a terminal's title, keys, clipboard and screen. On a terminal each is
shown as a sign; a pipe or a file gets it unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO, cast

_CONTROL_PICTURES = 0x2400  # ␀; the others follow in the order of the characters that they show
_SIGNS: dict[int, str] = {code: chr(_CONTROL_PICTURES + code) for code in range(0x20) if chr(code) not in "\n\t"}
_SIGNS |= {0x7F: "␡"} | {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
# These change the direction of the text beside them, or of all that follows in the line. A text in a language that is
# written from right to left needs them; a message of rnngen that quotes an untrusted name must not be reordered by it.
_DIRECTION_MARKS = {
    code: f"\\u{code:04x}" for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def harmless(text: str) -> str:
    """The text with a sign for every control character except line breaks and tabs."""
    return text.translate(_SIGNS)


def harmless_message(text: str) -> str:
    """The same, and characters that change the direction of the text as escapes."""
    return text.translate(_SIGNS | _DIRECTION_MARKS)


class Guarded:
    """A terminal's stream that shows control characters as signs.

    Attributes:
        unguarded: the stream itself, for text that was made harmless before rnngen added its colours.
    """

    def __init__(self, stream: TextIO, *, messages: bool) -> None:
        self.unguarded = stream
        self._harmless = harmless_message if messages else harmless

    def over(self, stream: TextIO) -> TextIO:
        """The same guard before another stream."""
        other = Guarded(stream, messages=False)
        other._harmless = self._harmless
        return cast(TextIO, other)

    def write(self, text: str) -> int:
        """Write the text made harmless. Returns the number of characters given."""
        self.unguarded.write(self._harmless(text))
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:
        """Write each text made harmless."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


def guarded(stream: TextIO, *, messages: bool = False) -> TextIO:
    """A terminal's stream behind a guard; any other stream as it is.

    Args:
        messages: the stream is for messages, in which nothing may change the direction of the text.
    """
    if isinstance(stream, Guarded) or not stream.isatty():
        return stream
    return cast(TextIO, Guarded(stream, messages=messages))


def unguarded(stream: TextIO) -> TextIO:
    """The stream without its guard."""
    return stream.unguarded if isinstance(stream, Guarded) else stream
