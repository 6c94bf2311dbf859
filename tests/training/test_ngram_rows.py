"""The rows of n-grams in training: what they add, and the steps that Adagrad takes on them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from rnngen.config import ModelConfig
from rnngen.training.ngram_rows import NGrams, RowAdagrad

CONFIG = ModelConfig(vocab_size=5, embedding_dim=1, hidden_size=1, ngram_orders=(1, 2))


def made(seed: int = 0) -> NGrams:
    torch.manual_seed(seed)
    ngrams = NGrams(CONFIG)
    with torch.no_grad():
        ngrams.weight.normal_()
    return ngrams


def test_new_rows_add_nothing():
    ids = torch.randint(5, (6, 3))
    logits, _ = NGrams(CONFIG)(ids, torch.zeros(1, 3, dtype=torch.int64))
    assert logits.shape == (6, 3, 5)
    assert not logits.any()


def test_the_logits_of_a_place_are_the_sum_of_the_rows_of_its_letter_and_its_pair():
    ngrams = made()
    logits, history = ngrams(torch.tensor([[2], [4]]), torch.tensor([[3]]))
    weight = ngrams.weight.detach()
    torch.testing.assert_close(logits.detach()[:, 0], weight[[2, 4]] + weight[[5 + 2 * 5 + 3, 5 + 4 * 5 + 2]])
    assert history.tolist() == [[4]]


def test_a_window_of_one_token_keeps_what_the_longest_context_needs():
    ngrams = NGrams(ModelConfig(vocab_size=5, embedding_dim=1, hidden_size=1, ngram_orders=(4,)))
    history = ngrams.initial_history(2)
    for id in range(1, 5):
        _, history = ngrams(torch.tensor([[id, 0]]), history)
    assert history.tolist() == [[2, 0], [3, 0], [4, 0]]


def test_the_steps_of_a_row_computed_by_hand():
    weight = nn.Parameter(torch.zeros(3, 2))
    optimizer = RowAdagrad(weight, learning_rate=0.5)
    for row, gradient in ((1, [3.0, -4.0]), (1, [0.0, 12.0])):
        weight.grad = torch.sparse_coo_tensor([[row]], [gradient], weight.shape, check_invariants=True)
        optimizer.step()
    # |(3, -4)| = 5; then sqrt(25 + 144) = 13.
    expected = [-0.5 * 3 / 5, 0.5 * 4 / 5 - 0.5 * 12 / 13]
    assert weight.detach().tolist() == [[0, 0], pytest.approx(expected), [0, 0]]


def test_a_row_that_a_window_names_twice_takes_one_step_along_the_sum():
    once, twice = (nn.Parameter(torch.zeros(3, 2)) for _ in range(2))
    for weight, rows, values in ((once, [[2]], [[4.0, 1.0]]), (twice, [[2, 2]], [[1.0, 1.0], [3.0, 0.0]])):
        weight.grad = torch.sparse_coo_tensor(rows, values, weight.shape, check_invariants=True)
        RowAdagrad(weight, learning_rate=1.0).step()
    assert torch.equal(once, twice)


def test_a_row_with_no_gradient_stays_finite():
    weight = nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.sparse_coo_tensor([[0]], [[0.0, 0.0]], weight.shape, check_invariants=True)
    RowAdagrad(weight, learning_rate=1.0).step()
    assert torch.equal(weight.detach(), torch.ones(2, 2))


def test_counts_of_pairs_are_learnt_without_a_network():
    # After a come b, b, b and c; a row of logits can hold the logarithms of 3/4 and 1/4.
    ngrams = NGrams(ModelConfig(vocab_size=3, embedding_dim=1, hidden_size=1, ngram_orders=(1,)))
    optimizer = RowAdagrad(ngrams.weight, learning_rate=1.0)
    targets = torch.tensor([1, 1, 1, 2])
    for _ in range(300):
        logits, _ = ngrams(torch.zeros(4, 1, dtype=torch.int64), ngrams.initial_history(1))
        loss = functional.cross_entropy(logits.flatten(0, 1), targets)
        ngrams.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), abs=0.01)
