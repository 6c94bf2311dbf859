"""Word level, two ways: running text, split at punctuation without loss, and text that is split already.

Running text ("punctuation"): a token that follows another without a space carries the joiner mark U+FFED in front,
a single space between two tokens is implied, any other white space is a token of its own:

    Ay, my lord!   ->   Ay  ￭,  my  lord  ￭!

so a word at the start of a line and in the middle of it is the same symbol.
Split text ("whitespace"): tokens are what white space separates, and `<unk>` in the text is the unknown symbol.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.config import Split
from rnngen.errors import TokenizerError
from rnngen.text.corpus import Text
from rnngen.text.symbols import NEWLINE, UNK, Unknown

Ids = npt.NDArray[np.int32]
JOINER = "￭"
DEFAULT_VOCAB_SIZE = 20_000
_RUNS = re.compile(r"\s+|\S+")
_LARGEST_CACHE = 1 << 20


class WordTokenizer:
    """Ids: 0 is the unknown word, 1 the line break, then the words, the most frequent first."""

    level = "word"
    unk_id: int | None = 0
    newline_id = 1
    never_drawn: tuple[int, ...] = (0,)

    def __init__(self, words: list[str], split: Split) -> None:
        self.words = [UNK, NEWLINE, *words]
        self.split = split
        self.vocab_size = len(self.words)
        self._id_of = {word: id for id, word in enumerate(self.words)}
        if len(self._id_of) != self.vocab_size or "" in self._id_of:
            raise TokenizerError("a word vocabulary needs distinct words, none empty")
        self._ids_of_run: dict[str, list[int]] = {}

    @classmethod
    def build(cls, text: Text, vocab_size: int | None, min_count: int | None, split: Split) -> WordTokenizer:
        """Take the words that `text` has at least `min_count` times, the most frequent ones first.

        Without a `min_count`, running text drops the words that stand in it once: the model learns from them how
        likely an unknown word is. Split text has had that done to it, and keeps all.
        """
        counts: Counter[str] = Counter()
        for chunk in text.chunks():
            if split == "whitespace":
                counts.update(chunk.split())
            else:
                for line in chunk.split(NEWLINE):
                    counts.update(_pieces(line))
        del counts[UNK]
        least = min_count or (1 if split == "whitespace" else 2)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        words = [word for word, count in ranked if count >= least]
        return cls(words[: (vocab_size or DEFAULT_VOCAB_SIZE) - 2], split)

    def encode(self, text: str) -> Ids:
        ids: list[int] = []
        encode_line = self._encode_split if self.split == "whitespace" else self._encode_running
        first, *others = text.split(NEWLINE)
        encode_line(first, ids)
        for line in others:
            ids.append(self.newline_id)
            encode_line(line, ids)
        return np.array(ids, np.int32)

    def _encode_split(self, line: str, ids: list[int]) -> None:
        look_up = self._id_of.get
        ids += [look_up(word, 0) for word in line.split()]

    def _encode_running(self, line: str, ids: list[int]) -> None:
        words = line.split()
        if " ".join(words) != line:
            # Some white space is not the single space between two words.
            ids += [self._id_of.get(piece, 0) for piece in _pieces(line)]
            return
        cache = self._ids_of_run
        for word in words:
            found = cache.get(word)
            if found is None:
                if len(cache) >= _LARGEST_CACHE:
                    cache.clear()
                found = cache[word] = [self._id_of.get(piece, 0) for piece in _split_run(word)]
            ids += found

    def decode(self, ids: npt.ArrayLike) -> str:
        decoder = self.decoder()
        return "".join(decoder.push(id) for id in np.asarray(ids).tolist())

    def decoder(self) -> WordDecoder:
        return WordDecoder(self.words, self.split)

    def token(self, id: int) -> str:
        return self.words[id]

    def unknowns(self, text: str) -> Iterator[Unknown]:
        offset = 0
        for line in text.split(NEWLINE):
            for run in _RUNS.finditer(line):
                place = offset + run.start()
                if self.split == "whitespace":
                    pieces = [] if run[0].isspace() else [run[0]]
                else:
                    pieces = [] if _is_implied(run, line) else _split_run(run[0])
                for turn, piece in enumerate(pieces):
                    written = piece.removeprefix(JOINER) if turn else piece
                    if piece not in self._id_of:
                        yield Unknown(written, place)
                    place += len(written)
            offset += len(line) + 1

    def to_dict(self) -> dict[str, Any]:
        return {"level": self.level, "split": self.split, "words": self.words[2:]}


class WordDecoder:
    """Ids to text, one at a time, with the spaces that the tokens imply."""

    def __init__(self, words: list[str], split: Split) -> None:
        self._words = words
        self._joins = split == "punctuation"
        self._space = ""

    def push(self, id: int) -> str:
        word = self._words[id]
        if word == NEWLINE or (self._joins and word.isspace()):
            self._space = ""
            return word
        if self._joins and len(word) > 1 and word[0] == JOINER:
            self._space = " "
            return word[1:]
        text = self._space + word
        self._space = " "
        return text


def _pieces(line: str) -> list[str]:
    """The tokens of one line of running text."""
    pieces: list[str] = []
    for run in _RUNS.finditer(line):
        if not _is_implied(run, line):
            pieces += _split_run(run[0])
    return pieces


def _is_implied(run: re.Match[str], line: str) -> bool:
    """Whether a run is the single space between two words, which needs no token."""
    return run[0] == " " and run.start() > 0 and run.end() < len(line)


def _split_run(run: str) -> list[str]:
    """A run without spaces as words and punctuation signs, all but the first with the joiner in front."""
    if run.isspace() or run.isalnum():
        return [run]
    ends: list[int] = []
    for place in range(len(run)):
        if ends and _is_in_word(run, place) and _is_in_word(run, place - 1):
            ends[-1] = place + 1
        else:
            ends.append(place + 1)
    starts = [0, *ends]
    return [
        run[start:end] if start == 0 else JOINER + run[start:end]
        for start, end in zip(starts, ends, strict=False)
    ]  # fmt: skip


def _is_in_word(run: str, place: int) -> bool:
    character = run[place]
    if character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M":
        return True
    # An apostrophe between letters belongs to the word: don't, o'er.
    return character in "'’" and 0 < place < len(run) - 1 and run[place - 1].isalnum() and run[place + 1].isalnum()
