"""Random weights, and a checkpoint of them: `python -m bench.make_checkpoint TEXT CHECKPOINT`."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

from bench.data import VOCAB_SIZE
from rnngen import checkpoint
from rnngen.checkpoint import Checkpoint, Weights
from rnngen.config import ModelConfig, TokenizerConfig, weight_dtype
from rnngen.text.corpus import FileText
from rnngen.tokenizers import levels

HIDDEN_SIZE = 512
EMBEDDING_DIM = 128


def model_config(vocab_size: int = VOCAB_SIZE, cell: str = "gru", ngram_orders: tuple[int, ...] = ()) -> ModelConfig:
    """One layer of 512."""
    return ModelConfig.from_dict(
        {"vocab_size": vocab_size, "embedding_dim": EMBEDDING_DIM, "hidden_size": HIDDEN_SIZE, "cell": cell,
         "ngram_orders": ngram_orders}
    )  # fmt: skip


def random_weights(config: ModelConfig) -> Weights:
    """Such that a signal neither fades nor grows."""
    generator = np.random.default_rng(1)
    weights: Weights = {}
    for name, shape in config.weight_shapes().items():
        values = generator.normal(0, 1 / math.sqrt(shape[-1]), shape)
        weights[name] = values.astype(weight_dtype(name))
    return weights


def main(text: str, path: str) -> None:
    """Write the checkpoint of a model that knows the text's characters."""
    tokenizer = levels.build(TokenizerConfig(), FileText([text]))
    config = model_config(tokenizer.vocab_size)
    checkpoint.save(Checkpoint(config, tokenizer, random_weights(config)), Path(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
