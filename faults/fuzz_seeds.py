"""Small good files of every form, which the fuzz damages."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from rnngen import checkpoint as checkpoints
from rnngen.checkpoint import Checkpoint
from rnngen.config import ModelConfig, TokenizerConfig
from rnngen.counts.estimate import estimate
from rnngen.counts.storage import to_arrays
from rnngen.shapes import MIX
from rnngen.text import tagged
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import Tokenizer

_TEXT = "to be, or not to be:\n\tthat is the question\u0301 \U0001f600\n" * 9
_WANTED = (
    TokenizerConfig("char"),
    TokenizerConfig("byte"),
    TokenizerConfig("word"),
    TokenizerConfig("word", split="whitespace"),
    TokenizerConfig("subword"),
    TokenizerConfig("subword", subword_model="bpe"),
)
_MODELS: tuple[dict[str, Any], ...] = (
    {"cell": "gru", "ngram_order": 3},
    {"cell": "lstm", "tie_weights": True},
    {"cell": "rnn", "nonlinearity": "relu", "num_layers": 2},
    {"cell": "gru", "dropout": 0.1},
    {"cell": "gru", "bidirectional": True, "num_layers": 2},
    {"cell": "gru", "bidirectional": True, "n_words": 3, "n_tags": 2, "spelling_dim": 4},
    {"cell": "none", "embedding_dim": 0, "hidden_size": 0, "num_layers": 0, "ngram_order": 5},
)

NBEST_LISTS = {
    "moses": "0 ||| to be or not ||| d0= -1.5 LM0= -20.25 RNNLM= -7.5 ||| -12.25",
    "srilm": "-1234.5 -56.75 4 to be or not",
    "kaldi": "utt-1-2 to be or not",
}

ARPA = r"""\data\
ngram 1=6
ngram 2=4
ngram 3=2

\1-grams:
-1.2	<unk>
0	<s>	-0.3
-0.9	</s>
-0.7	to	-0.25
-0.8	be	-0.2
-1.0	or	-0.1

\2-grams:
-0.3	<s> to	-0.1
-0.2	to be	-0.15
-0.5	be or	-0.1
-0.4	be </s>

\3-grams:
-0.1	<s> to be
-0.2	to be </s>

\end\
"""


def write_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of random weights: all tokenizers and all models, each in turn."""
    paths, tokenizers = [], _tokenizers()
    for number in range(max(len(tokenizers), len(_MODELS))):
        path = folder / f"seed{number}.safetensors"
        tokenizer, options = tokenizers[number % len(tokenizers)], _MODELS[number % len(_MODELS)]
        checkpoints.save(_checkpoint(tokenizer, options), path)
        paths.append(path)
    return paths


def write_tokenizers(folder: Path) -> list[Path]:
    """A tokenizer file of every kind."""
    paths = []
    for number, tokenizer in enumerate(_tokenizers()):
        paths.append(folder / f"seed{number}.json")
        levels.save(tokenizer, paths[-1])
    return paths


def write_arpa(folder: Path) -> list[Path]:
    """A model of order 3 in the ARPA format."""
    path = folder / "seed.arpa"
    path.write_text(ARPA, "utf-8")
    return [path]


def write_nbest_lists(folder: Path) -> list[Path]:
    """A line of each form; the suffix names the form."""
    paths = []
    for form, line in NBEST_LISTS.items():
        paths.append(folder / f"seed.{form}")
        paths[-1].write_text(line, "utf-8")
    return paths


def _tokenizers() -> list[Tokenizer]:
    text: Any = SimpleNamespace(chunks=lambda: iter([_TEXT]))
    return [levels.build(wanted, text) for wanted in _WANTED]


def _checkpoint(tokenizer: Tokenizer, options: dict[str, Any]) -> Checkpoint:
    random = np.random.default_rng(1)
    config = ModelConfig(**{"vocab_size": tokenizer.vocab_size, "embedding_dim": 4, "hidden_size": 4, **options})
    weights: Any = {
        name: random.standard_normal(shape).astype(np.float32) for name, shape in config.weight_shapes().items()
    }
    if config.ngram_order:
        weights[MIX] = np.array([0.7, 0.6], np.float32)
        tokens = random.integers(min(8, config.vocab_size), size=400)
        weights |= to_arrays(estimate(tokens, 0, config.vocab_size, config.ngram_order))
    if config.is_tagger:
        weights |= tagged.to_arrays(tagged.TagVocabulary(("to", "be", "not"), ("PART", "VERB")))
    training = {"corpus": {"sha256": "0f", "n_chars": 10}, "seed": 1, "lines": False, "texts": ["a.txt"], "time": 1.5}
    history: Any = [
        {"step": 10, "train_loss_nats": 1.5, "valid_loss_nats": None},
        {"step": 20, "valid_loss_nats": 1.25},
    ]
    return Checkpoint(config, tokenizer, weights, training, history)
