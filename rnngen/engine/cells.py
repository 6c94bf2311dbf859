"""One recurrent layer: `rnn` (tanh or relu), `gru`, `lstm`, with the gates and biases of torch.nn.

A layer works in two parts: the input's share of all gates, which is one matrix product for a whole window, and the
recurrence, which is one matrix product a step and the operations after it (`bind`).

The logistic function is computed as sigmoid(a) = (1 + tanh(a / 2)) / 2, as numpy's tanh is vectorised. The a / 2 is
folded into the weights when a layer is made: halving is exact in floating point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.config import ModelConfig

Array = npt.NDArray[np.float32]

# numpy would convert a Python number at every call.
_HALF, _ONE = np.array(0.5, np.float32), np.array(1, np.float32)


class Layer(Protocol):
    """One recurrent layer.

    Attributes:
        n_states: how many vectors of H it carries (2 for lstm: h and c).
        w_input: [I, G*H] and
        b_input: [G*H], the input's share of the gates.
        w: [H, G*H], the recurrent weights.
        formula: "tanh", "relu", "gru" or "lstm".
        b_n: [1, H], or None; for a gru, the bias of the last gate's product inside the reset gate.
        cut: the column of `w` that divides the parts of the product with different operations after them.
    """

    n_states: int
    w_input: Array
    b_input: Array
    w: Array
    formula: str
    cut: int

    @property
    def b_n(self) -> Array | None: ...

    def bind(self, state: tuple[Array, ...], left: Array, right: Array) -> Callable[[Array], None]:
        """A function that takes one token a call, given the input's share of the gates, [B, G*H].

        Args:
            state: `n_states` arrays [B, H], of which the first is the output; each call overwrites them.
            left: [B, cut] and
            right: [B, G*H - cut], the product of the output before and `w`; each call overwrites them.
        """


def make_layer(config: ModelConfig, weights: dict[str, npt.NDArray[Any]], layer: int, suffix: str = "") -> Layer:
    """Make a layer from its weights in a checkpoint; `suffix` ends their names."""
    w_ih, w_hh, b_ih, b_hh = (
        weights[f"rnn.{name}_l{layer}{suffix}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    match config.cell:
        case "rnn":
            return _RNN(w_ih, w_hh, b_ih, b_hh, config.nonlinearity == "relu")
        case "gru":
            return _GRU(w_ih, w_hh, b_ih, b_hh)
        case "lstm":
            return _LSTM(w_ih, w_hh, b_ih, b_hh)
    raise ValueError(f"a model of the cell {config.cell!r} has no layers")


def _columns(weight: Array, scale: Array) -> Array:
    """[G*H, I] in torch's order -> [I, G*H], scaled by gate.

    A view: with this order in memory BLAS multiplies one row in two thirds of the time, and many rows in the same time.
    """
    return np.ascontiguousarray(weight * scale[:, None]).T


class _RNN:
    """h' = f(W_ih x + b_ih + W_hh h + b_hh) (torch.nn.RNN; Elman 1990)."""

    n_states = 1
    b_n = None

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array, relu: bool) -> None:
        self.w_input = w_ih.T
        self.b_input = b_ih + b_hh
        self.w, self.cut = w_hh.T, len(w_hh)
        self.formula = "relu" if relu else "tanh"

    def bind(self, state: tuple[Array, ...], left: Array, right: Array) -> Callable[[Array], None]:
        (h,), a, relu = state, left, self.formula == "relu"

        def take(gates: Array) -> None:
            np.add(a, gates, a)
            if relu:
                np.maximum(a, 0, out=h)
            else:
                np.tanh(a, h)

        return take


class _GRU:
    """r, z = sigmoid(...); n = tanh(W_in x + b_in + r * (W_hn h + b_hn)); h' = (1 - z) n + z h.

    Source: torch.nn.GRU (Cho et al. 2014, with the reset gate after the product).
    """

    n_states = 1
    formula = "gru"

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> None:
        H = w_hh.shape[1]
        scale = np.repeat(np.array([0.5, 0.5, 1.0], np.float32), H)
        self.w_input = _columns(w_ih, scale)
        self.b_input = (b_ih + b_hh * np.repeat(np.array([1.0, 1.0, 0.0], np.float32), H)) * scale
        self.w, self.cut = _columns(w_hh, scale), 2 * H
        self.b_n = b_hh[None, 2 * H :].copy()  # with one row: broadcasting a vector takes twice the time

    def bind(self, state: tuple[Array, ...], left: Array, right: Array) -> Callable[[Array], None]:
        (h,), rz, n, b_n = state, left, right, self.b_n
        H = h.shape[1]
        r, z = rz[:, :H], rz[:, H:]

        def take(gates: Array) -> None:
            np.add(rz, gates[:, : 2 * H], rz)
            np.tanh(rz, rz)
            np.multiply(rz, _HALF, rz)
            np.add(rz, _HALF, rz)
            np.add(n, b_n, n)
            np.multiply(n, r, n)
            np.add(n, gates[:, 2 * H :], n)
            np.tanh(n, n)
            np.subtract(h, n, h)
            np.multiply(h, z, h)
            np.add(h, n, h)

        return take


class _LSTM:
    """i, f, o = sigmoid(...); g = tanh(...); c' = f c + i g; h' = o tanh(c').

    Source: torch.nn.LSTM (Hochreiter and Schmidhuber 1997). Its gates i, f, g, o have the order i, f, o, g here.
    """

    n_states = 2
    formula = "lstm"
    b_n = None

    def __init__(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> None:
        H = w_hh.shape[1]
        scale = np.repeat(np.array([0.5, 0.5, 0.5, 1.0], np.float32), H)
        order = np.r_[: 2 * H, 3 * H : 4 * H, 2 * H : 3 * H]
        self.w_input = _columns(w_ih[order], scale)
        self.b_input = (b_ih + b_hh)[order] * scale
        self.w, self.cut = _columns(w_hh[order], scale), 3 * H

    def bind(self, state: tuple[Array, ...], left: Array, right: Array) -> Callable[[Array], None]:
        (h, c), ifo, g = state, left, right
        H = h.shape[1]
        i, f, o = ifo[:, :H], ifo[:, H : 2 * H], ifo[:, 2 * H :]

        def take(gates: Array) -> None:
            np.add(ifo, gates[:, : 3 * H], ifo)
            np.tanh(ifo, ifo)
            np.add(ifo, _ONE, ifo)
            np.multiply(ifo, _HALF, ifo)
            np.add(g, gates[:, 3 * H :], g)
            np.tanh(g, g)
            np.multiply(c, f, c)
            np.multiply(g, i, g)
            np.add(c, g, c)
            np.tanh(c, h)
            np.multiply(h, o, h)

        return take
