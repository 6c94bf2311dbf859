"""The protocol that every runnable language model fulfils, and its numpy implementation."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.config import NGRAM_WEIGHT, ModelConfig
from rnngen.engine.cells import Array, make_layer, run
from rnngen.ngrams import backwards, context_rows

# What a model carries from token to token: arrays whose axis 1 is the batch, otherwise opaque to callers.
State = tuple[npt.NDArray[Any], ...]
Ids = npt.NDArray[np.integer]

# Above this many numbers the product of embedding and input weights is made for each window, not kept.
LARGEST_TABLE = 1 << 24
# Logits at a time, so that a large vocabulary does not take much memory.
LOGITS_AT_A_TIME = 1 << 22


class LanguageModel(Protocol):
    """Ids and a state in; logits or log-probabilities and the next state out."""

    @property
    def config(self) -> ModelConfig: ...

    def initial_state(self, batch_size: int) -> State:
        """Zeros, as before any text."""

    def forward(self, ids: Ids, state: State) -> tuple[Array, State]:
        """Logits of the token after each of `ids`.

        Args:
            ids: [B, T].

        Returns:
            Logits [B, T, V], float32, and the state after the last id.
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
    """The numpy implementation of LanguageModel.

    Args:
        weights: as in a checkpoint.
    """

    def __init__(self, config: ModelConfig, weights: dict[str, npt.NDArray[Any]]) -> None:
        self._config = config
        self._layers = [make_layer(config, weights, layer) for layer in range(config.num_layers)]
        self._embedding = weights["embedding.weight"]
        output = weights["embedding.weight" if config.tie_weights else "output.weight"]
        self._w_output = output.T  # [H, V]
        self._b_output = weights["output.bias"]
        # In float32: adding float16 would take as long as the rest of the softmax.
        self._ngrams = weights[NGRAM_WEIGHT].astype(np.float32) if config.ngram_orders else None
        first = self._layers[0]
        self._table: Array | None = None
        if config.vocab_size * first.w_input.shape[1] <= LARGEST_TABLE:
            self._table = self._embedding @ first.w_input + first.b_input  # [V, G*H]

    @property
    def config(self) -> ModelConfig:
        return self._config

    def initial_state(self, batch_size: int) -> State:
        shape = (self._config.num_layers, batch_size, self._config.hidden_size)
        recurrent = tuple(np.zeros(shape, np.float32) for _ in range(self._layers[0].n_states))
        if self._ngrams is None:
            return recurrent
        return (*recurrent, np.zeros((self._config.ngram_history, batch_size), np.int64))

    def forward(self, ids: Ids, state: State) -> tuple[Array, State]:
        outputs, after = self._run(ids, state)
        T, B, H = outputs.shape
        # One product of T*B rows: numpy would make T of B rows each.
        logits = outputs.reshape(T * B, H) @ self._w_output
        logits += self._b_output
        logits = logits.reshape(T, B, -1)
        if self._ngrams is not None:
            known = np.concatenate([state[-1], ids.T])
            back = backwards(self._config, known)
            # Of one token the rows are found by whole numbers: in arrays of one number each operation takes longer.
            for row in context_rows(self._config, back if T * B > 1 else [part.item() for part in back]):
                logits += self._ngrams.take(row, axis=0)
            after = (*after, known[T:])
        return logits.transpose(1, 0, 2), after  # [B, T, V]

    def logprobs(self, ids: Ids, targets: Ids, state: State) -> tuple[Array, State]:
        B, T = ids.shape
        result = np.empty((B, T), np.float32)
        window = max(1, LOGITS_AT_A_TIME // (B * max(self._config.vocab_size, self._layers[0].w_input.shape[1])))
        for start in range(0, T, window):
            part = slice(start, start + window)
            logits, state = self.forward(ids[:, part], state)
            result[:, part] = log_softmax_at(logits, targets[:, part])
        return result, state

    def _run(self, ids: Ids, state: State) -> tuple[Array, State]:
        time_major = np.asarray(ids).T
        after: list[tuple[Array, ...]] = []
        outputs = np.empty(0, np.float32)
        for number, layer in enumerate(self._layers):
            if number == 0 and self._table is not None:
                gates = self._table.take(time_major, axis=0)  # [T, B, G*H]
            else:
                inputs = outputs if number else self._embedding[time_major]
                gates = inputs.reshape(-1, inputs.shape[2]) @ layer.w_input
                gates += layer.b_input
                gates = gates.reshape(*time_major.shape, -1)  # [T, B, G*H]
            outputs, last = run(layer, gates, tuple(array[number] for array in state[: layer.n_states]))
            after.append(last)
        if len(after) == 1:
            return outputs, tuple(array[None] for array in after[0])
        return outputs, tuple(np.stack(arrays) for arrays in zip(*after, strict=True))


def log_softmax_at(logits: Array, targets: Ids) -> Array:
    """log softmax(logits)[target]: [B, T, V] and [B, T] -> [B, T]; the logits are overwritten."""
    logits -= logits.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(logits, np.asarray(targets, np.int64)[..., None], axis=-1)[..., 0]
    np.exp(logits, out=logits)
    result: Array = chosen - np.log(logits.sum(axis=-1))
    return result


def select_rows(state: State, rows: npt.NDArray[np.integer] | slice) -> State:
    """The state of some of the batch's rows."""
    return tuple(array[:, rows] for array in state)
