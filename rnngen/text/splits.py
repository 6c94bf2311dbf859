"""Parts of a text: those for training and validation. A part is read as the text is, in chunks, again and again."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import numpy as np

from rnngen.errors import DataError
from rnngen.text.corpus import Survey, line_blocks_of
from rnngen.tokenizers.base import Text

_CHOSEN = b"\1"
_OTHERS = bytes([1, 0]).ljust(256, b"\0")
_BLOCK = 1 << 20  # lines that are dealt out together
_MOST_LINES = 10**9  # that numpy draws a hypergeometric number of


class Unchanged:
    """A text that was surveyed, and must be the same when it is read again; a DataError at its end if it is not.

    Times of files can be set back, and are coarse: only the hash keeps wrong ids from being kept under it for good.
    """

    def __init__(self, text: Text, found: Survey, name: str = "the text") -> None:
        self._text, self._found, self._name = text, found, name

    def chunks(self) -> Iterator[str]:
        digest = hashlib.sha256()
        for chunk in self._text.chunks():
            digest.update(chunk.encode("utf-8", "surrogatepass"))
            yield chunk
        if digest.hexdigest() != self._found.sha256:
            raise DataError(f"{self._name} changed while it was read: start again when nothing writes to it")


class Slice:
    """The characters `start` to `stop` of a text, which is read to its end."""

    def __init__(self, text: Text, start: int, stop: int) -> None:
        self._text, self._start, self._stop = text, start, stop

    def chunks(self) -> Iterator[str]:
        position = 0
        for chunk in self._text.chunks():
            part = chunk[max(self._start - position, 0) : max(self._stop - position, 0)]
            position += len(chunk)
            if part:
                yield part


class ChosenLines:
    """The lines of a text whose turn (blank ones do not count) is marked; each ends in a line break."""

    def __init__(self, text: Text, marks: bytes) -> None:
        self._text, self._marks = text, marks

    def chunks(self) -> Iterator[str]:
        turn = 0
        for block in line_blocks_of(self._text.chunks()):
            chosen = []
            for line in block:
                if line.strip():
                    # A slice: should the text have grown, `Unchanged` says so at its end.
                    if self._marks[turn : turn + 1] == _CHOSEN:
                        chosen.append(line if line.endswith("\n") else line + "\n")
                    turn += 1
            if chosen:
                yield "".join(chosen)


def split_by_characters(text: Text, found: Survey, fraction: float) -> tuple[Text, Text]:
    """The first part of a text to train on and its last `fraction`, in characters, to validate on.

    The cut is at `int((1 - fraction) * n)`, as everyone cuts tinyshakespeare. Raises DataError when a part is empty.
    """
    cut = int((1 - fraction) * found.n_chars)
    if not 0 < cut < found.n_chars:
        raise DataError(
            f"the text has {_counted(found.n_chars, 'character')}: too few to keep {fraction:.0%} for validation; "
            "give more text, or a validation text with --valid FILE"
        )
    return Slice(text, 0, cut), Slice(text, cut, found.n_chars)


def split_by_lines(text: Text, found: Survey, fraction: float, seed: int) -> tuple[Text, Text]:
    """All lines but a random `fraction` to train on, and these to validate on. Raises DataError for too few or many."""
    n_valid = round(fraction * found.n_lines) or 1
    if n_valid >= found.n_lines:
        lines = _counted(found.n_lines, "line") + (" that is" if found.n_lines == 1 else " that are")
        raise DataError(
            f"the text has {lines} not blank: too few to keep {n_valid} for validation; "
            "give more lines, or a validation text with --valid FILE"
        )
    if found.n_lines > _MOST_LINES:
        raise DataError(
            f"the text has {found.n_lines:,} lines that are not blank, and of {_MOST_LINES:,} at most some can be "
            "drawn for validation: give a validation text with --valid FILE"
        )
    marks = _random_marks(found.n_lines, n_valid, seed)
    return ChosenLines(text, marks.translate(_OTHERS)), ChosenLines(text, marks)


def _random_marks(n_lines: int, n_chosen: int, seed: int) -> bytes:
    """A byte a line, 1 for those that are chosen; every choice of so many lines is equally likely.

    In memory for one block of lines: how many of them are in it is drawn first.
    """
    generator, shares = random.Random(seed), np.random.default_rng(seed)
    marks = bytearray(n_lines)
    for start in range(0, n_lines, _BLOCK):
        size = min(_BLOCK, n_lines - start)
        n_here = int(shares.hypergeometric(n_chosen, n_lines - start - n_chosen, size))
        for turn in generator.sample(range(size), n_here):
            marks[start + turn] = 1
        n_chosen -= n_here
    return bytes(marks)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)
