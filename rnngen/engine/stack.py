"""The recurrent layers of one direction: ids in, the outputs of the last layer out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.config import ModelConfig
from rnngen.engine import compiled
from rnngen.engine.cells import Array, Layer, make_layer
from rnngen.engine.compiled import CompiledRecurrence
from rnngen.engine.recurrence import NumpyRecurrence, Recurrence

Ids = npt.NDArray[np.integer]

# Above this many numbers the product of embedding and input weights is computed for each window and not kept.
LARGEST_TABLE = 1 << 24


class Stack:
    """An embedding and the layers above it.

    Args:
        weights: as in a checkpoint.
        suffix: of the names of the layers' weights.
        readout: [H, V], further weights to multiply the output with while stepping.
    """

    def __init__(
        self, config: ModelConfig, weights: dict[str, npt.NDArray[Any]], suffix: str = "", readout: Array | None = None
    ) -> None:
        self._config = config
        layers = [make_layer(config, weights, number, suffix) for number in range(config.num_layers)]
        self.n_states = layers[0].n_states if layers else 0
        self._input_weights = [(layer.w_input, layer.b_input) for layer in layers]
        self._recurrences = [make_recurrence(layer, None) for layer in layers[:-1]]
        self._recurrences += [make_recurrence(layer, readout) for layer in layers[-1:]]
        self._table: Array | None = None
        if layers:
            self._embedding = weights["embedding.weight"]
            if config.vocab_size * len(layers[0].b_input) <= LARGEST_TABLE:
                self._table = _gates(self._embedding, *self._input_weights[0])  # [V, G*H]

    def initial_state(self, batch_size: int) -> tuple[Array, ...]:
        """Zeros: `n_states` arrays [L, B, H]."""
        shape = (self._config.num_layers, batch_size, self._config.hidden_size)
        return tuple(np.zeros(shape, np.float32) for _ in range(self.n_states))

    @property
    def widest(self) -> int:
        """The most numbers that a window needs for a token."""
        return max([0, *(len(bias) for _, bias in self._input_weights[:1])])

    def run(self, ids: Ids, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        """Over a window.

        Args:
            ids: [T, B].

        Returns:
            The outputs of the last layer, [T, B, H], and the state after the last step.
        """
        after: list[tuple[Array, ...]] = []
        outputs = np.empty((*ids.shape, 0), np.float32)
        for number, recurrence in enumerate(self._recurrences):
            if number == 0 and self._table is not None:
                share, rows = self._table, ids
            else:
                rows = np.arange(ids.size).reshape(ids.shape)
                below = outputs if number else self._embedding[ids]
                share = _gates(below.reshape(-1, below.shape[-1]), *self._input_weights[number])
            outputs, last = recurrence.run(share, rows, tuple(array[number] for array in state))
            after.append(last)
        if len(after) == 1:
            return outputs, tuple(array[None] for array in after[0])
        return outputs, tuple(np.stack(arrays) for arrays in zip(*after, strict=True))

    def stepper(self, state: tuple[Array, ...]) -> tuple[Callable[[Ids], None], Array]:
        """A function that takes the next ids [B], and the array that then has the product with the readout, [B, V].

        Args:
            state: each call overwrites it.
        """
        # Arrays that `run` would make for each token are made once: for one stream that is a third of the time.
        own = [tuple(part[number] for part in state) for number in range(self._config.num_layers)]
        B = len(own[0][0])
        in_order = np.arange(B)
        inputs = [np.empty((B, len(bias)), np.float32) for _, bias in self._input_weights]
        table = self._table
        if table is not None:
            inputs[0] = table
        steps: list[Callable[[Ids], None]] = []
        for recurrence, share, parts in zip(self._recurrences, inputs, own, strict=True):
            take, product = recurrence.stepper(share, parts)
            steps.append(take)
        first = steps[0]
        below = (parts[0] for parts in own)
        above = list(zip(steps[1:], below, self._input_weights[1:], inputs[1:], strict=False))

        def advance(ids: Ids) -> None:
            if table is None:
                _gates(self._embedding[ids], *self._input_weights[0], inputs[0])
                first(in_order)
            else:
                first(ids)
            for take, outputs, weights, share in above:
                _gates(outputs, *weights, share)
                take(in_order)

        return advance, product


def make_recurrence(layer: Layer, readout: Array | None) -> Recurrence:
    """The recurrence of a layer, in C where that is compiled."""
    if compiled.LIBRARY is None:
        return NumpyRecurrence(layer, readout)
    return CompiledRecurrence(compiled.LIBRARY, layer, readout)


def _gates(inputs: Array, weights: Array, bias: Array, out: Array | None = None) -> Array:
    """The input's share of a layer's gates: [n, I] -> [n, G*H]."""
    gates: Array = np.dot(inputs, weights, out)
    gates += bias
    return gates
