"""Texts as a caller in Python names them: one path, several, or the text itself as a string."""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Iterable

from rnngen.config import ENCODING
from rnngen.errors import ConfigError
from rnngen.text.corpus import FileText, StringText
from rnngen.tokenizers.base import Text

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
        paths: one file or several, one after another. `-` is standard input; `.gz` files are decompressed.
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
