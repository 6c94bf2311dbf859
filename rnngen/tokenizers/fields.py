"""Tokens and words as fields of a line, for output that spaces or tabs divide."""

from __future__ import annotations

from collections.abc import Callable

from rnngen.printable import marked
from rnngen.tokenizers.base import Tokenizer
from rnngen.tokenizers.word import WordTokenizer


def word_field(word: str) -> str:
    """A word as it stands: no blank is in it. Only white space alone has signs, such as the end of a line.

    >>> word_field("C:\\\\tmp"), word_field("▁the"), word_field("\\n")
    ('C:\\\\tmp', '▁the', '␊')
    """
    return marked(word) if word.isspace() else word


def token_field(tokenizer: Tokenizer) -> Callable[[str], str]:
    """A function from a token, or what stands for it in the text, to a field.

    Split words are written as they stand. Other tokens may hold white space, which is written as signs.
    """
    return word_field if isinstance(tokenizer, WordTokenizer) and tokenizer.split == "whitespace" else marked
