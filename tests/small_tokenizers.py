"""A tokenizer of every level, built from a few words."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from rnngen.config import TokenizerConfig
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import Tokenizer

TEXT = "to be, or not to be:\n\tthat is the question\u0301 \U0001f600\n" * 9
CONFIGS = {
    "char": TokenizerConfig("char"),
    "byte": TokenizerConfig("byte"),
    "word": TokenizerConfig("word"),
    "split word": TokenizerConfig("word", split="whitespace"),
    "unigram": TokenizerConfig("subword"),
    "bpe": TokenizerConfig("subword", subword_model="bpe"),
}


@cache
def build(config: TokenizerConfig) -> Tokenizer:
    text: Any = SimpleNamespace(chunks=lambda: iter([TEXT]))
    return levels.build(config, text)
