"""Ids to log-probabilities, line by line or over a whole text, and the totals that are made of them.

All logarithms are natural; the names of totals say their unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnngen.engine.cells import Array
from rnngen.engine.model import Ids, LanguageModel

BATCH_TOKENS = 1 << 14  # places of a batch of lines, padding included
MOST_ROWS = 256
WINDOW_TOKENS = 1 << 12  # of a text at a time


@dataclass(frozen=True)
class Totals:
    """What a text is and how likely a model finds it.

    Attributes:
        logprob_nats: of all `n_tokens`, the unknown ones and the line breaks included.
        n_words: what white space separates, whatever the model's tokens are.
        n_bytes: in UTF-8.
    """

    logprob_nats: float = 0.0
    n_tokens: int = 0
    n_unknown: int = 0
    n_words: int = 0
    n_chars: int = 0
    n_bytes: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.logprob_nats + other.logprob_nats,
            self.n_tokens + other.n_tokens,
            self.n_unknown + other.n_unknown,
            self.n_words + other.n_words,
            self.n_chars + other.n_chars,
            self.n_bytes + other.n_bytes,
        )

    @property
    def loss_nats(self) -> float:
        """Nats a token."""
        return _ratio(-self.logprob_nats, self.n_tokens)

    @property
    def perplexity(self) -> float:
        """exp(nats a token)."""
        return _exp(self.loss_nats)

    @property
    def perplexity_per_word(self) -> float:
        """exp(all nats, those of the line breaks too, / words): comparable between tokenizers."""
        return _exp(_ratio(-self.logprob_nats, self.n_words))

    @property
    def bits_per_char(self) -> float:
        return _ratio(-self.logprob_nats, self.n_chars) / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        return _ratio(-self.logprob_nats, self.n_bytes) / math.log(2)


def count_text(text: str) -> Totals:
    """The counts of a text that need no model."""
    return Totals(n_words=len(text.split()), n_chars=len(text), n_bytes=len(text.encode("utf-8", "surrogatepass")))


def _ratio(amount: float, count: int) -> float:
    return amount / count if count else math.nan


def _exp(nats: float) -> float:
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def score_lines(model: LanguageModel, lines: Sequence[Ids], newline_id: int) -> list[Array]:
    """Log-probabilities of lines, each from a line break to a line break, the state reset.

    Lines of like length share a batch; a row is as it would be alone.

    Args:
        lines: ids without the line break.

    Returns:
        For each line, in order, an array one longer than it: its tokens and the line break that ends it.
    """
    results: list[Array] = [np.empty(0, np.float32)] * len(lines)
    by_length = sorted(range(len(lines)), key=lambda number: len(lines[number]))
    for batch in _batches(by_length, lines):
        longest = len(lines[batch[-1]]) + 1
        inputs = np.full((len(batch), longest), newline_id, np.int64)
        targets = np.full((len(batch), longest), newline_id, np.int64)
        for row, number in enumerate(batch):
            inputs[row, 1 : len(lines[number]) + 1] = lines[number]
            targets[row, : len(lines[number])] = lines[number]
        logprobs, _ = model.logprobs(inputs, targets, model.initial_state(len(batch)))
        for row, number in enumerate(batch):
            results[number] = logprobs[row, : len(lines[number]) + 1].copy()
    return results


def _batches(by_length: list[int], lines: Sequence[Ids]) -> Iterator[list[int]]:
    batch: list[int] = []
    for number in by_length:
        if batch and (len(batch) == MOST_ROWS or (len(batch) + 1) * (len(lines[number]) + 1) > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def score_text(model: LanguageModel, ids: npt.NDArray[np.integer], newline_id: int) -> Iterator[Array]:
    """Log-probabilities of a whole text, the state carried from its begin (after a line break) to its end.

    Yields:
        Arrays that together have one entry for each id.
    """
    previous = newline_id
    state = model.initial_state(1)
    for start in range(0, len(ids), WINDOW_TOKENS):
        targets = np.asarray(ids[start : start + WINDOW_TOKENS], np.int64)
        inputs = np.concatenate([[previous], targets[:-1]])
        logprobs, state = model.logprobs(inputs[None], targets[None], state)
        previous = int(targets[-1])
        yield logprobs[0]
