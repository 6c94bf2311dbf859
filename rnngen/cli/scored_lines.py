"""Lines as they come in, numbered, encoded and scored: what `score` and `perplexity --state reset` share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnngen.cli import models
from rnngen.config import OnUnknown

if TYPE_CHECKING:
    from rnngen.engine.cells import Array
    from rnngen.text.tokenizer import Encoded

MOST_LINES = 2048  # that are scored together
MOST_CHARS = 1 << 20


@dataclass(frozen=True)
class ScoredLine:
    """A line and how likely it is.

    Attributes:
        number: counted from 1.
        text: without its line break.
        logprobs: natural, one for each id and one for the line break.
    """

    number: int
    text: str
    encoded: Encoded
    logprobs: Array

    @property
    def first_unknown(self) -> str | None:
        """The first unknown symbol with its place, for a note."""
        found = self.encoded.first_unknown
        return None if found is None else f"{found} of line {self.number}"


def score_in_blocks(
    loaded: models.Loaded, arriving: Iterator[list[str]], on_unknown: OnUnknown
) -> Iterator[list[ScoredLine]]:
    """Score lines, each by itself, in order.

    Args:
        arriving: lines with their line breaks, those together that came together.
    """
    from rnngen.engine.scoring import score_lines
    from rnngen.text.tokenizer import encode_known

    tokenizer = loaded.checkpoint.tokenizer
    numbers = itertools.count(1)
    for block in _blocks(arriving):
        numbered = [(next(numbers), line.removesuffix("\n")) for line in block]
        encoded = [encode_known(tokenizer, line, on_unknown, f"line {number}") for number, line in numbered]
        scored = score_lines(loaded.model, [line.ids for line in encoded], tokenizer.newline_id)
        yield [
            ScoredLine(number, line, ids, logprobs)
            for (number, line), ids, logprobs in zip(numbered, encoded, scored, strict=True)
        ]


def _blocks(arriving: Iterator[list[str]]) -> Iterator[list[str]]:
    for arrived in arriving:
        block: list[str] = []
        size = 0
        for line in arrived:
            block.append(line)
            size += len(line)
            if len(block) >= MOST_LINES or size >= MOST_CHARS:
                yield block
                block, size = [], 0
        if block:
            yield block
