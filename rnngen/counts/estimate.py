"""Counting the n-grams of a text by sorting.

Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3 and equation 26,
with the choices of KenLM's `lmplz` (Heafield et al. 2013).

The rank of an n-gram is its place among all n-grams of its length in alphabetical order. To sort (rank of the first
n - 1 tokens, last token) gives the ranks of length n. So a length costs one sort of the text, and the n-grams come in
the order in which the trie has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnngen.counts.storage import token_bytes
from rnngen.counts.trie import LEAST_DISCOUNT, Trie, make_trie

Ids = npt.NDArray[np.integer]
Whole = npt.NDArray[np.int64]

# Where the counts of counts of a short text allow no estimate; those of lmplz --discount_fallback.
FALLBACK = (0.5, 1.0, 1.5)
KEPT_WHOLE = 2  # n-grams up to this length are never left out


@dataclass
class Level:
    """The n-grams of one length in alphabetical order.

    Attributes:
        parents: the rank of the first n - 1 tokens of each.
        tokens: the last token of each.
        raw: how often each occurs.
        adjusted: the same for the longest n-grams, and for those that nothing stands before; for others, how many
            different tokens stand before it.
    """

    parents: Whole
    tokens: Whole
    raw: Whole
    adjusted: Whole


def estimate(
    ids: Ids, newline_id: int, vocab_size: int, order: int, *, by_lines: bool = False, most_bytes: int | None = None
) -> Trie:
    """The counts of a text, which starts as if after a line break.

    Args:
        ids: [n], at least one.
        order: the length of the longest n-grams; they are shorter where the text is.
        by_lines: every line is an example of its own, and no n-gram goes on over a line break.
        most_bytes: what the counts may take in a checkpoint. To keep to it, the rarest of the longest n-grams are left
            out, and of them only the sum is known. None keeps all.

    Returns:
        Counts as Kneser and Ney have them, and discounts from all of them.
    """
    levels = count(np.concatenate([[newline_id], ids]).astype(np.int64), newline_id, vocab_size, order, by_lines)
    discounts = np.array([estimate_discounts(level.adjusted) for level in levels])
    kept, pruned = _prune(levels, _thresholds(levels, most_bytes))
    return make_trie(kept, pruned, discounts)


def count(text: Whole, newline_id: int, vocab_size: int, order: int, by_lines: bool) -> list[Level]:
    """All n-grams of a text, by their lengths from 1.

    Args:
        text: [n]. Its first token is the line break that it stands after, which is itself no event.
    """
    raw = np.bincount(text[1:], minlength=vocab_size)
    levels = [Level(np.zeros(vocab_size, np.int64), np.arange(vocab_size), raw, raw)]
    ranks = text  # of the n-grams that start at each place
    starts_line = levels[0].tokens == newline_id  # whether each n-gram does
    starts = np.arange(len(text))
    for n in range(2, order + 1):
        starts = starts[: np.searchsorted(starts, len(text) - n, side="right")]
        if by_lines and n > 2:
            starts = starts[text[starts + n - 2] != newline_id]
        if not len(starts):
            break
        keys = ranks[starts] * vocab_size + text[starts + n - 1]
        places = np.argsort(keys)
        keys, places = keys[places], starts[places]
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))
        raw = np.diff(firsts, append=len(keys))
        levels[-1].adjusted = before = np.bincount(ranks[places[firsts] + 1], minlength=len(levels[-1].raw))
        if n > 2 and by_lines:
            before[starts_line] = levels[-1].raw[starts_line]
        elif n > 2:
            before[ranks[0]] += 1  # the start of the text counts as one more token
        keys = keys[firsts]
        levels.append(Level(keys // vocab_size, keys % vocab_size, raw, raw))
        starts_line = starts_line[levels[-1].parents]
        ranks = np.empty(len(text), np.int64)
        ranks[places] = np.repeat(np.arange(len(firsts)), raw)
    return levels


def estimate_discounts(counts: Whole) -> tuple[float, float, float]:
    """What is taken from n-grams counted once, twice and more often: equation 26."""
    n = np.bincount(counts[(counts > 0) & (counts < 5)], minlength=5)
    if not n[1:4].all():
        return FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    found = tuple(float(k - (k + 1) * y * n[k + 1] / n[k]) for k in (1, 2, 3))
    if not all(0 <= discount <= k for k, discount in enumerate(found, 1)):
        return FALLBACK
    return tuple(max(discount, LEAST_DISCOUNT) for discount in found)  # type: ignore[return-value]


def _thresholds(levels: list[Level], most_bytes: int | None) -> list[int]:
    """For each length the count up to which n-grams are left out: of the longest ones first.

    They never fall from a length to the next, so that what an n-gram starts and ends with is kept with it.
    """
    thresholds = [0] * len(levels)
    if most_bytes is None:
        return thresholds
    # Token, count, number of n-grams after it, sum of those left out.
    room = most_bytes // (3 + token_bytes(len(levels[0].raw)))
    kept = [len(level.raw) for level in levels]
    while sum(kept) > room and kept[KEPT_WHOLE:] and max(kept[KEPT_WHOLE:]):
        threshold = thresholds[-1] + 1
        for n in range(len(levels) - 1, KEPT_WHOLE - 1, -1):
            thresholds[n] = threshold
            kept[n] = int(np.count_nonzero(levels[n].raw > threshold))
            if sum(kept) <= room:
                break
    return thresholds


def _prune(levels: list[Level], thresholds: list[int]) -> tuple[list[Level], list[Whole]]:
    """The n-grams that are kept, and of each but the longest the sum of the counts of those left out after it."""
    pruned: list[Whole] = []
    kept_before = np.ones(1, bool)
    result: list[Level] = []
    for n, (level, threshold) in enumerate(zip(levels, thresholds, strict=True)):
        kept = level.raw > threshold if n else np.ones(len(level.raw), bool)
        parents = (np.cumsum(kept_before) - 1)[level.parents]
        if n:
            n_before = len(result[-1].raw)
            lost = ~kept & kept_before[level.parents]
            pruned.append(np.bincount(parents[lost], level.adjusted[lost], n_before).astype(np.int64))
        result.append(Level(parents[kept], level.tokens[kept], level.raw[kept], level.adjusted[kept]))
        kept_before = kept
    return result, pruned
