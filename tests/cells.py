"""Every kind of model, and every size of the compiled vectors, by name: for tests that hold for all."""

from __future__ import annotations

from typing import Any

# Options of a ModelConfig.
CELLS: dict[str, dict[str, Any]] = {
    "tanh-rnn": {"cell": "rnn", "nonlinearity": "tanh"},
    "relu-rnn": {"cell": "rnn", "nonlinearity": "relu"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
MODELS: dict[str, dict[str, Any]] = {
    **CELLS,
    "gru and hashed n-grams": {"cell": "gru", "ngram_orders": (1, 2, 4), "ngram_bits": 5},
    "lstm and exact n-grams": {"cell": "lstm", "ngram_orders": (2,), "ngram_bits": 14},
}
# Floats in one.
VECTORS = {"vectors of 4": 4, "vectors of 8": 8, "vectors of 16": 16}
