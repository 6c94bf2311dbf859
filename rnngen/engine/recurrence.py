"""The recurrence of a layer in numpy, over a window or a token at a time. `compiled.py` has the same in C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rnngen.engine.cells import Array, Layer

Rows = npt.NDArray[np.integer]


class Recurrence(Protocol):
    """One layer's recurrence. The input's share of the gates comes as an array [n, G*H] and rows of it."""

    def run(self, inputs: Array, rows: Rows, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        """Over a window.

        Args:
            rows: of `inputs`, [T, B].
            state: the layer's `n_states` arrays [B, H]; left as they are.

        Returns:
            The outputs, [T, B, H], and the state after the last step.
        """

    def stepper(self, inputs: Array, state: tuple[Array, ...]) -> tuple[Callable[[Rows], None], Array]:
        """The recurrence one token at a time, for sampling.

        Args:
            inputs: may be overwritten between the calls.
            state: as in `run`; each call overwrites it.

        Returns:
            A function that takes one token a call, given its rows of `inputs`, [B]; and the product of the output and
            the readout's weights, [B, V], which each call overwrites.
        """


class NumpyRecurrence:
    """The numpy implementation of Recurrence.

    Args:
        readout: [H, V], further weights to multiply the output with, for the last layer. With one row they are in the
            same product as the recurrent weights.
    """

    def __init__(self, layer: Layer, readout: Array | None = None) -> None:
        self._layer = layer
        self._readout = layer.w[:, :0] if readout is None else readout

    def run(self, inputs: Array, rows: Rows, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        state = tuple(part.copy() for part in state)
        multiply, (left, right, _) = self._products(state[0], self._layer.w[:, :0])
        take = self._layer.bind(state, left, right)
        outputs = np.empty((len(rows), *state[0].shape), np.float32)
        for output, step_rows in zip(outputs, rows, strict=True):
            multiply()
            take(inputs.take(step_rows, axis=0))
            output[:] = state[0]
        return outputs, state

    def stepper(self, inputs: Array, state: tuple[Array, ...]) -> tuple[Callable[[Rows], None], Array]:
        multiply, (left, right, product) = self._products(state[0], self._readout)
        take = self._layer.bind(state, left, right)
        multiply()

        def step(rows: Rows) -> None:
            take(inputs.take(rows, axis=0))
            multiply()

        return step, product

    def _products(self, h: Array, readout: Array) -> tuple[Callable[[], object], list[Array]]:
        """A function that multiplies [B, H] by the left and right columns of `w` and by `readout`; the arrays it fills.

        Operations on a product take a quarter of the time where it is contiguous. So with many rows each part has a
        product of its own. With one row all parts are contiguous in a single product, which is faster than three.
        """
        w, cut = self._layer.w, self._layer.cut
        columns = w.shape[1]
        if len(h) == 1 and readout.shape[1] <= columns:  # otherwise the copy of both would be large
            joint = np.concatenate([w.T, readout.T]).T if readout.size else w
            row = np.empty((1, joint.shape[1]), np.float32)
            return lambda: np.dot(h, joint, row), np.split(row, [cut, columns], axis=1)
        parts = [w[:, :cut], w[:, cut:], readout]
        filled = [np.empty((len(h), part.shape[1]), np.float32) for part in parts]
        pairs = [(part, out) for part, out in zip(parts, filled, strict=True) if part.size]

        def multiply() -> None:
            for part, out in pairs:
                np.dot(h, part, out)

        return multiply, filled
