"""The protocol that every runnable language model fulfils, and its numpy implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.config import ModelConfig
from rnngen.counts.corrections import CountModel
from rnngen.counts.storage import from_arrays
from rnngen.engine.cells import Array
from rnngen.engine.stack import Stack
from rnngen.errors import CheckpointError
from rnngen.shapes import MIX

# The state that a model carries from token to token: arrays whose axis 1 is the batch. Callers know nothing else of it.
State = tuple[npt.NDArray[Any], ...]
Ids = npt.NDArray[np.integer]

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
        self._stack = Stack(config, weights, readout=self._w_output)

    @property
    def config(self) -> ModelConfig:
        return self._config

    def initial_state(self, batch_size: int) -> State:
        recurrent = self._stack.initial_state(batch_size)
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
        outputs, after = self._stack.run(np.asarray(ids).T, state[: self._stack.n_states])
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

    def _network_stepper(self, state: State, in_place: bool) -> tuple[Callable[[Ids], object], Array]:
        """A function that takes the next ids [B], and the array [B, V] that then has the softmax's product."""
        if not self._config.has_network:
            return lambda ids: None, np.zeros((state[-1].shape[1], self._config.vocab_size), np.float32)
        recurrent = state[: self._stack.n_states]
        return self._stack.stepper(recurrent if in_place else tuple(part.copy() for part in recurrent))

    @_quietly
    def logprobs(self, ids: Ids, targets: Ids, state: State) -> tuple[Array, State]:
        B, T = ids.shape
        result = np.empty((B, T), np.float32)
        widest = max(self._config.vocab_size, self._stack.widest)
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


def _softmax_weights(config: ModelConfig, weights: dict[str, npt.NDArray[Any]], share: float) -> tuple[Array, Array]:
    """[H, V] and [1, V], both times `share`."""
    if not config.has_network:
        return np.empty((0, config.vocab_size), np.float32), np.zeros((1, config.vocab_size), np.float32)
    output = weights["embedding.weight" if config.tie_weights else "output.weight"]
    w_output = output if share == 1 else np.float32(share) * output
    return w_output.T, np.float32(share) * weights["output.bias"][None]


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
