"""Which scored lines are written, and in which order: thresholds, the best N, sorting in bounded memory."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import math
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rnngen.cli.output import Console
from rnngen.cli.score_formats import LineNumbers, Writer
from rnngen.cli.scored_lines import ScoredLine
from rnngen.config import OnUnknown
from rnngen.errors import DataError

if TYPE_CHECKING:
    from rnngen.text.tokenizer import Tokenizer

SortKey = Literal["perplexity", "logprob"]
MOST_IN_MEMORY = 1 << 18  # records that are sorted at a time

# The key (less is better), the line's number, and what is written of it.
Record = tuple[float, int, str]


@dataclass(frozen=True)
class Choice:
    """Which lines are written, and in which order.

    Attributes:
        max_perplexity: per token, of all tokens.
        min_logprob_nats: of the whole line.
        sort: the best first by this; None keeps the order.
        top: the best N only.
    """

    max_perplexity: float | None = None
    min_logprob_nats: float | None = None
    sort: SortKey | None = None
    top: int | None = None

    def takes(self, numbers: LineNumbers) -> bool:
        """Whether a line passes; one of which nothing was scored has no perplexity that would be low."""
        if self.max_perplexity is not None and not numbers.perplexity <= self.max_perplexity:
            return False
        return self.min_logprob_nats is None or numbers.logprob_nats >= self.min_logprob_nats

    def key(self, numbers: LineNumbers) -> float:
        """Less is better; what has no number comes last."""
        key = numbers.perplexity if self.sort == "perplexity" else -numbers.logprob_nats
        return math.inf if math.isnan(key) else key


def write_lines(
    blocks: Iterator[list[ScoredLine]],
    writer: Writer,
    choice: Choice,
    tokenizer: Tokenizer,
    on_unknown: OnUnknown,
    console: Console,
) -> None:
    """Write the lines that are chosen to standard output, block by block where they keep their order.

    Raises:
        DataError: there is no line at all.
    """
    counted = _Counted()
    chosen = _chosen(counted.through(blocks), writer, choice, tokenizer)
    if choice.sort is None:
        for block in chosen:
            sys.stdout.write("".join(text for _, _, text in block))
            sys.stdout.flush()
    else:
        for text in best_first((record for block in chosen for record in block), choice.top):
            sys.stdout.write(text)
    if not counted.n_lines:
        raise DataError("the text is empty: there is nothing to score")
    sys.stdout.write(writer.end())
    console.unknowns(counted.n_unknown, counted.first_unknown, on_unknown, "the text")


class _Counted:
    """What must be said of all lines at the end, whether they were chosen or not."""

    n_lines = n_unknown = 0
    first_unknown: str | None = None

    def through(self, blocks: Iterator[list[ScoredLine]]) -> Iterator[list[ScoredLine]]:
        for block in blocks:
            for line in block:
                self.n_unknown += line.encoded.n_unknown
                self.first_unknown = self.first_unknown or line.first_unknown
            self.n_lines += len(block)
            yield block


def _chosen(
    blocks: Iterator[list[ScoredLine]], writer: Writer, choice: Choice, tokenizer: Tokenizer
) -> Iterator[list[Record]]:
    begin = True
    for block in blocks:
        if begin:
            # Not before the first block is scored: an error leaves standard output empty.
            sys.stdout.write(writer.begin())
            begin = False
        records = []
        for line in block:
            numbers = LineNumbers.of(line, tokenizer)
            if choice.takes(numbers):
                records.append((choice.key(numbers), line.number, writer.line(line, numbers)))
        yield records


def best_first(records: Iterable[Record], top: int | None) -> Iterator[str]:
    """What is written of the records, the best first and equal ones in their order.

    Args:
        top: only so many. All of them are sorted in parts that go to temporary files and are merged.
    """
    if top is not None:
        yield from (text for _, _, text in heapq.nsmallest(top, records))
        return
    with contextlib.ExitStack() as files:
        parts = []
        iterator = iter(records)
        while part := sorted(itertools.islice(iterator, MOST_IN_MEMORY)):
            file = files.enter_context(tempfile.TemporaryFile("w+", encoding="ascii"))
            file.writelines(json.dumps(record) + "\n" for record in part)
            file.seek(0)
            parts.append(map(json.loads, file))
        yield from (text for _, _, text in heapq.merge(*parts))
