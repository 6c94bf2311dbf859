"""The layers of a model, taken from its weights, and how they make its probabilities."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rnngen.config import NGRAM_WEIGHT, ModelConfig
from rnngen.engine.layers import Embedding, GRULayer, Linear, LSTMLayer, RNNLayer, Vector
from rnngen.engine.ngrams import Contexts

RecurrentLayer = RNNLayer | GRULayer | LSTMLayer


class NgramLogits:
    """The logits that a model adds for the last few symbols (Mikolov et al. 2011, direct connections).

    Args:
        config: of a model with `ngram_orders`.
        weight: [rows, V].
    """

    def __init__(self, config: ModelConfig, weight: npt.ArrayLike) -> None:
        self.weight = np.asarray(weight, np.float32)
        self._config, self._contexts = config, Contexts(config)
        self._latest: tuple[int, ...]
        self.reset()

    def step(self, id: int) -> Vector:
        """Take the next symbol. Returns the sum of the logits of all orders, [V]."""
        self._latest = (id, *self._latest)
        logits: Vector = self.weight[self._contexts.rows(self._latest)].sum(axis=0)
        self._latest = self._latest[:-1]
        return logits

    def reset(self) -> None:
        """Forget everything: as if all symbols before were number 0."""
        self._latest = (0,) * self._config.ngram_history

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
        if layers.ngrams:
            logits = logits + layers.ngrams.step(id)
        softmax(logits)

    Attributes:
        ngrams: None for a model without n-grams.
    """

    embedding: Embedding
    recurrent: tuple[RecurrentLayer, ...]
    output: Linear
    ngrams: NgramLogits | None

    @classmethod
    def of(cls, config: ModelConfig, weights: dict[str, npt.NDArray[Any]]) -> Layers:
        """The layers of a checkpoint's weights."""
        output = weights["embedding.weight" if config.tie_weights else "output.weight"]
        return cls(
            embedding=Embedding(weights["embedding.weight"]),
            recurrent=tuple(_recurrent_layer(config, weights, number) for number in range(config.num_layers)),
            output=Linear(output, weights["output.bias"]),
            ngrams=NgramLogits(config, weights[NGRAM_WEIGHT]) if config.ngram_orders else None,
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
