"""Char level (Unicode code points as they stand) and byte level (the 256 bytes of UTF-8)."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.errors import TokenizerError
from rnngen.tokenizers.base import Ids, Spans, Text
from rnngen.tokenizers.symbols import NEWLINE, UNK, Unknown

_CODE_POINTS = 0x110000


class CharTokenizer:
    """One id a code point: 0 is the unknown symbol, 1 the line break, then the others in code point order."""

    level = "char"
    unk_id: int | None = 0
    newline_id = 1
    never_drawn: tuple[int, ...] = (0,)

    def __init__(self, characters: str) -> None:
        # No string of distinct characters is longer; of a longer one the set alone would take seconds.
        if len(characters) > _CODE_POINTS or len(set(characters)) != len(characters) or NEWLINE in characters:
            raise TokenizerError("a char vocabulary needs distinct characters without the line break")
        self.characters = characters
        self.vocab_size = len(characters) + 2
        codes = _code_points(NEWLINE + characters)
        self._code_of = np.concatenate([np.array([0xFFFD], np.uint32), codes])
        # As long as the largest known code point; larger ones are clipped to its last entry, which stays unknown.
        self._id_of = np.zeros(int(codes.max()) + 2, np.int32)
        self._id_of[codes] = np.arange(1, self.vocab_size)

    @classmethod
    def build(cls, text: Text, vocab_size: int | None, min_count: int | None) -> CharTokenizer:
        """Take the characters that `text` has at least `min_count` times, the most frequent ones first."""
        counts = np.zeros(_CODE_POINTS, np.int64)
        for chunk in text.chunks():
            found = np.bincount(_code_points(chunk))
            counts[: len(found)] += found
        counts[ord(NEWLINE)] = 0
        codes = np.flatnonzero(counts >= (min_count or 1))
        if vocab_size is not None:
            codes = codes[np.argsort(-counts[codes], kind="stable")][: vocab_size - 2]
        return cls("".join(map(chr, sorted(codes.tolist()))))

    def encode(self, text: str) -> Ids:
        return self._id_of[np.minimum(_code_points(text), len(self._id_of) - 1)]

    def spans(self, text: str, ids: Ids | None = None) -> Spans:
        return _single_spans(np.arange(len(text), dtype=np.int64))

    def decode(self, ids: npt.ArrayLike) -> str:
        return self._code_of[np.asarray(ids, np.int64)].tobytes().decode("utf-32-le", "surrogatepass")

    def decoder(self, after: str = "") -> CharDecoder:
        return CharDecoder(self)

    def token(self, id: int) -> str:
        return UNK if id == self.unk_id else chr(int(self._code_of[id]))

    def unknowns(self, text: str) -> Iterator[Unknown]:
        for offset in np.flatnonzero(self.encode(text) == self.unk_id).tolist():
            yield Unknown(text[offset], offset)

    def to_dict(self) -> dict[str, Any]:
        return {"level": self.level, "characters": self.characters}


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _single_spans(places: npt.NDArray[np.int64]) -> Spans:
    return np.stack([places, places + 1], axis=1)


class CharDecoder:
    """Ids to text, one at a time."""

    def __init__(self, tokenizer: CharTokenizer) -> None:
        self._tokenizer = tokenizer

    @property
    def state(self) -> None:
        return None

    def push(self, id: int) -> str:
        return self._tokenizer.decode([id])

    peek = push


class ByteTokenizer:
    """The id of a byte is its value; every text is known."""

    level = "byte"
    unk_id: int | None = None
    newline_id = ord(NEWLINE)
    never_drawn: tuple[int, ...] = ()
    vocab_size = 256

    def encode(self, text: str) -> Ids:
        return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int32)

    def spans(self, text: str, ids: Ids | None = None) -> Spans:
        codes = _code_points(text)
        n_bytes = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
        return _single_spans(np.repeat(np.arange(len(text), dtype=np.int64), n_bytes))

    def decode(self, ids: npt.ArrayLike) -> str:
        return np.asarray(ids, np.uint8).tobytes().decode("utf-8", "replace")

    def decoder(self, after: str = "") -> ByteDecoder:
        return ByteDecoder([bytes([value]) for value in range(256)])

    def token(self, id: int) -> str:
        return chr(id) if id < 0x80 else f"<0x{id:02X}>"

    def unknowns(self, text: str) -> Iterator[Unknown]:
        return iter(())

    def to_dict(self) -> dict[str, Any]:
        return {"level": self.level}


class ByteDecoder:
    """Ids that stand for bytes to text; holds back what is not yet a whole character.

    Args:
        bytes_of: the bytes of each id.
    """

    def __init__(self, bytes_of: list[bytes]) -> None:
        self._bytes_of = bytes_of
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    @property
    def state(self) -> bytes:
        return self._utf8.getstate()[0]

    def push(self, id: int) -> str:
        return self._utf8.decode(self._bytes_of[id])

    def peek(self, id: int) -> str:
        before = self._utf8.getstate()
        text = self.push(id)
        self._utf8.setstate(before)
        return text
