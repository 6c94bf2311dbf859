"""Which row of logits a context has: exact where all contexts have room, else by a hash; in numpy and torch alike."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from rnngen.config import ModelConfig
from rnngen.engine.ngrams import Contexts


def config_of(*orders: int, bits: int = 14, vocab_size: int = 7) -> ModelConfig:
    return ModelConfig(vocab_size=vocab_size, embedding_dim=1, hidden_size=1, ngram_orders=orders, ngram_bits=bits)


def rows_of(config: ModelConfig, known):
    return Contexts(config).rows_of_window(known)


def column(*ids: int) -> np.ndarray:
    return np.array(ids, np.int64)[:, None]


def test_exact_rows_of_a_sequence_computed_by_hand():
    # Vocabulary 7, orders 1 and 2: the row of a letter is its id; that of a pair 7 + latest * 7 + earlier.
    unigrams, bigrams = rows_of(config_of(1, 2), column(0, 3, 5, 5))
    assert unigrams.tolist() == [[3], [5], [5]]
    assert bigrams.tolist() == [[7 + 3 * 7 + 0], [7 + 5 * 7 + 3], [7 + 5 * 7 + 5]]


def test_a_hashed_row_computed_by_hand():
    # 2^4 rows for 49 pairs: ((3 * M mod 2^32 + 2) * M mod 2^32) / 2^28, with M = 1640531527.
    (rows,) = rows_of(config_of(2, bits=4), column(2, 3))
    assert rows.tolist() == [[((3 * 1640531527 % 2**32 + 2) * 1640531527 % 2**32) >> 28]]


@pytest.mark.parametrize(("order", "bits"), [(1, 3), (2, 6), (3, 9)])
def test_as_many_rows_as_contexts_give_every_context_its_own(order, bits):
    config = config_of(order, bits=bits)
    found = {int(rows_of(config, column(*context))[0][0, 0]) for context in product(range(7), repeat=order)}
    assert found == set(range(7**order))
    assert config.ngram_rows == (7**order,)


@pytest.mark.parametrize("vocab_size", [256, 100_000])
def test_hashed_rows_stay_in_their_order_and_are_used_evenly(vocab_size):
    config = config_of(2, 3, 5, bits=10, vocab_size=vocab_size)
    ids = np.random.default_rng(0).integers(vocab_size, size=(4 + 20_000, 3))
    for number, rows in enumerate(rows_of(config, ids)):
        assert rows.shape == (20_000, 3)
        counts = np.bincount(rows.ravel() - 1024 * number, minlength=1024)
        assert len(counts) == 1024
        # 58.6 a row are expected, with a standard deviation of 7.7.
        assert counts.min() > 20
        assert counts.max() < 110


def test_a_context_has_the_same_row_wherever_it_stands():
    config = config_of(2, 3, bits=5)
    ids = np.random.default_rng(1).integers(7, size=(2 + 500, 1))
    for order, rows in zip((2, 3), rows_of(config, ids), strict=True):
        contexts = [tuple(ids[2 + t - order + 1 : 2 + t + 1, 0]) for t in range(500)]
        assert len(set(zip(contexts, rows[:, 0].tolist(), strict=True))) == len(set(contexts))


@pytest.mark.parametrize("bits", [5, 14])
def test_numpy_and_torch_find_the_same_rows(bits):
    config = config_of(1, 2, 4, bits=bits)
    ids = np.random.default_rng(2).integers(7, size=(3 + 50, 4))
    for found, wanted in zip(rows_of(config, torch.from_numpy(ids)), rows_of(config, ids), strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("bits", [5, 14])
def test_whole_numbers_find_the_rows_of_arrays(bits):
    config = config_of(1, 2, 4, bits=bits)
    ids = np.random.default_rng(3).integers(7, size=(3 + 50, 1))
    arrays = rows_of(config, ids)
    for place in range(50):
        back = [int(ids[3 + place - earlier, 0]) for earlier in range(4)]
        assert Contexts(config).rows(back) == [int(rows[place, 0]) for rows in arrays]
