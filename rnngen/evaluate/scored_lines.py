"""Lines with their log-probabilities: numbered, encoded and scored in order, and what they are made of.

All logarithms are natural. Nothing here prints.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from rnngen.config import OnUnknown, ScoreState
from rnngen.engine.cells import Array
from rnngen.engine.runner import Runner, from_the_left, reader
from rnngen.engine.scoring import perplexity
from rnngen.errors import ConfigError, brief
from rnngen.evaluate.continuations import Continuations
from rnngen.text.streams import Lines
from rnngen.text.unpacking import of_file
from rnngen.text.word_spans import line_words
from rnngen.tokenizers.base import Encoded, Tokenizer, encode_known
from rnngen.tokenizers.symbols import NEWLINE

MOST_LINES = 2048  # that are scored together
MOST_CHARS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Boundaries:
    """Where a line starts and ends for the model.

    Attributes:
        bos: the line follows a line break. Without it nothing stands before the first token, which then is context
            only and has no probability.
        eos: the line break that ends the line is one of its tokens.
        state: "reset" scores each line by itself; "carry" after all lines before it.
        prefix: a text of which each line is a continuation, and which is not counted (`continuations.py`).

    Raises:
        ConfigError: a prefix with the state carried, or without the line break before it.
    """

    bos: bool = True
    eos: bool = True
    state: ScoreState = "reset"
    prefix: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.prefix, str):
            raise ConfigError(f"prefix is {brief(self.prefix)}: it must be a string")
        if self.prefix and (self.state == "carry" or not self.bos):
            raise ConfigError("a prefix stands after a line break before every line: leave out state and bos")


def of_both_sides(boundaries: Boundaries) -> Boundaries:
    """The boundaries for a bidirectional model: it has no probability for the end of a line. Raises ConfigError."""
    if replace(boundaries, eos=True) != Boundaries():
        raise ConfigError("a bidirectional model scores each line by itself: leave out bos, state and prefix")
    return replace(boundaries, eos=False)


class LineTotals(NamedTuple):
    """The sums of a line's tokens: of all that have a log-probability, and of the known ones among them.

    Attributes:
        n_unknown: unknown symbols; where they were left out, those that the line had.
    """

    logprob_nats: float
    n_tokens: int
    n_unknown: int
    known_logprob_nats: float
    n_known: int

    @property
    def perplexity(self) -> float:
        """exp(nats / tokens); NaN where no token has a log-probability."""
        return perplexity(self.logprob_nats, self.n_tokens)

    @property
    def known_perplexity(self) -> float:
        """The same for the known tokens."""
        return perplexity(self.known_logprob_nats, self.n_known)


class ScoredToken(NamedTuple):
    """A token of a line, or the line break that ends it.

    Attributes:
        number: its place in the line, counted from 1.
        text: what stands in the line; differs from the token's symbol where that is unknown or a byte of a character.
        unknown: it is the unknown symbol.
    """

    number: int
    text: str
    id: int
    logprob_nats: float
    unknown: bool

    @property
    def known_logprob_nats(self) -> float:
        """0 for an unknown token."""
        return 0.0 if self.unknown else self.logprob_nats

    @property
    def ends_line(self) -> bool:
        """Whether it is the line break that ends the line."""
        return self.text == NEWLINE


class ScoredWord(NamedTuple):
    """A word of a line with the white space before it, or the end of the line with the white space before that.

    Attributes:
        number: its place in the line, counted from 1.
        text: without white space; a line break for the line's end.
        id: None for a word of several tokens.
        logprob_nats: the sum of its tokens.
        known_logprob_nats: the sum of its known tokens.
        n_tokens: of those that have a log-probability.
        unknown: it is, or holds, an unknown symbol; a line's end never is.
    """

    number: int
    text: str
    id: int | None
    logprob_nats: float
    known_logprob_nats: float
    n_tokens: int
    unknown: bool

    @property
    def ends_line(self) -> bool:
        """Whether it is the end of the line."""
        return self.text == NEWLINE


@dataclass(frozen=True, kw_only=True)
class ScoredLine:
    """A line and how likely it is.

    Attributes:
        number: counted from 1 in its file.
        file: the path of its file, where there are several.
        encoded: its text and ids, without the line break and without the prefix.
        logprobs: float32, one for each token that `boundaries` give it.
        pseudo: each is that of a token given all others of the line.
    """

    number: int
    encoded: Encoded
    logprobs: Array
    boundaries: Boundaries = Boundaries()
    file: str | None = None
    pseudo: bool = False

    @property
    def text(self) -> str:
        """The line without its line break."""
        return self.encoded.text

    @property
    def tokenizer(self) -> Tokenizer:
        """What made its ids."""
        return self.encoded.tokenizer

    @property
    def start(self) -> int:
        """How many of the line's ids come before the first one that has a log-probability."""
        return 0 if self.boundaries.bos else 1

    @property
    def surprisals_bits(self) -> list[float]:
        """Of each token that has a log-probability."""
        return [-logprob / math.log(2) for logprob in self.logprobs.tolist()]

    @cached_property
    def totals(self) -> LineTotals:
        """The sums of the line's tokens."""
        total, n_tokens = float(self.logprobs.sum(dtype=np.float64)), len(self.logprobs)
        n_unknown = self.encoded.n_unknown
        unknown = self.encoded.is_unknown
        if not n_unknown or len(unknown) > len(self.encoded.ids):  # there are none, or they were left out
            return LineTotals(total, n_tokens, n_unknown, total, n_tokens)
        unknown = unknown[self.start :]
        n_unknown = int(unknown.sum())
        known = total - float(self.logprobs[: len(unknown)][unknown].sum(dtype=np.float64))
        return LineTotals(total, n_tokens, n_unknown, known, n_tokens - n_unknown)

    def tokens(self) -> list[ScoredToken]:
        """The tokens that have a log-probability."""
        ids: list[int] = self.encoded.ids.tolist()
        texts = [self.text[start:end] for start, end in self.encoded.spans.tolist()]
        if self.boundaries.eos:
            ids.append(self.tokenizer.newline_id)
            texts.append(NEWLINE)
        ids, texts = ids[self.start :], texts[self.start :]
        unk_id = self.tokenizer.unk_id
        unknown = [id == unk_id for id in ids] if self.encoded.n_unknown else [False] * len(ids)
        numbers = range(1 + self.start, 1 + self.start + len(ids))
        columns = zip(numbers, texts, ids, self.logprobs.tolist(), unknown, strict=True)
        return list(itertools.starmap(ScoredToken, columns))

    def words(self) -> list[ScoredWord]:
        """The words that have a log-probability: what white space separates (`text/word_spans.py`).

        A symbol that was left out is no part of a word. White space at the end of a line whose end is not scored
        belongs to the last word; in a line of white space only it is a word by itself.
        """
        text = self.encoded.known_text
        texts, word_of = line_words(text, self.encoded.known_spans)
        if self.boundaries.eos:
            return _words_of_tokens(self, [*texts, NEWLINE], np.append(word_of, len(texts)))
        if not texts:
            return _words_of_tokens(self, [text], word_of)
        return _words_of_tokens(self, texts, np.minimum(word_of, len(texts) - 1))


