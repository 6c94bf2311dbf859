"""The protocol that every runnable language model fulfils, and its numpy implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.config import NGRAM_WEIGHT, ModelConfig
from rnngen.engine import compiled
from rnngen.engine.cells import Array, Layer, make_layer
from rnngen.engine.compiled import CompiledRecurrence
from rnngen.engine.ngrams import Contexts
from rnngen.engine.recurrence import NumpyRecurrence, Recurrence
from rnngen.errors import CheckpointError

# The state that a model carries from token to token: arrays whose axis 1 is the batch. Callers know nothing else of it.
State = tuple[npt.NDArray[Any], ...]
Ids = npt.NDArray[np.integer]

# Above this many numbers the product of embedding and input weights is computed for each window and not kept.
LARGEST_TABLE = 1 << 24
# Logits at a time, so that a large vocabulary does not take much memory.
LOGITS_AT_A_TIME = 1 << 22

# Weights that are too large cause this error, and no warning of numpy.
NOT_FINITE = "the model's logits are not finite: its weights are too large; train it again"
_quietly = np.errstate(over="ignore", invalid="ignore")


class LanguageModel(Protocol):
    """Ids and a state in; logits or log-probabilities and the next state out."""

    @property
    def config(self) -> ModelConfig: ...

    def initial_state(self, batch_size: int) -> State:
        """The state before any text: zeros."""

    def forward(self, ids: Ids, state: State) -> tuple[Array, State]:
        """Logits of the token after each of `ids`.

        Args:
            ids: [B, T].

        Returns:
            Logits [B, T, V], float32, and the state after the last id.
        """

    def stepper(self, state: State, in_place: bool = False) -> Callable[[Ids], Array]:
        """A function that continues from a state by one token of each row: ids [B] -> logits [B, V], float32.

        Args:
            in_place: each call overwrites `state` with the state after it; otherwise `state` is left as it is.
        """

    def logprobs(self, ids: Ids, targets: Ids, state: State) -> tuple[Array, State]:
        """Natural log-probability of each target given the ids up to its place.

        Args:
            ids: [B, T].
            targets: [B, T].

        Returns:
            [B, T], float32, and the state after the last id.
        """


class Engine:
    """The implementation of LanguageModel in numpy, its recurrence in C where that is compiled.

    Args:
        weights: as in a checkpoint.
    """

    @_quietly
    def __init__(self, config: ModelConfig, weights: dict[str, npt.NDArray[Any]]) -> None:
        self._config = config
        self._embedding = weights["embedding.weight"]
        output = weights["embedding.weight" if config.tie_weights else "output.weight"]
        self._w_output = output.T  # [H, V]
        self._b_output = weights["output.bias"][None]
        # float32, because adding float16 would take as long as the rest of the softmax.
        self._ngrams = weights[NGRAM_WEIGHT].astype(np.float32) if config.ngram_orders else None
        self._contexts = Contexts(config)
        layers = [make_layer(config, weights, layer) for layer in range(config.num_layers)]
        self._n_states = layers[0].n_states
        self._input_weights = [(layer.w_input, layer.b_input) for layer in layers]
        self._recurrences = [_recurrence(layer, None) for layer in layers[:-1]]
        self._recurrences.append(_recurrence(layers[-1], self._w_output))
        self._table: Array | None = None
        if config.vocab_size * len(layers[0].b_input) <= LARGEST_TABLE:
            self._table = _gates(self._embedding, *self._input_weights[0])  # [V, G*H]

    @property
    def config(self) -> ModelConfig:
        return self._config

    def initial_state(self, batch_size: int) -> State:
        shape = (self._config.num_layers, batch_size, self._config.hidden_size)
        recurrent = tuple(np.zeros(shape, np.float32) for _ in range(self._n_states))
        if self._ngrams is None:
            return recurrent
        return (*recurrent, np.zeros((self._config.ngram_history, batch_size), np.int64))

    def forward(self, ids: Ids, state: State) -> tuple[Array, State]:
        outputs, after = self.outputs(ids, state)
        return self.logits(outputs, ids, state), after

    @_quietly
    def outputs(self, ids: Ids, state: State) -> tuple[Array, State]:
        """Outputs of the last layer at each of `ids`: the first half of `forward`, before the softmax's product.

        Args:
            ids: [B, T].

        Returns:
            [B, T, H], float32, and the state after the last id.
        """
        outputs, after = self._run(ids, state)
        if self._ngrams is not None:
            after = (*after, np.concatenate([state[-1], ids.T])[ids.shape[1] :])
        return outputs.transpose(1, 0, 2), after

    @_quietly
    def logits(self, outputs: Array, ids: Ids, state: State) -> Array:
        """The other half of `forward`: logits [B, T, V] from the outputs for the same `ids` and `state`."""
        B, T, H = outputs.shape
        # One product with T*B rows: numpy would make T products with B rows.
        logits = outputs.transpose(1, 0, 2).reshape(T * B, H) @ self._w_output
        logits += self._b_output
        by_time: Array = logits.reshape(T, B, -1)
        if self._ngrams is not None:
            for row in self._contexts.rows_of_window(np.concatenate([state[-1], ids.T])):
                by_time += self._ngrams.take(row, axis=0)
        return by_time.transpose(1, 0, 2)

    def stepper(self, state: State, in_place: bool = False) -> Callable[[Ids], Array]:
        # Arrays that `forward` would make for each token are made once: for one stream that is a third of the time.
        parts_of_state = state[: self._n_states] if in_place else [part.copy() for part in state[: self._n_states]]
        own = [tuple(part[number] for part in parts_of_state) for number in range(self._config.num_layers)]
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
        b_output, ngrams = self._b_output, self._ngrams
        history: list[Any] = [] if ngrams is None else list(state[-1][::-1])  # the latest first
        alone = len(product) == 1
        if alone:  # then rows are found with whole numbers, as arrays of one number are slower
            history = [ids.item() for ids in history]

        def step(ids: Ids) -> Array:
            id = ids.item() if alone else ids
            if table is None:
                _gates(self._embedding[ids], *self._input_weights[0], inputs[0])
                first(in_order)
            else:
                first(ids)
            for take, outputs, weights, share in above:
                _gates(outputs, *weights, share)
                take(in_order)
            logits: Array = product + b_output
            if ngrams is not None:
                history.insert(0, id)
                for row in self._contexts.rows(history):
                    logits += ngrams[row : row + 1] if alone else ngrams[row]
                history.pop()
                if in_place:
                    state[-1][:] = np.reshape(history[::-1], state[-1].shape)
            return logits

        return step

    @_quietly
    def logprobs(self, ids: Ids, targets: Ids, state: State) -> tuple[Array, State]:
        B, T = ids.shape
        result = np.empty((B, T), np.float32)
        window = max(1, LOGITS_AT_A_TIME // (B * max(self._config.vocab_size, len(self._input_weights[0][1]))))
        rows = max(1, LOGITS_AT_A_TIME // (window * self._config.vocab_size))  # all, unless V is large
        for start in range(0, T, window):
            part = slice(start, start + window)
            outputs, after = self.outputs(ids[:, part], state)
            for first in range(0, B, rows):
                some = slice(first, first + rows)
                logits = self.logits(outputs[some], ids[some, part], select_rows(state, some))
                result[some, part] = log_softmax_at(logits, targets[some, part])
            state = after
        return result, state

    def _run(self, ids: Ids, state: State) -> tuple[Array, State]:
        time_major = np.asarray(ids).T
        after: list[tuple[Array, ...]] = []
        outputs = np.empty(0, np.float32)
        for number, recurrence in enumerate(self._recurrences):
            if number == 0 and self._table is not None:
                share, rows = self._table, time_major
            else:
                rows = np.arange(ids.size).reshape(time_major.shape)
                below = outputs if number else self._embedding[time_major]
                share = _gates(below.reshape(-1, below.shape[-1]), *self._input_weights[number])
            outputs, last = recurrence.run(share, rows, tuple(array[number] for array in state[: self._n_states]))
            after.append(last)
        if len(after) == 1:
            return outputs, tuple(array[None] for array in after[0])
        return outputs, tuple(np.stack(arrays) for arrays in zip(*after, strict=True))


def _recurrence(layer: Layer, readout: Array | None) -> Recurrence:
    if compiled.LIBRARY is None:
        return NumpyRecurrence(layer, readout)
    return CompiledRecurrence(compiled.LIBRARY, layer, readout)


def _gates(inputs: Array, weights: Array, bias: Array, out: Array | None = None) -> Array:
    """The input's share of a layer's gates: [n, I] -> [n, G*H]."""
    gates: Array = np.dot(inputs, weights, out)
    gates += bias
    return gates


def log_softmax_at(logits: Array, targets: Ids) -> Array:
    """log softmax(logits)[target]: [B, T, V] and [B, T] -> [B, T]; the logits are overwritten.

    Raises:
        CheckpointError: a logit was not finite.
    """
    logits -= logits.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(logits, np.asarray(targets, np.int64)[..., None], axis=-1)[..., 0]
    np.exp(logits, out=logits)
    result: Array = chosen - np.log(logits.sum(axis=-1))
    if not np.isfinite(result).all():
        raise CheckpointError(NOT_FINITE)
    return result


def select_rows(state: State, rows: npt.NDArray[np.integer] | slice) -> State:
    """The state of some rows of the batch."""
    return tuple(array[:, rows] for array in state)
