"""`train --init-from`: where the first weights of a new run come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnngen import checkpoint
from rnngen.cli.output import Console, plural
from rnngen.config import ModelConfig, ModelOptions
from rnngen.text.tokenizer import Tokenizer, shared_ids

if TYPE_CHECKING:
    from rnngen.training.network import RNNLM


@dataclass(frozen=True)
class Initial:
    """A trained model that a new one begins from."""

    path: Path
    trained: checkpoint.Checkpoint

    @classmethod
    def load(cls, path: Path) -> Initial:
        """Read a checkpoint. Raises CheckpointError."""
        return cls(path, checkpoint.load(path))

    def options(self, dropout: float | None) -> ModelOptions:
        """The sizes of the model, as they must be again."""
        config: ModelConfig = self.trained.config
        return ModelOptions(
            config.cell, config.hidden_size, config.embedding_dim, config.num_layers, dropout, config.tie_weights,
            config.nonlinearity, config.ngram_orders, config.ngram_bits if config.ngram_orders else None,
        )  # fmt: skip

    def carry_over(self, network: RNNLM, tokenizer: Tokenizer, console: Console) -> None:
        """Give a network the weights, those of a symbol to the same symbol, and say what became of them."""
        from rnngen.training.initial import carry_over

        old_ids = shared_ids(self.trained.tokenizer, tokenizer)
        whole = carry_over(network, self.trained.weights, old_ids)
        n_shared = int((old_ids >= 0).sum())
        if whole:
            console.note(f"begins from {self.path}, with its vocabulary")
            return
        ngrams = "; the n-grams begin anew" if self.trained.config.ngram_orders else ""
        console.note(
            f"begins from {self.path}: of {plural(tokenizer.vocab_size, 'symbol')} {n_shared:,} are in both "
            f"vocabularies and keep their rows, {tokenizer.vocab_size - n_shared:,} are new{ngrams}"
        )