def _words_of_tokens(line: ScoredLine, texts: list[str], word_of: Any) -> list[ScoredWord]:
    """The words of which at least one token has a log-probability.

    Args:
        texts: of all words, the line's end included where it is scored.
        word_of: for each id of the line, its end included where it is scored, the place of its word.
    """
    ids, eos = line.encoded.ids, line.boundaries.eos
    if eos:
        ids = np.append(ids, line.tokenizer.newline_id)
    unknown, logprobs = ids == line.tokenizer.unk_id, line.logprobs.astype(np.float64)
    n_all_tokens = np.bincount(word_of, minlength=len(texts)).tolist()
    last_id = dict(zip(word_of.tolist(), ids.tolist(), strict=True))
    word_of, unknown = word_of[line.start :], unknown[line.start :]

    def sums(amounts: Any = None) -> Any:
        return np.bincount(word_of, amounts, len(texts)).tolist()

    n_tokens, all_nats, known_nats, n_unknown = sums(), sums(logprobs), sums(logprobs * ~unknown), sums(unknown)
    if eos:
        n_unknown[-1] = 0
    return [
        ScoredWord(
            place + 1,
            texts[place],
            last_id[place] if n_all_tokens[place] == 1 else None,
            all_nats[place],
            known_nats[place],
            n_tokens[place],
            n_unknown[place] > 0,
        )
        for place in range(len(texts))
        if n_tokens[place]
    ]


