"""The protocol that every runnable language model fulfils, and its numpy implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.config import MIX, ModelConfig
from rnngen.counts.corrections import CountModel
from rnngen.counts.storage import from_arrays
from rnngen.engine import compiled
from rnngen.engine.cells import Array, Layer, make_layer
from rnngen.engine.compiled import CompiledRecurrence
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
        """The state before any text: zeros, and no ids."""

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
    """The implementation of LanguageModel in numpy, its recurrence and its counts in C where that is compiled.

    With counts the logits are a z + b log p: z those of the network, p the probabilities of the counts, and a and b the
    weights `mix` of the checkpoint. a is a part of the matrix of the softmax here, and b log p of a symbol without
    context is one of the bias.

    Args:
        weights: as in a checkpoint.
    """

    @_quietly
    def __init__(self, config: ModelConfig, weights: dict[str, npt.NDArray[Any]]) -> None:
        self._config = config
        self._counts: CountModel | None = None
        share, self._counts_weight = 1.0, 0.0
        if config.ngram_order:
            self._counts = CountModel(from_arrays(weights, config.vocab_size))
            share, self._counts_weight = map(float, weights[MIX])
        self._w_output, self._b_output = _softmax_weights(config, weights, share)
        if self._counts is not None:
            self._b_output += np.float32(self._counts_weight) * self._counts.unigram_logprobs.astype(np.float32)
        layers = [make_layer(config, weights, layer) for layer in range(config.num_layers)]
        self._n_states = layers[0].n_states if layers else 0
        self._input_weights = [(layer.w_input, layer.b_input) for layer in layers]
        self._recurrences = [_recurrence(layer, None) for layer in layers[:-1]]
        self._recurrences += [_recurrence(layer, self._w_output) for layer in layers[-1:]]
        self._table: Array | None = None
        if layers:
            self._embedding = weights["embedding.weight"]
            if config.vocab_size * len(layers[0].b_input) <= LARGEST_TABLE:
                self._table = _gates(self._embedding, *self._input_weights[0])  # [V, G*H]

    @property
    def config(self) -> ModelConfig:
        return self._config

    def initial_state(self, batch_size: int) -> State:
        shape = (self._config.num_layers, batch_size, self._config.hidden_size)
        recurrent = tuple(np.zeros(shape, np.float32) for _ in range(self._n_states))
        return recurrent if self._counts is None else (*recurrent, self._counts.initial_history(batch_size))

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
        if self._counts is not None:
            after = (*after, np.concatenate([state[-1], ids.T])[ids.shape[1] :])
        return outputs.transpose(1, 0, 2), after

    @_quietly
    def logits(self, outputs: Array, ids: Ids, state: State) -> Array:
        """The other half of `forward`: logits [B, T, V] from the outputs for the same `ids` and `state`."""
        B, T, H = outputs.shape
        # One product with T*B rows: numpy would make T products with B rows.
        logits = outputs.transpose(1, 0, 2).reshape(T * B, H) @ self._w_output
        logits += self._b_output
        if self._counts is not None:
            nodes = self._counts.nodes(np.concatenate([state[-1], ids.T]))
            self._counts.add(logits, nodes.reshape(T * B, -1), self._counts_weight)
        by_time: Array = logits.reshape(T, B, -1)
        return by_time.transpose(1, 0, 2)

    def stepper(self, state: State, in_place: bool = False) -> Callable[[Ids], Array]:
        advance, product = self._network_stepper(state, in_place)
        b_output = self._b_output
        if self._counts is None:

            def step(ids: Ids) -> Array:
                advance(ids)
                return product + b_output

            return step
        history, weight = state[-1], self._counts_weight
        add = self._counts.stepper(history)

        def step_with_counts(ids: Ids) -> Array:
            advance(ids)
            logits: Array = product + b_output
            add(ids, logits, weight)
            if in_place and len(history):
                history[:-1] = history[1:]
                history[-1] = ids
            return logits

        return step_with_counts

    def _network_stepper(self, state: State, in_place: bool) -> tuple[Callable[[Ids], None], Array]:
        """A function that takes the next ids [B], and the array [B, V] that then has the softmax's product."""
        # Arrays that `forward` would make for each token are made once: for one stream that is a third of the time.
        recurrent = state[: self._n_states]
        parts_of_state = recurrent if in_place else [part.copy() for part in recurrent]
        own = [tuple(part[number] for part in parts_of_state) for number in range(self._config.num_layers)]
        if not own:
            return lambda ids: None, np.zeros((state[-1].shape[1], self._config.vocab_size), np.float32)
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

    @_quietly
    def logprobs(self, ids: Ids, targets: Ids, state: State) -> tuple[Array, State]:
        B, T = ids.shape
        result = np.empty((B, T), np.float32)
        widest = max([self._config.vocab_size, *(len(bias) for _, bias in self._input_weights[:1])])
        window = max(1, LOGITS_AT_A_TIME // (B * widest))
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
        outputs = np.empty((*time_major.shape, 0), np.float32)
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


def _softmax_weights(config: ModelConfig, weights: dict[str, npt.NDArray[Any]], share: float) -> tuple[Array, Array]:
    """[H, V] and [1, V], both times `share`."""
    if not config.has_network:
        return np.empty((0, config.vocab_size), np.float32), np.zeros((1, config.vocab_size), np.float32)
    output = weights["embedding.weight" if config.tie_weights else "output.weight"]
    w_output = output if share == 1 else np.float32(share) * output
    return w_output.T, np.float32(share) * weights["output.bias"][None]


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
