"""Splitting a text into a part to train on and a part to validate on, in one reading of the text."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rnngen.errors import DataError
from rnngen.text.corpus import Survey, line_blocks_of
from rnngen.tokenizers.base import Text

TRAIN, VALID = 0, 1  # numbers of the parts

_BLOCK = 1 << 20  # lines that are assigned together
_MOST_LINES = 10**9  # for which numpy can draw a hypergeometric number


class SplitText(Protocol):
    """A text in parts, which have numbers from 0."""

    def pieces(self) -> Iterator[tuple[int, str]]:
        """Read the text once. Yields the number of a part and its next characters, at least one."""


class Unchanged:
    """A text that was surveyed and must not change. Reading it again raises DataError at its end if it has changed.

    The times of files are coarse and can be set back. Only the hash keeps wrong ids out of the cache.
    """

    def __init__(self, text: Text, found: Survey, name: str = "the text") -> None:
        self._text, self._survey, self._name = text, found, name

    def chunks(self) -> Iterator[str]:
        """The text as it is read."""
        digest = hashlib.sha256()
        for chunk in self._text.chunks():
            digest.update(chunk.encode("utf-8", "surrogatepass"))
            yield chunk
        if digest.hexdigest() != self._survey.sha256:
            raise DataError(f"{self._name} changed while it was read: start again when nothing writes to it")


@dataclass(frozen=True)
class Whole:
    """All of a text as part 0."""

    text: Text

    def pieces(self) -> Iterator[tuple[int, str]]:
        """Every chunk of the text."""
        return ((0, chunk) for chunk in self.text.chunks())


@dataclass(frozen=True)
class CharacterSplit:
    """The characters of a text before `cut`, and those from there on."""

    text: Text
    cut: int

    def pieces(self) -> Iterator[tuple[int, str]]:
        """The chunks of the text; the chunk with the cut in it is divided."""
        position = 0
        for chunk in self.text.chunks():
            cut = max(self.cut - position, 0)
            position += len(chunk)
            if before := chunk[:cut]:
                yield TRAIN, before
            if after := chunk[cut:]:
                yield VALID, after


@dataclass(frozen=True)
class LineSplit:
    """The lines of a text that are not blank, each with a line break, assigned to parts.

    Attributes:
        parts: a byte for each line that is not blank: the number of its part.
    """

    text: Text
    parts: bytes

    def pieces(self) -> Iterator[tuple[int, str]]:
        """The lines of each part, in the blocks that were read together."""
        turn = 0
        for block in line_blocks_of(self.text.chunks()):
            lines: tuple[list[str], list[str]] = ([], [])
            for line in block:
                if line.strip():
                    # A text that has grown has more lines; `Unchanged` says so at its end.
                    part = self.parts[turn] if turn < len(self.parts) else TRAIN
                    lines[part].append(line if line.endswith("\n") else line + "\n")
                    turn += 1
            for part in (TRAIN, VALID):
                if lines[part]:
                    yield part, "".join(lines[part])


@dataclass(frozen=True)
class PartOfText:
    """One part of a text as a text of its own."""

    whole: SplitText
    number: int

    def chunks(self) -> Iterator[str]:
        """The pieces of this part; the others are read too."""
        return (piece for number, piece in self.whole.pieces() if number == self.number)


def split_by_characters(text: Text, found: Survey, fraction: float) -> CharacterSplit:
    """Keep the last `fraction` of a text, in characters, to validate on.

    The cut is at `int((1 - fraction) * n)`, as is usual for tinyshakespeare. Raises DataError when a part is empty.
    """
    cut = int((1 - fraction) * found.n_chars)
    if not 0 < cut < found.n_chars:
        raise DataError(
            f"the text has {_counted(found.n_chars, 'character')}: too few to keep {fraction:.0%} for validation; "
            "give more text, or a validation text with --valid FILE"
        )
    return CharacterSplit(text, cut)


def split_by_lines(text: Text, found: Survey, fraction: float, seed: int) -> LineSplit:
    """Keep a random `fraction` of the lines to validate on. Raises DataError for too few or too many lines."""
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
    return LineSplit(text, _random_parts(found.n_lines, n_valid, seed))


def _random_parts(n_lines: int, n_valid: int, seed: int) -> bytes:
    """The part of each line. Every choice of `n_valid` lines to validate on is equally likely.

    Needs memory for one block of lines: the number of chosen lines in a block is drawn first.
    """
    generator, shares = random.Random(seed), np.random.default_rng(seed)
    parts = bytearray(n_lines)
    for start in range(0, n_lines, _BLOCK):
        size = min(_BLOCK, n_lines - start)
        n_here = int(shares.hypergeometric(n_valid, n_lines - start - n_valid, size))
        for turn in generator.sample(range(size), n_here):
            parts[start + turn] = VALID
        n_valid -= n_here
    return bytes(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)
