"""Losses of all tokens, and without the unknown symbol."""

from __future__ import annotations

import numpy as np
import pytest

from rnngen.training.losses import SMOOTHING, NatsSum, RunningLoss

UNK = 1
NATS, TARGETS = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32), np.array([[0, UNK], [UNK, 2]])


def test_unknown_symbols_are_told_apart_by_their_targets():
    found = NatsSum.of(NATS, TARGETS, UNK)
    assert found == NatsSum(nats=11.0, n_tokens=4, unknown_nats=5.0, n_unknown=2)
    assert (found.loss, found.known_loss) == (2.75, 3.0)


def test_without_an_unknown_symbol_both_losses_are_the_same_to_the_last_bit():
    found = NatsSum.of(np.float32([0.1, 0.2, 0.3]), np.array([3, 4, 5]), None)
    assert found.loss == found.known_loss == pytest.approx(0.2)


def test_where_all_is_unknown_nothing_is_left():
    step = NatsSum.of(NATS, np.full((2, 2), UNK), UNK)
    assert step.known_loss is None
    losses = RunningLoss()
    losses.add(step)
    losses.add(step)
    assert losses.smooth.known_loss is None


def test_the_smoothed_losses_are_weighted_means_of_the_steps():
    steps = [NatsSum(8.0, 4, 1.0, 2), NatsSum(6.0, 3, 0.0, 0), NatsSum(2.0, 2, 2.0, 2)]
    losses = RunningLoss()
    for step in steps:
        losses.add(step)
    smooth = losses.smooth
    weights = SMOOTHING ** np.array([2.0, 1.0, 0.0])
    assert smooth.loss == pytest.approx(np.average([2.0, 2.0, 1.0], weights=weights))
    # The known tokens of a step weigh what their share of its tokens is: 2 of 4, all, none.
    assert smooth.known_loss == pytest.approx(np.average([3.5, 2.0], weights=weights[:2] * [0.5, 1.0]))
