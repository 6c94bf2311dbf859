"""A checkpoint in words and numbers: what is in it, and what would run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnngen.checkpoint import Checkpoint
from rnngen.counts.storage import n_ngrams
from rnngen.engine import compiled


def describe(path: Path, checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
    """What is in a checkpoint and what would run it, by section and name, ready for JSON."""
    tokenizer = checkpoint.tokenizer
    split = {key: value for key, value in tokenizer.to_dict().items() if key.startswith("split")}
    return {
        "checkpoint": {
            "path": str(path),
            "n_bytes": path.stat().st_size,
            "n_parameters": checkpoint.config.n_parameters,
            "n_ngrams": n_ngrams(checkpoint.weights),
        },
        "model": checkpoint.config.to_dict(),
        "tokenizer": {"level": tokenizer.level, "vocab_size": tokenizer.vocab_size, **split},
        "engine": compiled.description(),
        "training": checkpoint.training,
    }
