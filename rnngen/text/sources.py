"""Texts as a caller in Python names them: one path, several, the text itself as a string, or lines."""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import islice

from rnngen.config import ENCODING
from rnngen.errors import ConfigError, DataError
from rnngen.text.corpus import FileText, StringText
from rnngen.text.decoding import nul_error
from rnngen.tokenizers.base import Text

LINES_AT_A_TIME = 2048
# What `<(command)` of a shell and /dev/stdin are: open files of this process alone.
_DESCRIPTOR = re.compile(r"/dev/(stdin|fd/\d+)|/proc/(self|\d+)/fd/\d+")
_STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def path_names(paths: Paths | None) -> tuple[str, ...]:
    """One path or several as strings; none for None."""
    if paths is None:
        return ()
    if isinstance(paths, str | os.PathLike):
        return (os.fspath(paths),)
    return tuple(os.fspath(path) for path in paths)


def is_standard_input(path: str) -> bool:
    """Whether a path is `-` or another name of standard input."""
    return path in _STANDARD_INPUT


def has_standard_input() -> bool:
    """Whether a text comes through standard input; a terminal does not count. Nothing is taken from it."""
    if sys.stdin is None or sys.stdin.isatty():
        return False
    return bool(sys.stdin.buffer.peek(1).removeprefix(codecs.BOM_UTF8))  # type: ignore[union-attr]


def is_descriptor(path: str) -> bool:
    """Whether a path is an open file of this process, whose name means nothing to another: `-`, /dev/fd/63."""
    return path == "-" or _DESCRIPTOR.fullmatch(path) is not None


def is_stream(path: str) -> bool:
    """Whether a text is gone once it is read: it came through a pipe, a terminal or an open file."""
    return is_descriptor(path) or (os.path.exists(path) and not os.path.isfile(path))


def open_text(paths: Paths | None = None, text: str | None = None, encoding: str = ENCODING) -> Text:
    """A text that can be read again and again.

    Args:
        paths: one file or several, one after another. `-` is standard input; gzip is decompressed.
        text: the text itself, in place of files.
        encoding: of the files.

    Raises:
        ConfigError: neither files nor a text are given, or both; there is no such encoding.
        DataError: a file cannot be read, or the text cannot be written as UTF-8.
    """
    names = path_names(paths)
    if bool(names) == (text is not None):
        raise ConfigError("give a text: either the paths of files, or text= and a string")
    return FileText(names, encoding) if text is None else StringText(text)


def blocks_of_lines(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines in blocks that are scored together.

    Args:
        lines: with or without the line breaks that end them.

    Raises:
        ConfigError: `lines` is one string, whose characters would be the lines.
        DataError: a line has a line break inside, or a NUL.
    """
    if isinstance(lines, str):
        raise ConfigError("lines is one string: give a list of lines, such as [text] or text.splitlines()")
    return _blocks(lines)


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    numbered = enumerate(lines, 1)
    while block := list(islice(numbered, LINES_AT_A_TIME)):
        for number, line in block:
            if "\n" in line.removesuffix("\n"):
                raise DataError(f"line {number} has a line break inside: give its parts as lines of their own")
            if "\0" in line:
                raise nul_error(line, 0, f"line {number}", "leave it out")
        yield [line for _, line in block]
