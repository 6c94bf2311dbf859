"""Choosing among scored lines: thresholds, the best N, the order."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnngen.checks import LARGE, check_number, check_whole
from rnngen.config import SortKey
from rnngen.storage.sorted_texts import sorted_texts

MOST_PERPLEXITY = 1e300  # of a line of one token that the model takes for impossible

if TYPE_CHECKING:
    from rnngen.evaluate.scored_lines import ScoredLine


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which lines are chosen, and in which order.

    Attributes:
        max_perplexity: per token, of all tokens; 1 or more.
        min_logprob_nats: of the whole line; 0 or less.
        sort: the best first by this; None keeps the order, except with `top`, which then is by perplexity.
        top: only the best N; 1 or more.

    Raises:
        ConfigError: a value is out of its range.
    """

    max_perplexity: float | None = None
    min_logprob_nats: float | None = None
    sort: SortKey | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        if self.max_perplexity is not None:
            check_number("max_perplexity", self.max_perplexity, 1, MOST_PERPLEXITY)
        if self.min_logprob_nats is not None:
            check_number("min_logprob_nats", self.min_logprob_nats, -LARGE, 0)
        if self.top is not None:
            check_whole("top", self.top, 1)

    @property
    def is_ordered(self) -> bool:
        """Whether the chosen lines stand in an order of their own."""
        return self.sort is not None or self.top is not None

    def takes(self, line: ScoredLine) -> bool:
        """Whether a line passes the thresholds. Without a scored token it has no perplexity and passes no limit."""
        if self.max_perplexity is not None and not line.totals.perplexity <= self.max_perplexity:
            return False
        return self.min_logprob_nats is None or line.totals.logprob_nats >= self.min_logprob_nats

    def key(self, line: ScoredLine) -> float:
        """The best line has the least key; one without a number comes last."""
        value = -line.totals.logprob_nats if self.sort == "logprob" else line.totals.perplexity
        return math.inf if math.isnan(value) else value


def choose(blocks: Iterable[list[ScoredLine]], choice: Choice) -> Iterator[list[ScoredLine]]:
    """The chosen lines, in their order; of equal ones the first comes first.

    Yields:
        What is left of each block, perhaps nothing; where the lines are ordered, one block. With `top` only so many
        lines are in memory at a time, with `sort` alone all of them: see `choose_texts`.
    """
    passing = ([line for line in block if choice.takes(line)] for block in blocks)
    if not choice.is_ordered:
        yield from passing
        return
    lines = itertools.chain.from_iterable(passing)
    yield sorted(lines, key=choice.key) if choice.top is None else heapq.nsmallest(choice.top, lines, key=choice.key)


def choose_texts(
    blocks: Iterable[list[ScoredLine]], choice: Choice, text_of: Callable[[ScoredLine], str]
) -> Iterator[Iterator[str]]:
    """The chosen lines as texts, in their order, in bounded memory also where all of them are sorted.

    Args:
        text_of: is called once for each chosen line: with `sort` alone in the order of the input, else in that of the
            output.

    Yields:
        The texts of a block of `choose`.

    Raises:
        DataError: the temporary files that sorting needs cannot be written.
    """
    if choice.sort is None or choice.top is not None:
        yield from (map(text_of, block) for block in choose(blocks, choice))
        return
    lines = (line for block in blocks for line in block if choice.takes(line))
    yield sorted_texts((choice.key(line), place, text_of(line)) for place, line in enumerate(lines))
