"""Every cell against its formula, written down once more in plain Python floats."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnngen.config import ModelConfig
from rnngen.engine.cells import make_layer

H = 2


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def affine(weight, x, bias):
    return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def rnn_step(from_input, from_h, state, f):
    return [[f(from_input[j] + from_h[j]) for j in range(H)]]


def gru_step(from_input, from_h, state, f):
    (h,) = state
    after = []
    for j in range(H):
        r = sigmoid(from_input[j] + from_h[j])
        z = sigmoid(from_input[H + j] + from_h[H + j])
        n = math.tanh(from_input[2 * H + j] + r * from_h[2 * H + j])
        after.append((1 - z) * n + z * h[j])
    return [after]


def lstm_step(from_input, from_h, state, f):
    _, c = state
    h_after, c_after = [], []
    for j in range(H):
        i, forget, g, o = (from_input[gate * H + j] + from_h[gate * H + j] for gate in range(4))
        c_after.append(sigmoid(forget) * c[j] + sigmoid(i) * math.tanh(g))
        h_after.append(sigmoid(o) * math.tanh(c_after[j]))
    return [h_after, c_after]


STEPS = {"rnn": rnn_step, "gru": gru_step, "lstm": lstm_step}
NONLINEARITIES = {"tanh": math.tanh, "relu": lambda a: max(a, 0.0)}


def run(recurrence, gates, state):
    """Outputs [T, B, H] and the state after gates [T, B, G*H]."""
    rows = np.arange(gates.shape[0] * gates.shape[1]).reshape(gates.shape[:2])
    return recurrence.run(gates.reshape(-1, gates.shape[-1]), rows, state)


def two_units(cell_options) -> ModelConfig:
    return ModelConfig(vocab_size=3, embedding_dim=2, hidden_size=H, **cell_options)


def test_three_steps_of_two_units_follow_the_formula(cell_options, random_weights, recurrence_of):
    config = two_units(cell_options)
    weights = random_weights(config)
    layer = make_layer(config, weights, 0)
    inputs = [[0.5, -1.0], [2.0, 0.25], [-0.125, 0.75]]
    expected = [[0.3, -0.6], [-0.9, 1.5]][: layer.n_states]
    before = tuple(np.array([part], np.float32) for part in expected)

    gates = np.array(inputs, np.float32)[:, None] @ layer.w_input + layer.b_input
    outputs, after = run(recurrence_of(layer), gates, before)

    w_ih, w_hh, b_ih, b_hh = (
        weights[f"rnn.{name}_l0"].tolist() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    f = NONLINEARITIES[config.nonlinearity]
    for t, x in enumerate(inputs):
        expected = STEPS[config.cell](affine(w_ih, x, b_ih), affine(w_hh, expected[0], b_hh), expected, f)
        assert outputs[t, 0].tolist() == pytest.approx(expected[0], abs=1e-6)
    np.testing.assert_allclose(np.concatenate(after), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "h_after", "c_after"),
    [
        ("rnn", 0.0, None),  # tanh(0)
        ("gru", 0.4, None),  # r = z = 1/2, n = 0
        ("lstm", 0.5 * math.tanh(0.3), 0.3),  # every gate 1/2, g = 0
    ],
)
def test_a_cell_without_weights_halves_what_it_remembers(cell, h_after, c_after, recurrence_of):
    config = ModelConfig(vocab_size=1, embedding_dim=1, hidden_size=1, cell=cell)
    weights = {name: np.zeros(shape, np.float32) for name, shape in config.weight_shapes().items()}
    layer = make_layer(config, weights, 0)
    state = (np.array([[0.8]], np.float32), np.array([[0.6]], np.float32))[: layer.n_states]
    outputs, after = run(recurrence_of(layer), np.zeros((1, 1, config.num_gates), np.float32), state)
    assert outputs.item() == pytest.approx(h_after)
    if c_after is not None:
        assert after[1].item() == pytest.approx(c_after)


def test_the_state_that_a_layer_is_given_stays_as_it_is(cell_options, random_weights, recurrence_of):
    config = two_units(cell_options)
    layer = make_layer(config, random_weights(config), 0)
    state = tuple(np.full((1, H), 0.5, np.float32) for _ in range(layer.n_states))
    run(recurrence_of(layer), np.ones((4, 1, config.num_gates * H), np.float32), state)
    assert all((part == 0.5).all() for part in state)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_enormous_gates_saturate_and_do_not_overflow(cell, random_weights, recurrence_of):
    config = two_units({"cell": cell})
    layer = make_layer(config, random_weights(config), 0)
    state = tuple(np.zeros((1, H), np.float32) for _ in range(layer.n_states))
    for gate in (1e30, -1e30):
        outputs, _ = run(recurrence_of(layer), np.full((2, 1, config.num_gates * H), gate, np.float32), state)
        assert (np.abs(outputs) <= 1).all()
