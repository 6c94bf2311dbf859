"""Tokenizers and texts: a tokenizer built from a text, its file, ids that came from outside, and token counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnngen.config import ENCODING, OnUnknown, TokenizerConfig
from rnngen.errors import DataError
from rnngen.storage.atomic import check_writable
from rnngen.text.corpus import survey
from rnngen.text.sources import Paths, open_text
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import Text, Tokenizer, encode_known
from rnngen.tokenizers.unknowns import Unknowns


def build_tokenizer(
    paths: Paths | None = None,
    *,
    text: str | None = None,
    config: TokenizerConfig = TokenizerConfig(),
    encoding: str = ENCODING,
) -> Tokenizer:
    """Make a tokenizer out of a text.

    Args:
        paths: one file or several, one after another.
        text: the text itself, in place of files.
        config: the level, and how large the vocabulary may be.
        encoding: of the files.

    Raises:
        ConfigError: neither files nor a text are given, or both.
        DataError: a file cannot be read, or the text is empty.
        TokenizerError: the text is too small for such a tokenizer.

    >>> import rnngen
    >>> words = rnngen.TokenizerConfig("word", min_count=1)
    >>> tokenizer = rnngen.build_tokenizer(text="a bee sees a bee", config=words)
    >>> ids = tokenizer.encode("a bee sees")
    >>> [tokenizer.token(id) for id in ids], tokenizer.decode(ids)
    (['a', 'bee', 'sees'], 'a bee sees')
    """
    return tokenizer_of(open_text(paths, text, encoding), config)


def tokenizer_of(text: Text, config: TokenizerConfig) -> Tokenizer:
    """The same for a text that is open. Raises DataError: it is empty, and the level is not byte."""
    if config.level != "byte":
        survey(text)
    return levels.build(config, text)


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Read a tokenizer file.

    Args:
        path: of a file from `save_tokenizer` or `rnngen tokenize --save`.

    Raises:
        TokenizerError: it cannot be read, or is not a tokenizer file.

    >>> import rnngen
    >>> rnngen.save_tokenizer(rnngen.build_tokenizer(text="abc"), "letters.json")
    >>> rnngen.load_tokenizer("letters.json").encode("cab").tolist()
    [4, 2, 3]
    """
    return levels.load(Path(path))


def save_tokenizer(tokenizer: Tokenizer, path: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Write a tokenizer file, whole or not at all.

    Args:
        tokenizer: from `build_tokenizer`, or of a model (`model.tokenizer`).
        replace: a file of this name may be overwritten.

    Raises:
        OutputError: the file exists, or cannot be written.

    >>> import rnngen
    >>> rnngen.save_tokenizer(rnngen.load("hello").tokenizer, "hello.json")
    >>> rnngen.load_tokenizer("hello.json").level
    'char'
    """
    check_writable(Path(path), force=replace, remedy="give replace=True, or name another file")
    levels.save(tokenizer, Path(path), replace=replace)


def decode_ids(tokenizer: Tokenizer, ids: Sequence[int], where: str = "the list") -> str:
    """The text of ids that may be wrong.

    Args:
        where: names them in the error.

    Raises:
        DataError: the tokenizer does not have one of them.
    """
    wrong = [id for id in ids if not 0 <= id < tokenizer.vocab_size]
    if wrong:
        raise DataError(f"{where} has the id {wrong[0]}: this tokenizer has 0 to {tokenizer.vocab_size - 1}")
    return tokenizer.decode(ids)


@dataclass(frozen=True, kw_only=True)
class TokenCounts:
    """What a tokenizer makes of a text.

    Attributes:
        n_tokens: with the unknown symbols, where they are not left out.
        unknowns: the unknown symbols of the text.
    """

    tokenizer: Tokenizer
    n_chars: int
    n_tokens: int
    unknowns: Unknowns

    @property
    def chars_per_token(self) -> float:
        """How many characters a token stands for, on average."""
        return self.n_chars / self.n_tokens

    @property
    def unknown_rate(self) -> float:
        """Unknown symbols per token."""
        return self.unknowns.count / self.n_tokens

    def to_dict(self) -> dict[str, str | int | float]:
        """All of it, ready for JSON."""
        return {
            "level": self.tokenizer.level,
            "vocab_size": self.tokenizer.vocab_size,
            "n_chars": self.n_chars,
            "n_tokens": self.n_tokens,
            "chars_per_token": self.chars_per_token,
            "n_unknown": self.unknowns.count,
            "unknown_rate": self.unknown_rate,
        }


def count_tokens(tokenizer: Tokenizer, text: Text, on_unknown: OnUnknown = "unk") -> TokenCounts:
    """Count the tokens of a text.

    Raises:
        DataError: the text cannot be read, or has no tokens.
        TokenizerError: a symbol is unknown and `on_unknown` is "error".
    """
    unknowns, n_chars, n_tokens = Unknowns(), 0, 0
    for chunk in text.chunks():
        encoded = encode_known(tokenizer, chunk, on_unknown, "the text", n_chars)
        unknowns.add(encoded)
        n_chars += len(chunk)
        n_tokens += len(encoded.ids)
    if not n_tokens:
        raise DataError("the text is empty: there is nothing to count")
    return TokenCounts(tokenizer=tokenizer, n_chars=n_chars, n_tokens=n_tokens, unknowns=unknowns)
