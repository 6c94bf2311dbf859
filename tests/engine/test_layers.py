"""The layers by hand: their formulas on small numbers, their states, shapes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

import rnngen
from rnngen.engine.layers import RNN, Embedding, GRULayer, Linear, LSTMLayer, RNNLayer, softmax

HELO = "helo"
# As in docs/python.md: unit 0 tells h from e, unit 1 tells the first l from the second.
U = [[2, -2, 0, 0], [0, 0, 2, 0]]
W = [[0, 0], [0, -4]]
V = [[0, 0], [4, 0], [-4, 4], [0, -4]]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def one_hot(symbol: str) -> list[int]:
    return [int(symbol == other) for other in HELO]


def test_three_matrices_know_the_four_pairs_of_hello():
    rnn = RNN(U, W, V)
    assert [HELO[rnn.step(one_hot(symbol)).argmax()] for symbol in "hell"] == list("ello")


def test_the_states_and_probabilities_of_hello_are_those_that_a_hand_computes():
    rnn = RNN(U, W, V)
    a = np.tanh(2)  # what a unit is after its symbol
    b = np.tanh(2 - 4 * a)  # the second unit after the second l
    states = [(a, 0), (-a, 0), (0, a), (0, b)]
    logits = [(0, 4 * a, -4 * a, 0), (0, -4 * a, 4 * a, 0), (0, 0, 4 * a, -4 * a), (0, 0, 4 * b, -4 * b)]
    for symbol, state, row in zip("hell", states, logits, strict=True):
        exponentials = np.exp(row)
        np.testing.assert_allclose(rnn.step(one_hot(symbol)), exponentials / exponentials.sum(), rtol=1e-12)
        np.testing.assert_allclose(rnn.s, state, atol=1e-12)


def test_a_network_of_the_textbooks_is_reset_and_copied():
    rnn = RNN(U, W, V)
    first = rnn.step(one_hot("l"))
    twin = rnn.copy()
    second = rnn.step(one_hot("l"))
    assert second.argmax() != first.argmax()
    np.testing.assert_array_equal(twin.step(one_hot("l")), second)
    rnn.reset()
    np.testing.assert_array_equal(rnn.s, [0, 0])
    np.testing.assert_array_equal(rnn.step(one_hot("l")), first)


def test_a_gru_step_is_its_formula():
    layer = GRULayer([[1], [2], [3]], [[4], [5], [6]], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    h = 0.0
    for x in (0.5, -1.0):
        r, z = sigmoid(1 * x + 0.1 + 4 * h + 0.4), sigmoid(2 * x + 0.2 + 5 * h + 0.5)
        n = np.tanh(3 * x + 0.3 + r * (6 * h + 0.6))
        h = (1 - z) * n + z * h
        assert layer.step([x]) == pytest.approx([h])


def test_an_lstm_step_is_its_formula():
    layer = LSTMLayer([[1], [2], [3], [4]], [[5], [6], [7], [8]], [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8])
    h = c = 0.0
    for x in (0.5, -1.0):
        i, f = sigmoid(1 * x + 0.1 + 5 * h + 0.5), sigmoid(2 * x + 0.2 + 6 * h + 0.6)
        g, o = np.tanh(3 * x + 0.3 + 7 * h + 0.7), sigmoid(4 * x + 0.4 + 8 * h + 0.8)
        c = f * c + i * g
        h = o * np.tanh(c)
        assert layer.step([x]) == pytest.approx([h])
        assert layer.c == pytest.approx([c])


def test_an_rnn_step_is_its_formula_with_relu_too():
    layer = RNNLayer([[1, 2]], [[3]], [0.5], [-1], nonlinearity="relu")
    assert [layer.step(x).item() for x in ([1, 1], [0, 0], [-99, 0])] == [2.5, 7.0, 0.0]


@pytest.mark.parametrize("make", [
    lambda: RNNLayer(np.ones((2, 3)), np.ones((2, 2))), lambda: GRULayer(np.ones((6, 3)), np.ones((6, 2))),
    lambda: LSTMLayer(np.ones((8, 3)), np.ones((8, 2))),
])  # fmt: skip
def test_a_layer_is_copied_and_reset_and_its_outputs_can_be_kept(make):
    layer = make()
    first = layer.step([1, 0, 0])
    kept, twin = first.copy(), layer.copy()
    second = layer.step([0, 1, 0])
    first[:] = 99  # a caller may write into what it was given
    np.testing.assert_array_equal(twin.step([0, 1, 0]), second)
    assert not np.allclose(second, kept)
    layer.reset()
    np.testing.assert_array_equal(layer.h, [0, 0])
    np.testing.assert_array_equal(layer.step([1, 0, 0]), kept)


def test_a_layer_of_float32_computes_in_float32_and_lists_are_float64():
    single = RNNLayer(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32))
    assert single.step([1.0]).dtype == np.float32
    assert RNNLayer([[1]], [[1]]).step([1]).dtype == np.float64


def test_large_numbers_saturate_without_a_warning():
    layer = LSTMLayer(np.full((4, 1), 1e6), np.zeros((4, 1)))
    assert layer.step([1]).tolist() == pytest.approx([np.tanh(1)])
    assert softmax([1e9, 0]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RNN(U, W, [[1, 2, 3]]), "V has 3 columns: it must have 2, as W"),
        (lambda: RNN([[1, 2, 3]], W, V), "U has 1 rows: it must have 2, as W"),
        (lambda: RNN(U, [[1, 2]], V), "W is 1 x 2: it must have as many rows as columns"),
        (lambda: RNN([1, 2], W, V), r"U has the shape \(2,\): it must be a matrix"),
        (lambda: softmax([[1, 2], [3, 4]]), r"logits has the shape \(2, 2\): it must be a vector"),
        (lambda: softmax([]), "logits has no entries"),
        (lambda: Linear([[1j]]), "weight must hold numbers"),
        (lambda: RNNLayer([[1, 2]], [[1, 2]]), "weight_hh is 1 x 2: it must have as many rows as columns"),
        (lambda: GRULayer(np.ones((3, 2)), np.ones((6, 2))), "weight_ih has 3 rows: it must have 6, as weight_hh"),
        (lambda: GRULayer(np.ones(3), np.ones((3, 1))), r"weight_ih has the shape \(3,\): it must be a matrix"),
        (lambda: LSTMLayer(np.ones((4, 2)), np.ones((4, 1)), [1, 2]), "bias_ih has 2 entries: it must have 4"),
        (lambda: RNNLayer([[1], [1, 2]], [[1]]), "weight_ih must hold numbers, in rows of one length"),
        (lambda: RNNLayer([["a"]], [[1]]), "weight_ih must hold numbers, in rows of one length"),
        (lambda: RNNLayer([[1]], [[1]], nonlinearity="sin"), "nonlinearity is 'sin': it must be one of tanh, relu"),
        (lambda: RNNLayer([[1, 2]], [[1]]).step([1]), "x has 1 entries: it must have 2"),
        (lambda: Linear([[1, 2]]).step([[1, 2]]), r"x has the shape \(1, 2\): it must be a vector"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(make, message):
    with pytest.raises(rnngen.ConfigError, match=message):
        make()


@pytest.mark.parametrize("id", [-1, 2])
def test_an_embedding_has_no_row_for_an_id_that_does_not_exist(id):
    with pytest.raises(IndexError, match=f"the id is {id}: it must be 0 to 1"):
        Embedding([[1], [2]]).step(id)
