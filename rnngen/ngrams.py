"""Where the logits of a context stand: the direct n-gram connections of RNNME (Mikolov et al. 2011).

For each order n the last n ids are a context, and the context has a row of logits that is added to the network's. The
rows of all orders stand in one matrix, one order after the other. Where the contexts of an order are no more than
2^bits, each has a row of its own; else they share 2^bits rows by a hash.

Only arithmetic that numpy arrays, torch tensors and whole numbers have in common, so that all find the same rows.
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


def context_rows(config: ModelConfig, back: Sequence[Ids]) -> list[Ids]:
    """The rows of the matrix that belong to a place's contexts.

    Args:
        back: the place's id, the id before it, and so on, as many as the largest order; each a number, or an array of
            int64 for many places.

    Returns:
        A row for each order, of the same form.
    """
    rows: list[Ids] = []
    # The context from the latest id to the earliest as one number: of base V, and folded into 32 bits.
    exact = folded = back[0]
    sizes = dict(zip(config.ngram_orders, config.ngram_rows, strict=True))
    first = 0
    for order in range(1, len(back) + 1):
        hashed = (folded * MULTIPLIER) & MASK
        fits = config.vocab_size**order <= 1 << config.ngram_bits
        if order in sizes:
            rows.append((exact if fits else hashed >> (32 - config.ngram_bits)) + first)
            first += sizes[order]
        if order < len(back):
            exact = exact * config.vocab_size + back[order] if fits else exact
            folded = hashed + back[order]
    return rows


def backwards(config: ModelConfig, known: Ids) -> list[Ids]:
    """The first argument of `context_rows` for a window: the ids of all places, and those 1, 2, ... before them.

    Args:
        known: int64, time first: [N - 1 + T, ...], the ids before the window and those of the window.
    """
    before = config.ngram_history
    return [known[before - back : len(known) - back] for back in range(before + 1)]
