"""Counting: what is kept within a size, and texts that have next to nothing to count."""

from __future__ import annotations

import numpy as np
import pytest

from rnngen.counts.estimate import FALLBACK, estimate, estimate_discounts
from rnngen.counts.storage import to_arrays

TEXT = np.random.default_rng(0).geometric(0.15, 5000) % 30


def n_bytes(trie) -> int:
    return sum(array.nbytes for name, array in to_arrays(trie).items() if name != "counts.large")


@pytest.mark.parametrize("most_bytes", [8000, 20_000, 40_000])
def test_the_rarest_of_the_longest_are_left_out_until_the_rest_fits(most_bytes):
    whole, kept = estimate(TEXT, 0, 30, 8), estimate(TEXT, 0, 30, 8, most_bytes=most_bytes)
    assert n_bytes(kept) <= most_bytes < n_bytes(whole)
    assert n_bytes(kept) > most_bytes / 3
    np.testing.assert_array_equal(kept.starts[:3], whole.starts[:3])  # lengths 1 and 2 are whole
    np.testing.assert_array_equal(kept.discounts, whole.discounts[: kept.order])


def test_what_a_kept_ngram_ends_with_is_kept_too():
    trie = estimate(TEXT, 0, 30, 6, most_bytes=20_000)
    ngrams = {}
    for node in range(trie.starts[-1]):
        if node < trie.starts[1]:
            ngrams[node] = (int(trie.tokens[node]),)
        for child in range(trie.first[node], trie.first[node + 1]):
            ngrams[child] = (*ngrams[node], int(trie.tokens[child]))
    known = set(ngrams.values())
    assert len(known) == trie.starts[-1]
    assert {ngram[1:] for ngram in known if len(ngram) > 1} <= known


def test_discounts_of_a_text_that_allows_no_estimate_are_fixed():
    assert estimate_discounts(np.array([1, 1, 2, 5])) == FALLBACK
    assert estimate_discounts(np.array([], np.int64)) == FALLBACK
    one, two, more = estimate_discounts(np.repeat([1, 2, 3, 4], [100, 40, 20, 12]))
    y = 100 / 180
    assert (one, two, more) == pytest.approx((1 - 2 * y * 0.4, 2 - 3 * y * 0.5, 3 - 4 * y * 0.6))


@pytest.mark.parametrize("by_lines", [False, True])
@pytest.mark.parametrize("ids", [[1], [0], [1] * 9, [0] * 9, [1, 0]])
def test_a_text_of_next_to_nothing_has_counts(ids, by_lines):
    trie = estimate(np.array(ids), 0, 3, 10, by_lines=by_lines)
    assert trie.order <= len(ids) + 1
    assert trie.unigram_probs().sum() == pytest.approx(1)
    assert (trie.unigram_probs() > 0).all()


def test_lines_are_counted_each_by_itself():
    ids = np.array([1, 2, 0, 1, 2, 0])
    over, within = (estimate(ids, 0, 3, 3, by_lines=by_lines) for by_lines in (False, True))
    assert over.starts[3] - over.starts[2] == 3  # 0 1 2, 1 2 0 and 2 0 1
    assert within.starts[3] - within.starts[2] == 2
