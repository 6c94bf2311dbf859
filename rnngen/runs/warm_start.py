"""`train --init-from`: where the first weights of a new run come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnngen import checkpoint
from rnngen.cli.output import Console
from rnngen.config import ModelConfig, ModelOptions
from rnngen.printable import plural
from rnngen.tokenizers.base import Tokenizer, shared_ids

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

    def options(self, asked: ModelOptions, tokenizer: Tokenizer) -> ModelOptions:
        """The sizes of the model as they must be again; n-grams as asked for, or the same if the vocabulary is."""
        config: ModelConfig = self.trained.config
        orders, bits = asked.ngram_orders, asked.ngram_bits
        if orders is None and bits is None and self._has_vocabulary_of(tokenizer):
            orders, bits = config.ngram_orders, config.ngram_bits if config.ngram_orders else None
        return ModelOptions(
            config.cell, config.hidden_size, config.embedding_dim, config.num_layers, asked.dropout,
            config.tie_weights, config.nonlinearity, orders, bits,
        )  # fmt: skip

    def _has_vocabulary_of(self, tokenizer: Tokenizer) -> bool:
        return self.trained.tokenizer.to_dict() == tokenizer.to_dict()

    def carry_over(self, network: RNNLM, tokenizer: Tokenizer, console: Console) -> None:
        """Give a network the weights, those of a symbol to the same symbol, and say what became of them."""
        from rnngen.training.carry_over import carry_over

        old_ids = shared_ids(self.trained.tokenizer, tokenizer)
        old, new = self.trained.config, network.config
        same = self._has_vocabulary_of(tokenizer)
        with_ngrams = same and (old.ngram_orders, old.ngram_bits) == (new.ngram_orders, new.ngram_bits)
        carry_over(network, self.trained.weights, old_ids, with_ngrams)
        n_shared = int((old_ids >= 0).sum())
        rows = (
            ", with its vocabulary" if same
            else f": of {plural(tokenizer.vocab_size, 'symbol')} {n_shared:,} are in both vocabularies and keep their "
            f"rows, {tokenizer.vocab_size - n_shared:,} are new"
        )  # fmt: skip
        ngrams = "; the n-grams begin anew" if new.ngram_orders and not with_ngrams else ""
        console.note(f"begins from {self.path}{rows}{ngrams}")
