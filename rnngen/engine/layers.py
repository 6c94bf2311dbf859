"""The layers of a network as objects, one vector a call: for reading, teaching and trying things out.

They hold what they remember from call to call. They are written as their formulas are, in the order of gates of
torch.nn, and are not fast: `language_model.py` computes the same for many tokens at once.
"""

from __future__ import annotations

import copy
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from rnngen.config import Nonlinearity
from rnngen.errors import ConfigError

Vector = npt.NDArray[np.floating]  # [n]
Matrix = npt.NDArray[np.floating]  # [rows, columns]


def softmax(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """exp(logits) / sum(exp(logits)).

    Args:
        logits: [V], finite.

    Returns:
        Probabilities, [V], float64, that sum to 1.

    Raises:
        ConfigError: `logits` is no vector of one number or more.

    >>> from rnngen.engine.layers import softmax
    >>> softmax([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    vector = _array("logits", logits, 1).astype(np.float64)
    if not len(vector):
        raise ConfigError("logits has no entries: it must have one or more")
    exponentials = np.exp(vector - vector.max())
    probs: npt.NDArray[np.float64] = exponentials / exponentials.sum()
    return probs


class Embedding:
    """A vector for each symbol: `step(id)` is row `id` of `weight`.

    Args:
        weight: [V, E].

    >>> import rnngen
    >>> rnngen.Embedding([[1, 2], [3, 4]]).step(1).tolist()
    [3.0, 4.0]
    """

    def __init__(self, weight: npt.ArrayLike) -> None:
        self.weight = _matrix("weight", weight)

    def step(self, id: int) -> Vector:
        """The vector of a symbol, [E]. Raises IndexError: there is no such id."""
        if not 0 <= id < len(self.weight):
            raise IndexError(f"the id is {id}: it must be 0 to {len(self.weight) - 1}")
        row: Vector = self.weight[id].copy()
        return row


class Linear:
    """y = W x + b.

    Args:
        weight: W, [O, I].
        bias: b, [O]; None for none.

    >>> import rnngen
    >>> rnngen.Linear([[1, 2], [3, 4]], bias=[10, 20]).step([1, 1]).tolist()
    [13.0, 27.0]
    """

    def __init__(self, weight: npt.ArrayLike, bias: npt.ArrayLike | None = None) -> None:
        self.weight = _matrix("weight", weight)
        self.bias = _vector("bias", bias, len(self.weight), self.weight)

    def step(self, x: npt.ArrayLike) -> Vector:
        """[I] -> [O]. Raises ConfigError: x has another shape."""
        y: Vector = self.weight @ _vector("x", x, self.weight.shape[1], self.weight) + self.bias
        return y


class _Recurrent:
    """What the recurrent layers share: two products with their biases, and the hidden state."""

    _n_gates: int

    def __init__(
        self,
        weight_ih: npt.ArrayLike,
        weight_hh: npt.ArrayLike,
        bias_ih: npt.ArrayLike | None = None,
        bias_hh: npt.ArrayLike | None = None,
    ) -> None:
        self.weight_ih, self.weight_hh = _matrix("weight_ih", weight_ih), _matrix("weight_hh", weight_hh)
        GH, H = self.weight_hh.shape
        if self._n_gates * H != GH:
            times = f"{self._n_gates} times " if self._n_gates > 1 else ""
            raise ConfigError(f"weight_hh is {GH} x {H}: it must have {times}as many rows as columns")
        if len(self.weight_ih) != GH:
            raise ConfigError(f"weight_ih has {len(self.weight_ih)} rows: it must have {GH}, as weight_hh")
        self.bias_ih = _vector("bias_ih", bias_ih, GH, self.weight_hh)
        self.bias_hh = _vector("bias_hh", bias_hh, GH, self.weight_hh)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the state becomes zeros."""
        self.h: Vector = np.zeros(self.weight_hh.shape[1], self.weight_hh.dtype)

    def copy(self) -> Self:
        """A layer with the same weights that goes on from the same state by itself."""
        return copy.copy(self)  # steps replace the state's arrays and do not write into them

    def _gates(self, x: npt.ArrayLike) -> tuple[list[Vector], list[Vector]]:
        """The shares of the input and of the hidden state in each gate, biases included: G vectors [H] each."""
        x = _vector("x", x, self.weight_ih.shape[1], self.weight_ih)
        from_input, from_hidden = self.weight_ih @ x + self.bias_ih, self.weight_hh @ self.h + self.bias_hh
        return np.split(from_input, self._n_gates), np.split(from_hidden, self._n_gates)


class RNNLayer(_Recurrent):
    """h' = f(W_ih x + b_ih + W_hh h + b_hh), with f tanh or relu (torch.nn.RNN; Elman 1990).

    Args:
        weight_ih: W_ih, [H, I].
        weight_hh: W_hh, [H, H].
        bias_ih: b_ih, [H]; None for none.
        bias_hh: b_hh, [H]; None for none.

    Attributes:
        h: the hidden state, [H]; zeros at the start.

    Raises:
        ConfigError: the shapes do not fit.

    >>> import rnngen
    >>> layer = rnngen.RNNLayer([[1, 0]], [[2]], nonlinearity="relu")
    >>> layer.step([3, 5]).tolist(), layer.step([0, 0]).tolist()
    ([3.0], [6.0])
    """

    _n_gates = 1

    def __init__(
        self,
        weight_ih: npt.ArrayLike,
        weight_hh: npt.ArrayLike,
        bias_ih: npt.ArrayLike | None = None,
        bias_hh: npt.ArrayLike | None = None,
        *,
        nonlinearity: Nonlinearity = "tanh",
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ConfigError(f"nonlinearity is {nonlinearity!r}: it must be one of tanh, relu")
        super().__init__(weight_ih, weight_hh, bias_ih, bias_hh)
        self.nonlinearity = nonlinearity

    def step(self, x: npt.ArrayLike) -> Vector:
        """Take the next input, [I]. Returns the new hidden state, [H]. Raises ConfigError: x has another shape."""
        (a_input,), (a_hidden,) = self._gates(x)
        a = a_input + a_hidden
        self.h = np.maximum(a, 0) if self.nonlinearity == "relu" else np.tanh(a)
        return self.h.copy()


class GRULayer(_Recurrent):
    """r = sigmoid(W_ir x + b_ir + W_hr h + b_hr), z likewise; n = tanh(W_in x + b_in + r * (W_hn h + b_hn));
    h' = (1 - z) * n + z * h (torch.nn.GRU; Cho et al. 2014, with the reset gate after the product).

    Args:
        weight_ih: the rows of W_ir, W_iz and W_in, [3*H, I].
        weight_hh: the rows of W_hr, W_hz and W_hn, [3*H, H].
        bias_ih: [3*H]; None for none.
        bias_hh: [3*H]; None for none.

    Attributes:
        h: the hidden state, [H]; zeros at the start.

    Raises:
        ConfigError: the shapes do not fit.

    >>> import rnngen
    >>> layer = rnngen.GRULayer([[0], [0], [1]], [[0], [0], [0]])
    >>> round(layer.step([100]).item(), 3), round(layer.step([0]).item(), 3)  # both gates are 1/2
    (0.5, 0.25)
    """

    _n_gates = 3

    def step(self, x: npt.ArrayLike) -> Vector:
        """Take the next input, [I]. Returns the new hidden state, [H]. Raises ConfigError: x has another shape."""
        (r_input, z_input, n_input), (r_hidden, z_hidden, n_hidden) = self._gates(x)
        r, z = _sigmoid(r_input + r_hidden), _sigmoid(z_input + z_hidden)
        n = np.tanh(n_input + r * n_hidden)
        self.h = (1 - z) * n + z * self.h
        return self.h.copy()


class LSTMLayer(_Recurrent):
    """i = sigmoid(W_ii x + b_ii + W_hi h + b_hi), f and o likewise, g with tanh; c' = f * c + i * g;
    h' = o * tanh(c') (torch.nn.LSTM; Hochreiter and Schmidhuber 1997).

    Args:
        weight_ih: the rows of W_ii, W_if, W_ig and W_io, [4*H, I].
        weight_hh: the rows of W_hi, W_hf, W_hg and W_ho, [4*H, H].
        bias_ih: [4*H]; None for none.
        bias_hh: [4*H]; None for none.

    Attributes:
        h: the hidden state, [H]; zeros at the start.
        c: the cell state, [H]; zeros at the start.

    Raises:
        ConfigError: the shapes do not fit.

    >>> import rnngen
    >>> layer = rnngen.LSTMLayer([[0], [0], [1], [0]], [[0], [0], [0], [0]])
    >>> round(layer.step([100]).item(), 3), layer.c.tolist()  # all three gates are 1/2
    (0.231, [0.5])
    """

    _n_gates = 4

    def reset(self) -> None:
        """Forget everything: both states become zeros."""
        super().reset()
        self.c: Vector = np.zeros_like(self.h)

    def step(self, x: npt.ArrayLike) -> Vector:
        """Take the next input, [I]. Returns the new hidden state, [H]. Raises ConfigError: x has another shape."""
        i, f, g, o = (from_input + from_hidden for from_input, from_hidden in zip(*self._gates(x), strict=True))
        self.c = _sigmoid(f) * self.c + _sigmoid(i) * np.tanh(g)
        self.h = _sigmoid(o) * np.tanh(self.c)
        return self.h.copy()


class RNN:
    """The recurrent network of the textbooks: s_t = tanh(U x_t + W s_(t-1)), o_t = softmax(V s_t).

    Args:
        U: input to hidden, [H, I].
        W: hidden to hidden, [H, H].
        V: hidden to output, [O, H].

    Raises:
        ConfigError: the shapes do not fit.

    >>> import rnngen
    >>> rnn = rnngen.RNN(U=[[2, 0]], W=[[0]], V=[[0], [5]])
    >>> rnn.step([1, 0]).round(3).tolist()
    [0.008, 0.992]
    >>> rnn.step([0, 1]).tolist()
    [0.5, 0.5]
    """

    def __init__(self, U: npt.ArrayLike, W: npt.ArrayLike, V: npt.ArrayLike) -> None:
        U, W, V = _matrix("U", U), _matrix("W", W), _matrix("V", V)
        H = len(W)
        if W.shape[1] != H:
            raise ConfigError(f"W is {H} x {W.shape[1]}: it must have as many rows as columns")
        if len(U) != H:
            raise ConfigError(f"U has {len(U)} rows: it must have {H}, as W")
        if V.shape[1] != H:
            raise ConfigError(f"V has {V.shape[1]} columns: it must have {H}, as W")
        self._layer, self._output = RNNLayer(U, W), Linear(V)

    @property
    def s(self) -> Vector:
        """The hidden state, [H]; zeros at the start."""
        return self._layer.h

    def step(self, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Take the next input, [I]. Returns probabilities, [O]. Raises ConfigError: x has another shape."""
        return softmax(self._output.step(self._layer.step(x)))

    def reset(self) -> None:
        """Forget everything: the state becomes zeros."""
        self._layer.reset()

    def copy(self) -> RNN:
        """A network with the same matrices that goes on from the same state by itself."""
        twin = copy.copy(self)
        twin._layer = self._layer.copy()
        return twin


def _sigmoid(a: Vector) -> Vector:
    result: Vector = (1 + np.tanh(a / 2)) / 2  # exp(-a) would overflow
    return result


def _array(name: str, values: npt.ArrayLike, ndim: Literal[1, 2]) -> npt.NDArray[np.floating]:
    """float32 stays as it is, everything else becomes float64."""
    try:
        array = np.asarray(values)
        if np.iscomplexobj(array):
            raise TypeError
        array = array if array.dtype == np.float32 else array.astype(np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must hold numbers, in rows of one length") from None
    if array.ndim != ndim:
        raise ConfigError(f"{name} has the shape {array.shape}: it must be a {'vector' if ndim == 1 else 'matrix'}")
    return array


def _matrix(name: str, values: npt.ArrayLike) -> Matrix:
    return _array(name, values, 2)


def _vector(name: str, values: npt.ArrayLike | None, size: int, like: Matrix) -> Vector:
    """A vector of a size, in the type of a matrix that it is used with; None gives zeros."""
    vector = np.zeros(size, like.dtype) if values is None else _array(name, values, 1)
    if len(vector) != size:
        raise ConfigError(f"{name} has {len(vector)} entries: it must have {size}")
    return vector.astype(like.dtype, copy=False)
