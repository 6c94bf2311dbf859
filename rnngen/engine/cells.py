"""One recurrent layer in numpy: `rnn` (tanh or relu), `gru`, `lstm`, with the gates and biases of torch.nn.

A layer's work is in two parts: the input's share of all gates, one matrix product for a whole window, and the
recurrence, one matrix product a step. Arrays are time-major: [T, B, ...].

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

    def run(self, gates: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        """Run the recurrence over a window.

        Args:
            gates: the input's share, [T, B, G*H]; overwritten.
            state: `n_states` arrays [B, H]; left as they are.

        Returns:
            The outputs h, [T, B, H], and the state after the last step.
        """


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
    """[G*H, I] as torch has it -> [I, G*H], scaled by gate."""
    return np.ascontiguousarray((weight * scale[:, None]).T)


class _RNN:
    """h' = f(W_ih x + b_ih + W_hh h + b_hh) (torch.nn.RNN; Elman 1990)."""

    n_states = 1

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array, relu: bool) -> None:
        self.w_input = np.ascontiguousarray(w_ih.T)
        self.b_input = b_ih + b_hh
        self._w = np.ascontiguousarray(w_hh.T)
        self._relu = relu

    def run(self, gates: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        (h,) = state
        for a in gates:
            a += h @ self._w
            if self._relu:
                np.maximum(a, 0, out=a)
            else:
                np.tanh(a, out=a)
            h = a
        return gates, (h.copy(),)


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

    def run(self, gates: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        (h,) = state
        T, B, _ = gates.shape
        H = h.shape[1]
        out = np.empty((T, B, H), np.float32)
        a = np.empty((B, 3 * H), np.float32)
        for t in range(T):
            g = gates[t]
            np.matmul(h, self._w, out=a)
            rz = g[:, : 2 * H]
            rz += a[:, : 2 * H]
            np.tanh(rz, out=rz)
            rz *= 0.5
            rz += 0.5
            n = a[:, 2 * H :]
            n += self._b_n
            n *= rz[:, :H]
            n += g[:, 2 * H :]
            np.tanh(n, out=n)
            h_next = out[t]
            np.subtract(h, n, out=h_next)
            h_next *= rz[:, H:]
            h_next += n
            h = h_next
        return out, (h.copy(),)


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

    def run(self, gates: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        h, c = state
        c = c.copy()
        T, B, _ = gates.shape
        H = h.shape[1]
        out = np.empty((T, B, H), np.float32)
        for t in range(T):
            a = gates[t]
            a += h @ self._w
            np.tanh(a, out=a)
            i, f, g, o = a[:, :H], a[:, H : 2 * H], a[:, 2 * H : 3 * H], a[:, 3 * H :]
            for gate in (i, f, o):
                gate += 1
                gate *= 0.5
            c *= f
            g *= i
            c += g
            h = out[t]
            np.tanh(c, out=h)
            h *= o
        return out, (h.copy(), c)
