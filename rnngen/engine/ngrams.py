"""Which row of logits a context has: the direct n-gram connections of RNNME (Mikolov et al. 2011).

For each order n the last n ids are a context. Each context has a row of logits that is added to the network's. The rows
of all orders are in one matrix, one order after the other. If an order has at most 2^bits contexts, each has a row of
its own. Otherwise they share 2^bits rows by a hash.

The arithmetic is the same for numpy arrays, torch tensors and whole numbers, so that all find the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from rnngen.config import ModelConfig

# The golden ratio in 32 bits (Knuth, volume 3, section 6.4), the smaller of its two forms: with it a product with
# 32 bits fits into int64.
MULTIPLIER = 0x61C88647
MASK = 0xFFFFFFFF

Ids = TypeVar("Ids", bound=Any)


class Contexts:
    """The rows of the matrix for the contexts of one place, or of many places."""

    def __init__(self, config: ModelConfig) -> None:
        self._vocab_size, self._shift = config.vocab_size, 32 - config.ngram_bits
        self._before = config.ngram_history
        sizes = dict(zip(config.ngram_orders, config.ngram_rows, strict=True))
        # Of each order up to the largest: whether its contexts have rows of their own, and the first of its rows,
        # None where the model does not have the order.
        self._orders: list[tuple[bool, int | None]] = []
        first = 0
        for order in range(1, self._before + 2):
            fits = config.vocab_size**order <= 1 << config.ngram_bits
            self._orders.append((fits, first if order in sizes else None))
            first += sizes.get(order, 0)

    def rows(self, back: Sequence[Ids]) -> list[Ids]:
        """A row for each order of the model.

        Args:
            back: the place's id, the id before it, and so on, as many as the largest order. Each is a number, or an
                array of int64 for many places.
        """
        rows: list[Ids] = []
        # The context from the latest id to the earliest as one number: of base V, and folded into 32 bits.
        exact: Any = 0
        folded: Any = 0
        for id, (fits, first) in zip(back, self._orders, strict=True):
            if fits:
                exact = exact * self._vocab_size + id
            folded = ((folded + id) * MULTIPLIER) & MASK
            if first is not None:
                rows.append((exact if fits else folded >> self._shift) + first)
        return rows

    def rows_of_window(self, known: Ids) -> list[Ids]:
        """The same for all places of a window.

        Args:
            known: int64, time first: [N - 1 + T, ...], the ids before the window and those of the window.

        Returns:
            For each order [T, ...].
        """
        return self.rows([known[self._before - back : len(known) - back] for back in range(self._before + 1)])
