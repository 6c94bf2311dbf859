"""Which scored lines are written, and in which order: thresholds, the best N, sorting in bounded memory."""

from __future__ import annotations

import heapq
import itertools
import json
import math
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rnngen.cli.output import Console
from rnngen.cli.score_formats import LineNumbers, Writer
from rnngen.cli.terminal import unguarded
from rnngen.config import OnUnknown
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.scored_lines import ScoredLine

if TYPE_CHECKING:
    from rnngen.tokenizers.base import Tokenizer

SortKey = Literal["perplexity", "logprob"]
CHARS_IN_MEMORY = 1 << 25  # of records that are sorted at a time
RECORD_CHARS = 200  # what a record takes beside its text
MOST_FILES = 64  # that are open at a time, far below what a process may open

Chosen = tuple[ScoredLine, LineNumbers]


@dataclass(frozen=True)
class Choice:
    """Which lines are written, and in which order.

    Attributes:
        max_perplexity: per token, of all tokens.
        min_logprob_nats: of the whole line.
        sort: the best first by this; None keeps the order.
        top: the best N only.

    Raises:
        ConfigError: a threshold that no line, or every line, would pass.
    """

    max_perplexity: float | None = None
    min_logprob_nats: float | None = None
    sort: SortKey | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        if self.max_perplexity is not None and not 1 <= self.max_perplexity < math.inf:
            raise ConfigError(f"max_perplexity is {self.max_perplexity}: it must be a number from 1 on")
        if self.min_logprob_nats is not None and not -math.inf < self.min_logprob_nats <= 0:
            raise ConfigError("min_logprob is out of range: a log-probability is a number of 0 or less")

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
    chosen = _chosen(counted.through(blocks), choice, tokenizer)
    first = next(chosen, None)
    if first is None:
        raise DataError("the text is empty: there is nothing to score")
    out = unguarded(sys.stdout) if writer.paints else sys.stdout
    # Not before a block is scored: an error leaves standard output empty.
    out.write(writer.begin())
    for block in _in_order(itertools.chain([first], chosen), writer, choice):
        out.writelines(block)
        out.flush()
    out.write(writer.end())
    console.unknowns(counted.n_unknown, counted.first_unknown, on_unknown, "the text")


class _Counted:
    """What must be said of all lines at the end, whether they were chosen or not."""

    n_unknown = 0
    first_unknown: str | None = None

    def through(self, blocks: Iterator[list[ScoredLine]]) -> Iterator[list[ScoredLine]]:
        for block in blocks:
            for line in block:
                self.n_unknown += line.encoded.n_unknown
                self.first_unknown = self.first_unknown or line.first_unknown
            yield block


def _chosen(blocks: Iterator[list[ScoredLine]], choice: Choice, tokenizer: Tokenizer) -> Iterator[list[Chosen]]:
    for block in blocks:
        numbered = [(line, LineNumbers.of(line, tokenizer)) for line in block]
        yield [(line, numbers) for line, numbers in numbered if choice.takes(numbers)]


def _in_order(blocks: Iterable[list[Chosen]], writer: Writer, choice: Choice) -> Iterator[Iterable[str]]:
    """What is written, in parts."""
    if choice.sort is None:
        return ([writer.line(line, numbers) for line, numbers in block] for block in blocks)
    chosen = itertools.chain.from_iterable(blocks)
    if choice.top is not None:
        best = heapq.nsmallest(choice.top, chosen, key=lambda pair: (choice.key(pair[1]), pair[0].number))
        return iter([[writer.line(line, numbers) for line, numbers in best]])
    records = ((choice.key(numbers), line.number, writer.line(line, numbers)) for line, numbers in chosen)
    return iter([sorted_texts(records)])


def sorted_texts(records: Iterable[tuple[float, int, str]]) -> Iterator[str]:
    """The texts of (key, number, text), the least key first, by way of temporary files of sorted parts."""
    parts: list[Iterator[Any]] = []
    for part in _parts(records):
        parts.append(_by_way_of_a_file(sorted(part)))
        if len(parts) == MOST_FILES:
            parts = [_by_way_of_a_file(heapq.merge(*parts))]
    yield from (text for _, _, text in heapq.merge(*parts))


def _by_way_of_a_file(records: Iterable[Any]) -> Iterator[Any]:
    try:
        file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - gone when it is read
        file.writelines(json.dumps(record) + "\n" for record in records)
        file.seek(0)
    except OSError as error:
        raise DataError(
            f"cannot keep the lines to sort in {tempfile.tempdir or 'a temporary file'}: {error.strerror}; "
            "set TMPDIR to a folder with more room"
        ) from None
    return _read_back(file)


def _read_back(file: TextIO) -> Iterator[Any]:
    with file:
        yield from map(json.loads, file)


def _parts(records: Iterable[tuple[float, int, str]]) -> Iterator[list[tuple[float, int, str]]]:
    part: list[tuple[float, int, str]] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record[2]) + RECORD_CHARS
        if size >= CHARS_IN_MEMORY:
            yield part
            part, size = [], 0
    if part:
        yield part
