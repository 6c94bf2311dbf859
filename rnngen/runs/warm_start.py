"""`train --init-from`: a new run starts with the weights of a trained model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnngen import checkpoint
from rnngen.config import ModelConfig, ModelOptions
from rnngen.printable import plural
from rnngen.tokenizers.base import Tokenizer, shared_ids

if TYPE_CHECKING:
    from rnngen.training.network import RNNLM


@dataclass(frozen=True)
class WarmStart:
    """A trained model that a new run starts from."""

    path: Path
    trained: checkpoint.Checkpoint

    @classmethod
    def load(cls, path: Path) -> WarmStart:
        """Read a checkpoint. Raises CheckpointError."""
        return cls(path, checkpoint.load(path))

    def options(self, asked: ModelOptions, tokenizer: Tokenizer) -> ModelOptions:
        """The sizes of the trained model; n-grams as asked for, or its own if the vocabulary is the same."""
        config = self.trained.config
        orders, bits = asked.ngram_orders, asked.ngram_bits
        if orders is None and bits is None and self._has_vocabulary_of(tokenizer):
            orders, bits = config.ngram_orders, config.ngram_bits if config.ngram_orders else None
        return replace(
            asked, cell=config.cell, hidden_size=config.hidden_size, embedding_dim=config.embedding_dim,
            num_layers=config.num_layers, tie_weights=config.tie_weights, nonlinearity=config.nonlinearity,
            ngram_orders=orders, ngram_bits=bits,
        )  # fmt: skip

    def _has_vocabulary_of(self, tokenizer: Tokenizer) -> bool:
        return self.trained.tokenizer.to_dict() == tokenizer.to_dict()

    def _keeps_ngrams(self, tokenizer: Tokenizer, config: ModelConfig) -> bool:
        old = self.trained.config
        same = (old.ngram_orders, old.ngram_bits) == (config.ngram_orders, config.ngram_bits)
        return same and self._has_vocabulary_of(tokenizer)

    def carry_over(self, network: RNNLM, tokenizer: Tokenizer) -> None:
        """Give a new network the trained weights, those of a symbol to the same symbol."""
        from rnngen.training.carry_over import carry_over

        old_ids = shared_ids(self.trained.tokenizer, tokenizer)
        carry_over(network, self.trained.weights, old_ids, self._keeps_ngrams(tokenizer, network.config))

    def note(self, tokenizer: Tokenizer, config: ModelConfig) -> str:
        """What becomes of the trained weights in a model with this tokenizer and configuration, as a sentence."""
        if self._has_vocabulary_of(tokenizer):
            rows = ", with its vocabulary"
        else:
            n_shared = int(np.count_nonzero(shared_ids(self.trained.tokenizer, tokenizer) >= 0))
            rows = (
                f": of {plural(tokenizer.vocab_size, 'symbol')} {n_shared:,} are in both vocabularies and keep their "
                f"rows, {tokenizer.vocab_size - n_shared:,} are new"
            )
        anew = config.ngram_orders and not self._keeps_ngrams(tokenizer, config)
        return f"starts from {self.path}{rows}{'; the n-grams start anew' if anew else ''}"
