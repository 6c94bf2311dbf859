"""Splitting a text into a part to train on and a part to validate on, in one reading of the text."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rnngen.config import ValidPart
from rnngen.errors import DataError
from rnngen.text.corpus import Survey, line_blocks_of
from rnngen.tokenizers.base import Text

TRAIN, VALID = 0, 1  # numbers of the parts

MOST_BLOCKS = 100  # to validate on
FEW_BLOCKS = 10  # of a small text, whose blocks are shorter
LONG_BLOCK, SHORT_BLOCK = 1000, 100  # characters
LONGEST_LINE_IN_A_BLOCK = 4000  # characters; a longer line is cut at white space
_PARAGRAPH = re.compile(r"(?<=\n\n)(?!\n)")
_LINE = re.compile(r"(?:\A|(?<=\n))(?!\n)")
_WHITE_SPACE = re.compile(r"(?<=\S)(?=[ \t\u3000])")  # it stays with the word after it, as in SentencePiece
_PUNCTUATION = re.compile(r"(?<=[,;:!?)\]}>\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f])")
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
class BlockSplit:
    """A running text: blocks to validate on, and the text between them to train on.

    A block starts and ends near the place where that is due: where a paragraph starts, else where a line does, else
    before white space, else after punctuation. A block of long lines is longer than others, and the next one comes
    later. So the share of the text that validates stays as it should be.

    Attributes:
        n_chars: of the text.
        first: where the first block is due; at least 1.
        length: of a block, in characters.
        every: a block for this number of characters.
    """

    text: Text
    n_chars: int
    first: int
    length: int
    every: int

    def pieces(self) -> Iterator[tuple[int, str]]:
        """What each chunk of the text holds of each part.

        Its pieces are joined, because of word level: a single space is implied inside a text, and a token at its start.
        """
        for cut_chunk in self.cut_chunks():
            for part in (TRAIN, VALID):
                if joined := "".join(piece for number, piece in cut_chunk if number == part):
                    yield part, joined

    def cut_chunks(self) -> Iterator[list[tuple[int, str]]]:
        """The pieces of each chunk of the text in their order, none empty. A cut stays in the chunk where it is due."""
        part, cut, due = TRAIN, 0, self.first
        position = n_valid = 0
        for chunk in self.text.chunks():
            pieces: list[tuple[int, str]] = []
            start, end = 0, position + len(chunk)
            while due < end:
                # The first cut leaves something to validate on: more than blank lines at the end of the text.
                last = len(chunk) if cut or end < self.n_chars else len(chunk.rstrip()) - 1
                place = self._cut(chunk, due - position, max(cut + 1 - position, 0), last)
                if piece := chunk[start:place]:
                    pieces.append((part, piece))
                start, before, cut = place, cut, position + place
                if part == TRAIN:
                    part, due = VALID, cut + self.length
                else:
                    n_valid += cut - before
                    part, due = TRAIN, self._next(n_valid, cut)
            if piece := chunk[start:]:
                pieces.append((part, piece))
            yield pieces
            position = end

    def _next(self, n_valid: int, cut: int) -> int:
        """Where the next block is due, after a cut; none starts where there is no room for it."""
        due = max(self.first + n_valid * self.every // self.length, cut + 1)
        return due if due + self.length // 2 <= self.n_chars else self.n_chars

    def _cut(self, chunk: str, due: int, first: int, last: int) -> int:
        """Where a chunk is cut, from `first` to `last`."""
        reach = min(LONGEST_LINE_IN_A_BLOCK, self.every // 2)
        near = min(self.length, self.every - self.length) // 2
        for boundary, farthest in (
            (_PARAGRAPH, near), (_LINE, reach), (_WHITE_SPACE, reach), (_PUNCTUATION, reach)
        ):  # fmt: skip
            # A pattern that looks at the next character does not see one at `endpos`.
            last_here = min(last, due + farthest)
            found = boundary.finditer(chunk, max(first, due - farthest), last_here + 1)
            cuts = [match.start() for match in found if match.start() <= last_here]
            if cuts:
                return min(cuts, key=lambda cut: abs(cut - due))
        return due


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


def split_in_blocks(text: Text, found: Survey, fraction: float, part: ValidPart) -> BlockSplit:
    """Keep a `fraction` of a text, in characters, to validate on: blocks spread over all of it, or its end.

    Where they are depends on the text alone. So runs with different seeds are compared on the same validation text.
    A block is long enough for carried state to count: the first tokens of a block have the end of the block before it
    as their context. The end of the text is cut near `int((1 - fraction) * n)`, where everyone cuts tinyshakespeare.

    Raises:
        DataError: a part would be empty.
    """
    train = int((1 - fraction) * found.n_chars)
    if not 0 < train < found.n_chars:
        raise DataError(
            f"the text has {_counted(found.n_chars, 'character')}: too few to keep {fraction:.0%} for validation; "
            "give more text, or a validation text with --valid FILE"
        )
    n_valid = found.n_chars - train
    if part == "last":
        return BlockSplit(text, found.n_chars, first=train, length=found.n_chars, every=found.n_chars)
    n_blocks = min(MOST_BLOCKS, max(FEW_BLOCKS, n_valid // LONG_BLOCK), max(1, n_valid // SHORT_BLOCK))
    every, length = found.n_chars // n_blocks, n_valid // n_blocks
    return BlockSplit(text, found.n_chars, first=max(1, (every - length) // 2), length=length, every=every)


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
