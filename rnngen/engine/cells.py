"""One recurrent layer in numpy: `rnn` (tanh or relu), `gru`, `lstm`, with the gates and biases of torch.nn.

A layer's work is in two parts: the input's share of all gates, one matrix product for a whole window, and the
recurrence, one matrix product a step.

The logistic function is taken as sigmoid(a) = (1 + tanh(a / 2)) / 2, and its a / 2 is folded into the weights when a
layer is made: halving is exact in floating point, and numpy's tanh is vectorised.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.config import ModelConfig

Array = npt.NDArray[np.float32]


class Layer(Protocol):
    """One recurrent layer.

    Attributes:
        n_states: how many vectors of H it carries (2 for lstm: h and c).
        w_input: [I, G*H] and
        b_input: [G*H], the input's share of the gates.
    """

    n_states: int
    w_input: Array
    b_input: Array

    def step(self, gates: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        """The state after one token; its first vector is the output.

        Args:
            gates: the input's share, [B, G*H]; left as they are.
            state: `n_states` arrays [B, H]; left as they are.
        """


def run(layer: Layer, gates: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """Run the recurrence over a window.

    Args:
        gates: the input's share, [T, B, G*H].

    Returns:
        The outputs, [T, B, H], and the state after the last step.
    """
    if len(gates) == 1:
        state = layer.step(gates[0], state)
        return state[0][None], state
    outputs = np.empty((len(gates), *state[0].shape), np.float32)
    for output, step_gates in zip(outputs, gates, strict=True):
        state = layer.step(step_gates, state)
        output[:] = state[0]
    return outputs, state


def make_layer(config: ModelConfig, weights: dict[str, npt.NDArray[Any]], layer: int) -> Layer:
    """Take one layer's weights out of a checkpoint's."""
    w_ih, w_hh, b_ih, b_hh = (
        weights[f"rnn.{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    match config.cell:
        case "rnn":
            return _RNN(w_ih, w_hh, b_ih, b_hh, config.nonlinearity == "relu")
        case "gru":
            return _GRU(w_ih, w_hh, b_ih, b_hh)
        case "lstm":
            return _LSTM(w_ih, w_hh, b_ih, b_hh)


def _columns(weight: Array, scale: Array) -> Array:
    """[G*H, I] as torch has it -> [I, G*H], scaled by gate.

    A view: in this order in memory BLAS multiplies one row in two thirds of the time, and many rows in as much.
    """
    return np.ascontiguousarray(weight * scale[:, None]).T


class _RNN:
    """h' = f(W_ih x + b_ih + W_hh h + b_hh) (torch.nn.RNN; Elman 1990)."""

    n_states = 1

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array, relu: bool) -> None:
        self.w_input = w_ih.T
        self.b_input = b_ih + b_hh
        self._w = w_hh.T
        self._relu = relu

    def step(self, gates: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        a = state[0] @ self._w
        a += gates
        return (np.maximum(a, 0, out=a) if self._relu else np.tanh(a, out=a),)


class _GRU:
    """r, z = sigmoid(...); n = tanh(W_in x + b_in + r * (W_hn h + b_hn)); h' = (1 - z) n + z h.

    Source: torch.nn.GRU (Cho et al. 2014, with the reset gate after the product).
    """

    n_states = 1

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> None:
        H = w_hh.shape[1]
        scale = np.repeat(np.array([0.5, 0.5, 1.0], np.float32), H)
        self.w_input = _columns(w_ih, scale)
        self.b_input = (b_ih + b_hh * np.repeat(np.array([1.0, 1.0, 0.0], np.float32), H)) * scale
        self._w = _columns(w_hh, scale)
        self._b_n = b_hh[2 * H :].copy()

    def step(self, gates: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        (h,) = state
        H = h.shape[1]
        a = h @ self._w
        rz, n = a[:, : 2 * H], a[:, 2 * H :]
        rz += gates[:, : 2 * H]
        np.tanh(rz, out=rz)
        rz *= 0.5
        rz += 0.5
        n += self._b_n
        n *= rz[:, :H]
        n += gates[:, 2 * H :]
        np.tanh(n, out=n)
        after = h - n
        after *= rz[:, H:]
        after += n
        return (after,)


class _LSTM:
    """i, f, o = sigmoid(...); g = tanh(...); c' = f c + i g; h' = o tanh(c').

    Source: torch.nn.LSTM (Hochreiter and Schmidhuber 1997; gates in the order i, f, g, o).
    """

    n_states = 2

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> None:
        H = w_hh.shape[1]
        scale = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), H)
        self.w_input = _columns(w_ih, scale)
        self.b_input = (b_ih + b_hh) * scale
        self._w = _columns(w_hh, scale)

    def step(self, gates: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        h, c = state
        H = h.shape[1]
        a = h @ self._w
        a += gates
        np.tanh(a, out=a)
        i_f, g, o = a[:, : 2 * H], a[:, 2 * H : 3 * H], a[:, 3 * H :]
        i_f += 1
        i_f *= 0.5
        c_after = i_f[:, H:] * c
        g *= i_f[:, :H]
        c_after += g
        o += 1
        o *= 0.5
        o *= np.tanh(c_after)
        return o, c_after
