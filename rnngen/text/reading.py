"""How far files have been read, in bytes on the disk: of a `.gz` file those of the compressed file."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from rnngen import work
from rnngen.printable import plural

T = TypeVar("T")


class Reading:
    """One reading of files, one after another.

    Args:
        paths: file names. `-` is standard input.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._what = _shown(paths[0]) if len(paths) == 1 else plural(len(paths), "text")
        self._sizes = list(map(_size_of, paths))  # None for a pipe
        self._before = self._position = 0  # bytes of the files before the present one, and of that
        self._n_chars = self._n_used = 0
        self._told = 0.0  # bytes of the parts that were given
        self._is_typed = False

    def opened(self, index: int, file: BinaryIO) -> None:
        """A file of the sequence is going to be read."""
        self._sizes[index] = _size_of(file.fileno())
        self._before, self._position = sum(size or 0 for size in self._sizes[:index]), 0
        self._is_typed = self._is_typed or file.isatty()

    def took(self, file: BinaryIO, n_chars: int) -> None:
        """Characters came from the file that was opened last."""
        self._n_chars += n_chars
        if None not in self._sizes:
            self._position = os.lseek(file.fileno(), 0, os.SEEK_CUR)

    def follow(self, parts: Iterator[T], n_chars_of: Callable[[T], int]) -> Iterator[T]:
        """The same parts of the text; how many have been used up is told (`work.follow`).

        Args:
            parts: of the text, in order.
            n_chars_of: the characters of a part.
        """
        first = next(parts, None)
        if first is None:
            return
        parts = itertools.chain([first], parts)
        sizes = [size for size in self._sizes if size is not None]  # also of the first file, which is open now
        if self._is_typed:
            yield from parts
        elif len(sizes) < len(self._sizes):
            yield from work.follow(parts, self._what, None, "characters", n_chars_of)
        else:
            total = sum(sizes)
            yield from work.follow(parts, self._what, total, work.BYTES, lambda part: self._n_bytes(n_chars_of(part)))

    def _n_bytes(self, n_chars: int) -> float:
        """About the bytes of the next part. Parts are cut after reading, so they lag behind what has been read."""
        self._n_used += n_chars
        before, read = self._told, self._before + self._position
        self._told = max(before, read * self._n_used / max(self._n_chars, 1))
        return self._told - before


def _shown(path: str) -> str:
    return "standard input" if path == "-" else Path(path).name


def _size_of(file: str | int) -> int | None:
    """The size of a path or a descriptor; None of a pipe, and of a file that is gone, as who opens it says."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
