"""Random weights, and a checkpoint of them: `python -m bench.make_checkpoint TEXT CHECKPOINT [NGRAM_ORDER]`."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

from bench.data import VOCAB_SIZE, token_ids
from rnngen import checkpoint
from rnngen.checkpoint import Checkpoint, Weights
from rnngen.config import ModelConfig, TokenizerConfig
from rnngen.counts.estimate import estimate
from rnngen.counts.storage import to_arrays
from rnngen.shapes import MIX
from rnngen.text.corpus import FileText
from rnngen.tokenizers import levels

HIDDEN_SIZE = 512
EMBEDDING_DIM = 128
NGRAM_ORDER, NGRAM_BYTES = 10, 4_000_000  # of the defaults


def model_config(vocab_size: int = VOCAB_SIZE, cell: str = "gru", ngram_order: int = 0) -> ModelConfig:
    """One layer of 512."""
    return ModelConfig.from_dict(
        {"vocab_size": vocab_size, "embedding_dim": EMBEDDING_DIM, "hidden_size": HIDDEN_SIZE, "cell": cell,
         "ngram_order": ngram_order}
    )  # fmt: skip


def random_weights(config: ModelConfig, counted: str | None = None) -> Weights:
    """Such that a signal neither fades nor grows.

    Args:
        counted: the text whose characters are counted, for a model with n-grams.
    """
    generator = np.random.default_rng(1)
    weights: Weights = {}
    for name, shape in config.weight_shapes().items():
        weights[name] = generator.normal(0, 1 / math.sqrt(shape[-1]), shape).astype(np.float32)
    if counted:
        data = token_ids(counted)
        trie = estimate(
            data.train.ids, data.tokenizer.newline_id, config.vocab_size, config.ngram_order, most_bytes=NGRAM_BYTES
        )
        weights |= to_arrays(trie) | {MIX: np.array([0.8, 0.6], np.float32)}
    return weights


def main(text: str, path: str, ngram_order: str = "0") -> None:
    """Write the checkpoint of a model that knows the text's characters, and its n-grams up to this length."""
    tokenizer = levels.build(TokenizerConfig(), FileText([text]))
    config = model_config(tokenizer.vocab_size, ngram_order=int(ngram_order))
    weights = random_weights(config, text if config.ngram_order else None)
    checkpoint.save(Checkpoint(config, tokenizer, weights), Path(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
