"""Word level, two ways: running text, split at punctuation without loss, and text that is split already.

Running text ("punctuation"): a token that follows another without a space carries the joiner mark U+FFED in front,
a single space between two tokens is implied, any other white space is a token of its own:

    Ay, my lord!   ->   Ay  ￭,  my  lord  ￭!

so a word at the start of a line and in the middle of it is the same symbol. Blanks that the vocabulary lacks are no
unknown word: they are no token, and separate words as a single space does.
Split text ("whitespace"): tokens are what blanks separate, and `<unk>` in the text is the unknown symbol.
The rules are in `splitting.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.config import Split
from rnngen.errors import TokenizerError, brief
from rnngen.tokenizers.base import Ids, Spans, Text
from rnngen.tokenizers.splitting import BLANKS, JOINER, LATEST, VERSIONS, Splitter, split_words
from rnngen.tokenizers.symbols import NEWLINE, UNK, Unknown

DEFAULT_VOCAB_SIZE = 20_000
_MOST_RUNS = 1 << 20  # counted in memory
# Runs whose ids are kept: some 20 MB, so that texts of any size are scored in little memory.
_MOST_KEPT, _LONGEST_KEPT = 1 << 16, 64
_MOST_WORDS = 1 << 21  # that are counted at a time, and no fewer than so many times the vocabulary:
_WORDS_PER_SYMBOL = 4


class WordTokenizer:
    """Ids: 0 is the unknown word, 1 the line break, then the words, the most frequent first.

    Args:
        split_version: of the rules by which texts are divided into words.
    """

    level = "word"
    unk_id: int | None = 0
    newline_id = 1
    never_drawn: tuple[int, ...] = (0,)

    def __init__(self, words: list[str], split: Split, split_version: int = LATEST) -> None:
        if type(split_version) is not int or split_version not in VERSIONS:
            raise TokenizerError(
                f"its words are split by version {brief(split_version)} of the rules, and this rnngen knows "
                f"{VERSIONS[0]} to {LATEST}: use a newer rnngen"
            )
        self.words = [UNK, NEWLINE, *words]
        self.split = split
        self.split_version = split_version
        self._splitter = Splitter(split, split_version)
        self.vocab_size = len(self.words)
        self._id_of = {word: id for id, word in enumerate(self.words)}
        if len(self._id_of) != self.vocab_size or "" in self._id_of:
            raise TokenizerError("a word vocabulary needs distinct words, none empty")
        solid = [word for word in words if split == "whitespace" or not word.isspace()]
        self._words_of = split_words if split == "whitespace" and split_version > 1 else str.split
        if self._words_of(NEWLINE.join(solid)) != solid or (len(solid) < len(words) and NEWLINE in "".join(words)):
            raise TokenizerError("a word vocabulary needs words without white space in them")
        self._ids_of_run = _IdsOfRun(self._id_of, self._splitter)

    @classmethod
    def build(cls, text: Text, vocab_size: int | None, min_count: int | None, split: Split) -> WordTokenizer:
        """Take the words that `text` has at least `min_count` times, the most frequent ones first.

        Without a `min_count`, running text drops the words that stand in it once: the model learns from them how
        likely an unknown word is. Split text has had that done to it, and keeps all.

        A text with millions of distinct words is counted in bounded memory, as lossy counting does (Manku and
        Motwani 2002): whenever they are too many, the rarer half of them is forgotten, and one that comes again is
        counted from there on. That can change which of the rarest words are taken.
        """
        most = max(_MOST_WORDS, _WORDS_PER_SYMBOL * (vocab_size or DEFAULT_VOCAB_SIZE))
        counts = _count_words(text, Splitter(split, LATEST), most)
        del counts[UNK], counts[NEWLINE]
        least = min_count or (1 if split == "whitespace" else 2)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        words = [word for word, count in ranked if count >= least]
        return cls(words[: (vocab_size or DEFAULT_VOCAB_SIZE) - 2], split)

    def encode(self, text: str) -> Ids:
        runs = self._splitter.runs(text)
        if self.split == "whitespace":
            return np.fromiter(map(self._id_of.get, runs, repeat(0)), np.int32)
        return np.fromiter(chain.from_iterable(map(self._ids_of_run.__getitem__, runs)), np.int32)

    def spans(self, text: str, ids: Ids | None = None) -> Spans:
        places = ((start, end) for _, start, end in self._placed_pieces(text))
        return np.fromiter(chain.from_iterable(places), np.int64).reshape(-1, 2)

    def decode(self, ids: npt.ArrayLike) -> str:
        decoder = self.decoder()
        return "".join(decoder.push(id) for id in np.asarray(ids).tolist())

    def decoder(self, after: str = "") -> WordDecoder:
        return WordDecoder(self.words, self.split, " " if self._words_of(after[-1:]) else "")

    def knows(self, token: str) -> bool:
        """Whether the vocabulary has a token."""
        return token in self._id_of

    def token(self, id: int) -> str:
        return self.words[id]

    def unknowns(self, text: str) -> Iterator[Unknown]:
        if self.split == "whitespace" and self._id_of.keys() >= set(self._splitter.runs(text)):
            return  # at a third of the walk's cost: in such a text all that is unknown may be written `<unk>`
        for piece, start, end in self._placed_pieces(text):
            if piece not in self._id_of:
                yield Unknown(text[start:end], start)

    def _placed_pieces(self, text: str) -> Iterator[tuple[str, int, int]]:
        """The pieces that have an id, each with the place of its first character and of the one after its last."""
        end = 0
        for run in self._splitter.runs(text):
            # Nothing but white space is between two runs, and a run of words does not start with any.
            start = end = text.index(run, end)
            for piece in self._splitter.pieces(run):
                place, end = end, end + len(piece) - (end > start)  # the joiner of all but the first is not in the text
                if not _only_separates(piece, self._id_of, self._splitter):
                    yield piece, place, end

    def to_dict(self) -> dict[str, Any]:
        version = {"split_version": self.split_version} if self.split_version > 1 else {}
        return {"level": self.level, "split": self.split, **version, "words": self.words[2:]}


class WordDecoder:
    """Ids to text, one at a time, with the spaces that the tokens imply.

    Args:
        space: what comes before a first word: a space after a word, nothing at the start of a line.
    """

    def __init__(self, words: list[str], split: Split, space: str) -> None:
        self._words = words
        self._joins = split == "punctuation"
        self._space = space

    @property
    def state(self) -> str:
        return self._space

    def push(self, id: int) -> str:
        text, self._space = self._text_and_space(id)
        return text

    def peek(self, id: int) -> str:
        return self._text_and_space(id)[0]

    def _text_and_space(self, id: int) -> tuple[str, str]:
        word = self._words[id]
        if word == NEWLINE or (self._joins and word.isspace()):
            return word, ""
        if self._joins and len(word) > 1 and word[0] == JOINER:
            return word[1:], " "
        return self._space + word, " "


class _IdsOfRun(dict[str, list[int]]):
    """The ids of a run, kept for the next time: most runs are met many times."""

    def __init__(self, id_of: dict[str, int], splitter: Splitter) -> None:
        self._id_of, self._splitter = id_of, splitter

    def __missing__(self, run: str) -> list[int]:
        pieces = self._splitter.pieces(run)
        ids = [self._id_of.get(piece, 0) for piece in pieces if not _only_separates(piece, self._id_of, self._splitter)]
        if len(run) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[run] = ids
        return ids


def _only_separates(piece: str, id_of: dict[str, int], splitter: Splitter) -> bool:
    """Whether it is blanks that the vocabulary lacks; these were an unknown word before version 2."""
    return splitter.version > 1 and piece not in id_of and not piece.strip(BLANKS)


def _count_words(text: Text, splitter: Splitter, most: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for chunk in chain(text.chunks(), [""]):
        runs.update(splitter.runs(chunk))
        if not chunk or len(runs) >= _MOST_RUNS:
            for run, count in runs.items():
                for piece in splitter.pieces(run):
                    counts[piece] += count
            runs.clear()
            if len(counts) > most:
                _forget_rare(counts)
    return counts


def _forget_rare(counts: Counter[str]) -> None:
    least = sorted(counts.values())[len(counts) // 2]
    for word in [word for word, count in counts.items() if count <= least]:
        del counts[word]
