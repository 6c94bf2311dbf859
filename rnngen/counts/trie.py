"""The counts of n-grams as a trie in a few flat arrays, as a checkpoint has them.

    node    0 ... V - 1   V ...                the n-grams of length 1 (all symbols), then those of length 2, ...,
    token   0 ... V - 1   a b a c ...          each length in alphabetical order
    count   how often     9 2 1 4 ...
    first   the node of the first n-gram that goes on after this one; first[node + 1] ends them

The counts and not the probabilities are kept: they are small whole numbers of one byte each, so they are exact, no
broken file can hold a probability above 1 or a loop, and training can take a token's own occurrence out of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]
Small = npt.NDArray[np.uint32]

# Without a discount nothing is left for what did not follow, and its probability would be 0.
LEAST_DISCOUNT = 0.01


class LevelLike(Protocol):
    """What `make_trie` needs of the n-grams of one length."""

    parents: Whole
    tokens: Whole
    adjusted: Whole


@dataclass(frozen=True, eq=False)
class Trie:
    """The n-grams of a text with their counts (`estimate.Level.adjusted`).

    Attributes:
        starts: [order + 1]: the first node of each length, and the number of all nodes.
        tokens: [nodes], the last token of each n-gram.
        counts: [nodes].
        first: [nodes + 1], the node of the first n-gram that is longer by one and starts with this one.
        pruned: [nodes], the sum of the counts of the n-grams that are longer by one and were left out.
        discounts: [order, 3], float64, of n-grams counted once, twice, and more often.
    """

    starts: Whole
    tokens: Small
    counts: Small
    first: Small
    pruned: Small
    discounts: npt.NDArray[np.float64]

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return len(self.starts) - 1

    @property
    def vocab_size(self) -> int:
        return int(self.starts[1])

    def up_to(self, order: int) -> Trie:
        """The same without n-grams that are longer."""
        if order >= self.order:
            return self
        end, last = int(self.starts[order]), slice(int(self.starts[order - 1]), int(self.starts[order]))
        first, pruned = self.first[: end + 1].copy(), self.pruned[:end].copy()
        first[last.start :] = end
        pruned[last] = 0
        return Trie(
            self.starts[: order + 1], self.tokens[:end], self.counts[:end], first, pruned, self.discounts[:order]
        )

    def unigram_probs(self) -> npt.NDArray[np.float64]:
        """[V]: the discounted shares of the symbols, and what is left shared out evenly. The sum is 1."""
        return self._unigram_shares(self.counts[: self.vocab_size])

    def unigram_probs_less(self) -> npt.NDArray[np.float64]:
        """The same [V] for symbols of which one occurrence is not counted, by the unchanged sum of all."""
        counts = self.counts[: self.vocab_size]
        return self._unigram_shares(np.maximum(counts, 1) - 1)

    def _unigram_shares(self, counts: Small) -> npt.NDArray[np.float64]:
        all_counts = self.counts[: self.vocab_size]
        total = float(all_counts.sum(dtype=np.int64))
        if not total:
            return np.full(self.vocab_size, 1 / self.vocab_size)
        by_count = np.concatenate([[0], self.discounts[0]])
        left = by_count[np.minimum(all_counts, 3)].sum() / total
        shares: npt.NDArray[np.float64] = (counts - by_count[np.minimum(counts, 3)]) / total + left / self.vocab_size
        return shares


def make_trie(levels: Sequence[LevelLike], pruned: list[Whole], discounts: npt.NDArray[np.float64]) -> Trie:
    """The levels, by their lengths from 1, as one trie.

    Args:
        pruned: of each length but the highest.
    """
    sizes = [len(level.tokens) for level in levels]
    while sizes[-1] == 0:
        del sizes[-1]
    levels = levels[: len(sizes)]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    children = [np.bincount(level.parents, minlength=size) for level, size in zip(levels[1:], sizes, strict=False)]
    children.append(np.zeros(sizes[-1], np.int64))
    # Where nothing is kept after an n-gram, all of it goes to the shorter one.
    lost = [np.where(n > 0, sums, 0) for n, sums in zip(children, pruned, strict=False)]
    lost.append(np.zeros(sizes[-1], np.int64))
    return Trie(
        starts=starts,
        tokens=np.concatenate([level.tokens for level in levels]).astype(np.uint32),
        counts=np.concatenate([level.adjusted for level in levels]).astype(np.uint32),
        first=np.concatenate([[sizes[0]], sizes[0] + np.cumsum(np.concatenate(children))]).astype(np.uint32),
        pruned=np.concatenate(lost[: len(sizes)]).astype(np.uint32),
        discounts=discounts[: len(sizes)],
    )
