"""The sizes of a tagger, where they were left open; measured in docs/defaults.md."""

from __future__ import annotations

import numpy as np

from rnngen.config import ModelConfig, ModelOptions
from rnngen.text.dataset import Dataset
from rnngen.text.tagged import TagVocabulary, sentences_of

SENTENCES = 16  # of a batch
EMBEDDING_DIM, HIDDEN_SIZE, SPELLING_DIM = 96, 128, 48
DROPOUT, WEIGHT_DROP = 0.5, 0.2
TAGGER_RATE = 4e-3  # peak of AdamW


def tagger_config(options: ModelOptions, data: Dataset) -> ModelConfig:
    """The sizes of a tagger of a text. Raises DataError: it has too many tags."""
    known = TagVocabulary.of(sentences_of(data.tokenizer, data.train.ids))
    return ModelConfig(
        vocab_size=data.tokenizer.vocab_size,
        embedding_dim=options.embedding_dim or EMBEDDING_DIM,
        hidden_size=options.hidden_size or HIDDEN_SIZE,
        num_layers=options.num_layers or 1,
        cell=options.cell,
        nonlinearity=options.nonlinearity,
        dropout=DROPOUT if options.dropout is None else options.dropout,
        weight_drop=WEIGHT_DROP if options.weight_drop is None else options.weight_drop,
        bidirectional=True,
        n_words=len(known.words),
        n_tags=len(known.tags),
        spelling_dim=SPELLING_DIM,
    )


def sentences_an_epoch(data: Dataset) -> int:
    """How many sentences the text to train on has."""
    return int(np.count_nonzero(data.train.ids == data.tokenizer.newline_id))
