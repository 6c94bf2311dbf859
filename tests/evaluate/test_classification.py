"""Bayes' rule over models, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rnngen.evaluate.classification import decide


def test_posteriors_and_margins_by_hand():
    decisions = decide(np.log([[0.1, 0.2], [0.3, 0.05], [0.1, 0.15]]))
    assert decisions.winners.tolist() == [1, 0]
    np.testing.assert_allclose(decisions.posteriors, [0.3 / 0.5, 0.2 / 0.4])
    np.testing.assert_allclose(decisions.margins_nats, np.log([3, 0.2 / 0.15]))


def test_of_equals_the_first_wins_without_a_margin():
    decisions = decide(np.full((4, 1), -12.5, np.float32))
    assert (decisions.winners[0], decisions.posteriors[0], decisions.margins_nats[0]) == (0, 0.25, 0)


def test_lines_too_unlikely_for_exp_are_decided_all_the_same():
    decisions = decide(np.array([[-5000.0, -1e6], [-5001.0, -2.0]]))
    assert decisions.winners.tolist() == [0, 1]
    np.testing.assert_allclose(decisions.posteriors, [1 / (1 + np.exp(-1)), 1])
    np.testing.assert_allclose(decisions.margins_nats, [1, 999_998])


def test_what_all_models_have_in_common_changes_nothing():
    logprobs = np.random.default_rng(0).normal(-40, 3, (3, 20))
    plain, shifted = decide(logprobs), decide(logprobs - np.arange(20) * 30)
    np.testing.assert_array_equal(plain.winners, shifted.winners)
    np.testing.assert_allclose(plain.posteriors, shifted.posteriors)
    assert ((plain.posteriors >= 1 / 3) & (plain.posteriors <= 1)).all()
    assert (plain.margins_nats >= 0).all()


def test_no_lines_have_no_decisions():
    assert decide(np.empty((2, 0))).winners.shape == (0,)


def test_the_winner_has_the_largest_posterior_of_a_softmax():
    logprobs = np.random.default_rng(1).normal(0, 1, (5, 50))
    softmax = np.exp(logprobs) / np.exp(logprobs).sum(axis=0)
    decisions = decide(logprobs)
    np.testing.assert_array_equal(decisions.winners, softmax.argmax(axis=0))
    assert decisions.posteriors == pytest.approx(softmax.max(axis=0))
