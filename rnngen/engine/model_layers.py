"""The layers of a model, taken from its weights, and how they make its probabilities."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rnngen.config import ModelConfig
from rnngen.counts.corrections import CountModel
from rnngen.counts.storage import from_arrays
from rnngen.engine.layers import Embedding, GRULayer, Linear, LSTMLayer, RNNLayer, Vector
from rnngen.errors import CheckpointError, ConfigError
from rnngen.shapes import MIX

RecurrentLayer = RNNLayer | GRULayer | LSTMLayer


class CountLogits:
    """The log-probabilities of the counts, times their weight.

    Args:
        weight: b of `Engine`.
    """

    def __init__(self, counts: CountModel, weight: float) -> None:
        self.weight = weight
        self._counts = counts
        self._unigram = counts.unigram_logprobs.astype(np.float32)
        self._history: npt.NDArray[np.int64]
        self.reset()

    def step(self, id: int) -> Vector:
        """Take the next symbol. Returns `weight` times log p of each symbol after it, but for a constant: [V]."""
        known = np.concatenate([self._history, [[id]]])
        logits = np.float32(self.weight) * self._unigram[None]
        self._counts.add(logits, self._counts.nodes(known)[0], self.weight)
        self._history = known[1:]
        only: Vector = logits[0]
        return only

    def reset(self) -> None:
        """Forget everything: nothing stands before."""
        self._history = self._counts.initial_history(1)

    def copy(self) -> Self:
        """The same, which goes on from the same symbols by itself."""
        return copy.copy(self)


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The layers of a model. The probabilities of the symbol after `id` are

        x = layers.embedding.step(id)
        for layer in layers.recurrent:
            x = layer.step(x)
        logits = layers.output.step(x)
        if layers.counts:
            logits = logits + layers.counts.step(id)
        softmax(logits)

    Attributes:
        output: of a model with counts its weights are times a, as in `Engine`.
        counts: None for a model without counts.
    """

    embedding: Embedding
    recurrent: tuple[RecurrentLayer, ...]
    output: Linear
    counts: CountLogits | None

    @classmethod
    def of(cls, config: ModelConfig, weights: dict[str, npt.NDArray[Any]]) -> Layers:
        """The layers of a checkpoint's weights. Raises CheckpointError: there are none; ConfigError: bidirectional."""
        if not config.has_network:
            raise CheckpointError("the model is one of counts alone: it has no layers")
        if config.bidirectional:
            raise ConfigError("the model is bidirectional: its layers are no steps from the left to the right")
        output = weights["embedding.weight" if config.tie_weights else "output.weight"]
        counts, (share, weight) = None, (1.0, 0.0)
        if config.ngram_order:
            share, weight = map(float, weights[MIX])
            counts = CountLogits(CountModel(from_arrays(weights, config.vocab_size)), weight)
        return cls(
            embedding=Embedding(weights["embedding.weight"]),
            recurrent=tuple(_recurrent_layer(config, weights, number) for number in range(config.num_layers)),
            output=Linear(np.float32(share) * output, np.float32(share) * weights["output.bias"]),
            counts=counts,
        )


def _recurrent_layer(config: ModelConfig, weights: dict[str, npt.NDArray[Any]], number: int) -> RecurrentLayer:
    parts = [weights[f"rnn.{name}_l{number}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    match config.cell:
        case "rnn":
            return RNNLayer(*parts, nonlinearity=config.nonlinearity)
        case "gru":
            return GRULayer(*parts)
        case "lstm":
            return LSTMLayer(*parts)
    raise ValueError(f"a model of the cell {config.cell!r} has no layers")
