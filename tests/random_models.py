"""Weights and counts for models that nobody trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnngen.config import ModelConfig
from rnngen.counts.estimate import estimate
from rnngen.counts.storage import to_arrays
from rnngen.shapes import MIX

COUNTED_TOKENS = 300
RANDOM_MIX = (0.8, 0.6)


def random_weights(config: ModelConfig, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Random weights, biases too, that let a signal neither fade nor grow; and counts of random tokens."""
    generator = np.random.default_rng(seed)
    weights: dict[str, np.ndarray[Any, Any]] = {
        name: generator.normal(0, 0.8 / np.sqrt(shape[-1]), shape).astype(np.float32)
        for name, shape in config.weight_shapes().items()
    }
    if config.ngram_order:
        # Of a few symbols most, so that long n-grams come back.
        tokens = generator.geometric(0.4, COUNTED_TOKENS) % config.vocab_size
        weights |= to_arrays(estimate(tokens, 0, config.vocab_size, config.ngram_order))
        weights[MIX] = np.array(RANDOM_MIX, np.float32)
    return weights
