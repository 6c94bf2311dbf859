"""Texts as a caller in Python names them: one path, several, or the text itself as a string."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rnngen.config import ENCODING
from rnngen.errors import ConfigError
from rnngen.text.corpus import FileText, StringText
from rnngen.tokenizers.base import Text

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def path_names(paths: Paths | None) -> tuple[str, ...]:
    """One path or several as strings; none for None."""
    if paths is None:
        return ()
    if isinstance(paths, str | os.PathLike):
        return (os.fspath(paths),)
    return tuple(os.fspath(path) for path in paths)


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
