"""Escapes of line breaks and tabs in a text that is written as an argument: a shell has no easy way to write these."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnngen.tokenizers.base import Tokenizer

RULE = r"\n is a line break, \t a tab, \r CR, \0 NUL, and \\ a backslash"  # for the help of options
_CHARACTERS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}
_ESCAPE_OF = {character: f"\\{name}" for name, character in _CHARACTERS.items()}
_ESCAPE = re.compile(r"\\([ntr0\\])")
_WORD = re.compile("[a-z0-9]*[a-z][a-z0-9]*")  # of small letters, as macros and molecules (`\\n1ccnc1`) have them
_NAMES = {"n": "a line break", "t": "a tab", "r": "CR"}


def unescape(text: str) -> str:
    r"""A text with `\n`, `\t`, `\r`, `\0` and `\\` as the characters that they stand for.

    A backslash before anything else stays what it is.

    >>> unescape(r"\new \\new \section") == "\new " + r"\new \section"
    True
    """
    return _ESCAPE.sub(lambda found: _CHARACTERS[found[1]], text)


def escape(text: str) -> str:
    r"""The text as it would be written in an argument.

    >>> print(escape("one\n" + r"\temp"))
    one\n\\temp
    """
    return "".join(_ESCAPE_OF.get(character, character) for character in text)


def model_text(argument: str) -> str:
    r"""The text that an argument stands for, with line ends as the texts have that a model reads.

    >>> model_text(r"one\r\ntwo") == "one\ntwo"
    True
    """
    return unescape(argument).replace("\r\n", "\n")


def doubtful_escape(argument: str) -> str | None:
    r"""What an argument means and may not have meant: `\t` and `\n` are also the start of `\temp` and `\new`.

    Returns:
        A sentence; None where no escape is followed by a word of small letters.

    >>> doubtful_escape(r"\temp")
    '\\temp starts with a tab: write \\\\temp for a backslash'
    """
    for found in _ESCAPE.finditer(argument):
        name, rest = _NAMES.get(found[1]), _WORD.match(argument, found.end())
        if name and rest:
            word = found[0] + rest[0]
            return f"{word} starts with {name}: write \\{word} for a backslash"
    return None


def doubtful_escapes(arguments: Iterable[str | None], tokenizer: Tokenizer) -> list[str]:
    """The sentences of `doubtful_escape`, where the model has a backslash that may have been meant."""
    if any(tokenizer.unknowns("\\")):
        return []
    return [sentence for argument in arguments if argument and (sentence := doubtful_escape(argument))]