def score_in_blocks(
    network: Runner,
    tokenizer: Tokenizer,
    arriving: Iterable[list[str]],
    on_unknown: OnUnknown = "unk",
    boundaries: Boundaries = Boundaries(),
) -> Iterator[list[ScoredLine]]:
    """Score lines in order, as they arrive.

    Args:
        arriving: lines with their line breaks; those that arrived together stand together.

    Yields:
        The lines that were scored together, 1 to `MOST_LINES`.

    Raises:
        TokenizerError: a symbol is unknown and `on_unknown` is "error".
        CheckpointError: the model's logits are not finite.
    """
    return score_files(network, tokenizer, [(None, arriving)], on_unknown, boundaries)


def score_files(
    network: Runner,
    tokenizer: Tokenizer,
    files: Iterable[Lines],
    on_unknown: OnUnknown = "unk",
    boundaries: Boundaries = Boundaries(),
) -> Iterator[list[ScoredLine]]:
    """Score the lines of several files; they are numbered in each file, and a state that is carried goes on.

    Args:
        files: names and lines, as in `score_in_blocks`, as is the rest. None is the name of a file that needs none.
    """
    pseudo = network.config.bidirectional
    boundaries = of_both_sides(boundaries) if pseudo else boundaries
    score = _scorer(network, tokenizer, on_unknown, boundaries)
    for file, arriving in files:
        numbers, where = itertools.count(1), of_file(file)
        for block in in_blocks(arriving, len(boundaries.prefix)):
            numbered = [(next(numbers), line.removesuffix("\n")) for line in block]
            scored = score([(text, f"line {number}{where}") for number, text in numbered])
            yield [
                ScoredLine(
                    number=number,
                    file=file,
                    encoded=encoded,
                    logprobs=logprobs if boundaries.eos else logprobs[:-1],
                    boundaries=boundaries,
                    pseudo=pseudo,
                )
                for (number, _), (encoded, logprobs) in zip(numbered, scored, strict=True)
            ]


def _scorer(
    network: Runner, tokenizer: Tokenizer, on_unknown: OnUnknown, boundaries: Boundaries
) -> Callable[[Sequence[tuple[str, str]]], list[tuple[Encoded, Array]]]:
    """Lines, each with its name for errors, to ids and log-probabilities, those of their line breaks included."""
    if boundaries.prefix:
        return Continuations(from_the_left(network), tokenizer, boundaries.prefix, on_unknown).score
    newline_id = tokenizer.newline_id
    read = reader(network, newline_id, boundaries.state, boundaries.bos)

    def score(lines: Sequence[tuple[str, str]]) -> list[tuple[Encoded, Array]]:
        encoded = [encode_known(tokenizer, text, on_unknown, where) for text, where in lines]
        logprobs = read(np.concatenate([np.append(line.ids, newline_id) for line in encoded]))
        ends = np.cumsum([len(line.ids) + boundaries.bos for line in encoded])
        return list(zip(encoded, np.split(logprobs, ends[:-1]), strict=True))

    return score


def in_blocks(arriving: Iterable[list[str]], more_chars: int = 0) -> Iterator[list[str]]:
    """Lines that arrived together, in parts that are small enough to be scored together.

    Args:
        more_chars: that are scored with each line.
    """
    for arrived in arriving:
        block: list[str] = []
        size = 0
        for line in arrived:
            block.append(line)
            size += len(line) + more_chars
            if len(block) >= MOST_LINES or size >= MOST_CHARS:
                yield block
                block, size = [], 0
        if block:
            yield block
