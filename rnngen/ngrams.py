"""Where the logits of a context stand: the direct n-gram connections of RNNME (Mikolov et al. 2011).

For each order n the last n ids are a context, and the context has a row of logits that is added to the network's. The
rows of all orders stand in one matrix, one order after the other. Where the contexts of an order are no more than
2^bits, each has a row of its own; else they share 2^bits rows by a hash.

Only arithmetic that numpy arrays and torch tensors have in common, so that both sides find the same rows.
"""

from __future__ import annotations

from typing import Any, TypeVar

from rnngen.config import ModelConfig

# The golden ratio in 32 bits (Knuth, volume 3, section 6.4), the smaller of its two forms: with it a product with
# 32 bits fits into int64.
MULTIPLIER = 0x61C88647
MASK = 0xFFFFFFFF

Array = TypeVar("Array", bound=Any)


def context_rows(config: ModelConfig, ids: Array) -> list[Array]:
    """The rows of the matrix that belong to every place's contexts.

    Args:
        ids: int64, time first: [N - 1 + T, ...] with N the largest order; the first N - 1 are what came before.

    Returns:
        For each order an array [T, ...], int64.
    """
    before = config.ngram_history
    rows, first = [], 0
    for order, n_rows in zip(config.ngram_orders, config.ngram_rows, strict=True):
        # The context's ids from the latest to the earliest, as one number: of base V, or folded into 32 bits.
        exact = n_rows == config.vocab_size**order
        index = ids[before:]
        for back in range(1, order):
            earlier = ids[before - back : len(ids) - back]
            index = index * config.vocab_size + earlier if exact else ((index * MULTIPLIER) & MASK) + earlier
        if not exact:
            index = ((index * MULTIPLIER) & MASK) >> (32 - config.ngram_bits)
        rows.append(index + first)
        first += n_rows
    return rows
