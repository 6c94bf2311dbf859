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
    "gru and counts": {"cell": "gru", "ngram_order": 4},
    "lstm and counts of single symbols": {"cell": "lstm", "ngram_order": 1},
}
# Floats in one.
VECTORS = {"vectors of 4": 4, "vectors of 8": 8, "vectors of 16": 16}
