"""Prompts: what a model reads of one, and how the text after it goes on.

A space at the end of a prompt is the start of the next token: after `The bell` comes ` rings`, with the space in it, at
word level as at subword level. A model that reads the space as a token of its own has not met it there. So it is not
read, and the first new token is drawn among those that start with a space ("token healing", as in Lundberg's guidance).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnngen.config import OnUnknown
from rnngen.tokenizers.base import Decoder, Encoded, Ids, Tokenizer, encode_known
from rnngen.tokenizers.splitting import BLANKS
from rnngen.tokenizers.symbols import NEWLINE
from rnngen.tokenizers.word import WordTokenizer


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A text to go on from.

    Attributes:
        read: the part that the model reads, after a line break, with its unknown symbols handled.
        owed: what the text after that part starts with: the space that ends the prompt, or nothing.
    """

    read: Encoded
    owed: str

    @property
    def ids(self) -> Ids:
        """The ids that the model reads, after the line break."""
        return self.read.ids

    def decoder(self) -> Decoder:
        """A decoder of the ids after the part that is read."""
        return self.read.tokenizer.decoder(self.read.text)

    @cached_property
    def first_ids(self) -> Ids | None:
        """The ids among which the first token is drawn; None for all."""
        if not self.owed:
            return None
        tokenizer, decoder = self.read.tokenizer, self.decoder()
        drawn = sorted(set(range(tokenizer.vocab_size)).difference(tokenizer.never_drawn))
        return np.array([id for id in drawn if decoder.peek(id).startswith(self.owed)], np.int32)


def encode_prompt(tokenizer: Tokenizer, text: str, on_unknown: OnUnknown) -> Prompt:
    """Encode a prompt without the space at its end, if that is the start of the next token.

    Args:
        on_unknown: as in `encode_known`.

    Raises:
        TokenizerError: a symbol is unknown and `on_unknown` is "error".
        ConfigError: `text` is no string.
    """
    whole = Prompt(read=encode_known(tokenizer, text, on_unknown, "the prompt"), owed="")
    size = _size_read(tokenizer, text)
    if size == len(text):
        return whole
    healed = Prompt(read=encode_known(tokenizer, text[:size], on_unknown, "the prompt"), owed=" ")
    return whole if healed.first_ids is not None and not len(healed.first_ids) else healed


def _size_read(tokenizer: Tokenizer, text: str) -> int:
    if tokenizer.level == "subword":
        return len(text.removesuffix(" "))
    if isinstance(tokenizer, WordTokenizer):
        return _size_before_blanks(tokenizer, text)
    return len(text)


def _size_before_blanks(tokenizer: WordTokenizer, text: str) -> int:
    """The blanks after a word are the single space that the next word implies, unless they are a token."""
    size = len(text.rstrip(BLANKS))
    blanks, before = text[size:], text[:size][-1:]
    if before in ("", NEWLINE):  # no word before them
        return len(text)
    if tokenizer.split == "punctuation" and (before.isspace() or (blanks != " " and tokenizer.knows(blanks))):
        return len(text)
    return size
