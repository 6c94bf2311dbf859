"""Interpolation by hand, and its weight by EM."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnngen.evaluate import interpolation
from rnngen.evaluate.interpolation import TOLERANCE_NATS, mix, tune_weight

V = 7


@pytest.fixture
def table():
    probs = np.random.default_rng(5).dirichlet(np.ones(V), V)
    return np.log(probs)


def likelihoods(seed, n=300, better=0.0):
    generator = np.random.default_rng(seed)
    other = np.log(generator.uniform(0.01, 1, n))
    return np.log(generator.uniform(0.01, 1, n)).astype(np.float32), other + better


def mean(logprobs, other, weight):
    return mix(logprobs, other, weight).mean()


def test_a_mixture_by_hand():
    mixed = mix(np.log([0.5, 0.25]), np.log([0.1, 0.5]), 0.25)
    np.testing.assert_allclose(np.exp(mixed), [0.75 * 0.5 + 0.25 * 0.1, 0.75 * 0.25 + 0.25 * 0.5])


def test_at_the_ends_one_model_stands_alone_whatever_the_other_says():
    logprobs, impossible = np.log(np.array([0.5, 0.25], np.float32)), np.full(2, -np.inf)
    np.testing.assert_array_equal(mix(logprobs, impossible, 0), logprobs)
    np.testing.assert_array_equal(mix(impossible, logprobs, 1), logprobs)
    assert mix(logprobs, impossible, 0).dtype == np.float64


def test_what_neither_exp_nor_float32_could_hold_is_mixed_all_the_same():
    np.testing.assert_allclose(
        mix(np.array([-2000.0]), np.array([-2001.0]), 0.5), [-2000 + math.log((1 + 1 / math.e) / 2)]
    )


def test_a_mixture_of_distributions_is_one(table):
    other = np.log(np.random.default_rng(6).dirichlet(np.ones(V), V))
    for weight in (0, 0.01, 0.5, 1):
        np.testing.assert_allclose(np.exp(mix(table, other, weight)).sum(axis=1), 1)


def test_one_iteration_by_hand(monkeypatch):
    monkeypatch.setattr(interpolation, "MOST_ITERATIONS", 1)
    tuned = tune_weight(np.log([0.5, 0.5]), np.log([0.9, 0.1]))
    assert tuned.weight == pytest.approx((0.9 / (0.9 + 0.5) + 0.1 / (0.1 + 0.5)) / 2)
    assert tuned.n_iterations == 1
    assert tuned.gap_nats > TOLERANCE_NATS
    assert tuned.perplexity[0] == pytest.approx(2)
    assert tuned.perplexity[1] == pytest.approx(0.09**-0.5)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("better", [-3.0, -0.3, 0.0, 0.3, 3.0])
def test_no_weight_is_better_than_the_tuned_one_by_more_than_the_tolerance(seed, better):
    logprobs, other = likelihoods(seed, better=better)
    tuned = tune_weight(logprobs, other)
    model, arpa, mixed = tuned.perplexity
    assert tuned.gap_nats <= TOLERANCE_NATS
    assert math.log(mixed) <= math.log(min(model, arpa)) + TOLERANCE_NATS
    assert math.log(mixed) == pytest.approx(-mean(logprobs, other, tuned.weight))
    best = max(mean(logprobs, other, weight) for weight in np.linspace(0, 1, 201))
    assert -math.log(mixed) >= best - TOLERANCE_NATS


def test_every_iteration_raises_the_likelihood(monkeypatch):
    logprobs, other = likelihoods(3)
    found = []
    for most in range(12):
        monkeypatch.setattr(interpolation, "MOST_ITERATIONS", most)
        found.append(tune_weight(logprobs, other).perplexity[2])
    assert found == sorted(found, reverse=True)
    assert found[0] > found[3]


def test_of_two_equal_models_every_weight_is_the_best():
    logprobs, _ = likelihoods(1)
    tuned = tune_weight(logprobs, logprobs.astype(np.float64))
    assert (tuned.weight, tuned.n_iterations) == (0.5, 0)


def test_a_model_that_is_worse_at_every_token_gets_next_to_nothing():
    logprobs, _ = likelihoods(2)
    assert tune_weight(logprobs, logprobs - 1.0).weight < 1e-5
    assert tune_weight(logprobs, logprobs + 1.0).weight > 1 - 1e-5
