"""The layers of a model, stepped by hand, give the model's own probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from cells import MODELS
from pairwise import every_pair

from rnngen.config import ModelConfig
from rnngen.engine.language_model import Engine
from rnngen.engine.layers import softmax
from rnngen.engine.model_layers import Layers
from rnngen.errors import CheckpointError

V = 7
IDS = np.random.default_rng(1).integers(V, size=11)


@pytest.mark.parametrize(
    ("model_options", "num_layers", "tie_weights"),
    every_pair(MODELS, {"one layer": 1, "two layers": 2}, {"tied": True, "not tied": False}),
    indirect=["model_options"],
)
def test_layers_stepped_by_hand_give_the_probabilities_of_the_model(
    random_weights, model_options, num_layers, tie_weights
):
    config = ModelConfig(
        vocab_size=V, embedding_dim=6, hidden_size=6, num_layers=num_layers, tie_weights=tie_weights, **model_options
    )
    weights = random_weights(config)
    engine, layers = Engine(config, weights), Layers.of(config, weights)
    logits, state = engine.forward(IDS[None], engine.initial_state(1))
    for id, wanted in zip(IDS.tolist(), logits[0], strict=True):
        x = layers.embedding.step(id)
        for layer in layers.recurrent:
            x = layer.step(x)
        by_hand = layers.output.step(x)
        if layers.counts:
            by_hand = by_hand + layers.counts.step(id)
        np.testing.assert_allclose(softmax(by_hand), softmax(wanted), rtol=1e-4, atol=1e-6)
    assert (layers.counts is None) == (not config.ngram_order)
    for number, layer in enumerate(layers.recurrent):
        np.testing.assert_allclose(layer.h, state[0][number, 0], rtol=1e-4, atol=1e-5)
        if config.cell == "lstm":
            np.testing.assert_allclose(layer.c, state[1][number, 0], rtol=1e-4, atol=1e-5)


def test_counts_are_copied_and_reset(random_weights):
    config = ModelConfig(vocab_size=V, embedding_dim=2, hidden_size=2, ngram_order=3)
    counts = Layers.of(config, random_weights(config)).counts
    first = counts.step(1)
    twin = counts.copy()
    second = counts.step(1)
    assert not np.allclose(first, second), "the symbol before counts"
    np.testing.assert_array_equal(twin.step(1), second)
    counts.reset()
    np.testing.assert_array_equal(counts.step(1), first)


def test_counts_alone_have_no_layers(random_weights):
    config = ModelConfig(vocab_size=V, cell="none", embedding_dim=0, hidden_size=0, num_layers=0, ngram_order=3)
    with pytest.raises(CheckpointError, match="counts alone: it has no layers"):
        Layers.of(config, random_weights(config))
