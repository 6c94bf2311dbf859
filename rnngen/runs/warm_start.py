"""`train --init-from`: a new run starts with the weights of a trained model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnngen import checkpoint
from rnngen.config import ModelOptions
from rnngen.errors import CheckpointError
from rnngen.printable import plural
from rnngen.tokenizers.base import Tokenizer, shared_ids

if TYPE_CHECKING:
    from rnngen.training.task import Network


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
        """The sizes of the trained model; the counts are those of the new text, as asked for."""
        config = self.trained.config
        if not config.has_network:
            raise CheckpointError(f"{self.path} is a model of counts alone: leave out --init-from")
        return replace(
            asked, cell=config.cell, hidden_size=config.hidden_size, embedding_dim=config.embedding_dim,
            num_layers=config.num_layers, tie_weights=config.tie_weights, nonlinearity=config.nonlinearity,
            bidirectional=config.bidirectional,
            ngram_order=0 if asked.ngram_order is None and not config.ngram_order else asked.ngram_order,
        )  # fmt: skip

    def _has_vocabulary_of(self, tokenizer: Tokenizer) -> bool:
        return self.trained.tokenizer.to_dict() == tokenizer.to_dict()

    def carry_over(self, network: Network, tokenizer: Tokenizer) -> None:
        """Give a new network the trained weights, those of a symbol to the same symbol."""
        from rnngen.training.carry_over import carry_over

        old_ids = shared_ids(self.trained.tokenizer, tokenizer)
        carry_over(network, self.trained.weights, old_ids)

    def note(self, tokenizer: Tokenizer) -> str:
        """What becomes of the trained weights in a model with this tokenizer, as a sentence."""
        if self._has_vocabulary_of(tokenizer):
            rows = ", with its vocabulary"
        else:
            n_shared = int(np.count_nonzero(shared_ids(self.trained.tokenizer, tokenizer) >= 0))
            rows = (
                f": of {plural(tokenizer.vocab_size, 'symbol')} {n_shared:,} are in both vocabularies and keep their "
                f"rows, {tokenizer.vocab_size - n_shared:,} are new"
            )
        anew = "; the n-grams are counted anew, in the new text alone" if self.trained.config.ngram_order else ""
        return f"starts from {self.path}{rows}{anew}"
