"""Lines as they come in, numbered, encoded and scored: what `score` and `perplexity --state reset` share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rnngen import models
from rnngen.config import OnUnknown, ScoreState

if TYPE_CHECKING:
    from rnngen.engine.cells import Array
    from rnngen.tokenizers.base import Encoded, Spans, Tokenizer

MOST_LINES = 2048  # that are scored together
MOST_CHARS = 1 << 20


@dataclass(frozen=True)
class Boundaries:
    """Where a line begins and ends for the model.

    Attributes:
        bos: the line follows a line break. Without it nothing stands before the first token, which then is context
            only and has no probability.
        eos: the line break that ends it is one of its tokens.
        state: "reset" scores each line by itself; "carry" after all lines before it.
    """

    bos: bool = True
    eos: bool = True
    state: ScoreState = "reset"


@dataclass(frozen=True)
class ScoredLine:
    """A line and how likely it is.

    Attributes:
        number: counted from 1.
        text: without its line break.
        encoded: its ids, without the line break.
        logprobs: natural, one for each token that `boundaries` give it.
    """

    number: int
    text: str
    encoded: Encoded
    logprobs: Array
    boundaries: Boundaries = Boundaries()

    @property
    def first_unknown(self) -> str | None:
        """The first unknown symbol with its place, for a note."""
        found = self.encoded.first_unknown
        return None if found is None else f"{found} of line {self.number}"

    @property
    def start(self) -> int:
        """How many of the line's ids come before the first one that has a log-probability."""
        return 0 if self.boundaries.bos else 1


NO_ID = -1


class Units(NamedTuple):
    """The tokens or words of a line that have a log-probability.

    Attributes:
        numbers: their places in the line, counted from 1.
        surfaces: as they stand in the text; of the line's end a line break.
        ids: of words that are several tokens NO_ID.
        logprobs: natural, of all their tokens.
        known_logprobs: without their unknown tokens.
        n_tokens: of each, as far as they are scored.
        unknown: whether it is, or holds, an unknown symbol; a line's end never is.
        has_end: the last one is the line's end.
    """

    numbers: list[int]
    surfaces: list[str]
    ids: list[int]
    logprobs: list[float]
    known_logprobs: list[float]
    n_tokens: list[int]
    unknown: list[bool]
    has_end: bool

    @property
    def n_words(self) -> int:
        """Without the line's end."""
        return len(self.surfaces) - self.has_end


def token_units(line: ScoredLine, tokenizer: Tokenizer) -> Units:
    """The tokens of a line."""
    ids: list[int] = line.encoded.ids.tolist()
    surfaces = [line.text[start:end] for start, end in spans_of(line, tokenizer).tolist()]
    if line.boundaries.eos:
        ids.append(tokenizer.newline_id)
        surfaces.append("\n")
    ids, surfaces = ids[line.start :], surfaces[line.start :]
    unknown = [id == tokenizer.unk_id for id in ids] if line.encoded.n_unknown else [False] * len(ids)
    logprobs: list[float] = line.logprobs.tolist()
    known = [0.0 if strange else logprob for logprob, strange in zip(logprobs, unknown, strict=True)]
    numbers = list(range(1 + line.start, 1 + line.start + len(ids)))
    has_end = line.boundaries.eos and bool(ids)
    return Units(numbers, surfaces, ids, logprobs, known, [1] * len(ids), unknown, has_end)


def word_units(line: ScoredLine, tokenizer: Tokenizer) -> Units:
    """The words of a line: what white space separates, each with the white space before it (`text/words.py`).

    What unknown symbols stand for is not there where they were left out. White space at the end of a line whose end is
    not scored belongs to its last word, or is one by itself in a line of white space only.
    """
    import numpy as np

    from rnngen.text.word_spans import known_part, line_words

    text, spans = line.text, tokenizer.spans(line.text)
    ids = line.encoded.ids
    if len(spans) != len(ids):
        text, spans = known_part(tokenizer, text)
    words, word_of = line_words(text, spans)
    eos = line.boundaries.eos
    if eos:
        ids, word_of = np.append(ids, tokenizer.newline_id), np.append(word_of, len(words))
    elif words:
        word_of = np.minimum(word_of, len(words) - 1)
    surfaces = [*words, "\n" if eos or words else text]
    strange, logprobs = ids == tokenizer.unk_id, line.logprobs.astype(np.float64)
    whole = np.bincount(word_of, minlength=len(surfaces))
    only_id = dict(zip(word_of.tolist(), ids.tolist(), strict=True))
    word_of, strange = word_of[line.start :], strange[line.start :]

    def sums(amounts: Any = None) -> Any:
        return np.bincount(word_of, amounts, len(surfaces)).tolist()

    counts, all_sums, known_sums = sums(), sums(logprobs), sums(logprobs * ~strange)
    unknown = [count > 0 for count in sums(strange)]
    if eos:
        unknown[-1] = False
    there = [number for number in range(len(surfaces)) if counts[number]]
    return Units(
        [number + 1 for number in there],
        [surfaces[number] for number in there],
        [only_id[number] if whole[number] == 1 else NO_ID for number in there],
        [all_sums[number] for number in there],
        [known_sums[number] for number in there],
        [counts[number] for number in there],
        [unknown[number] for number in there],
        eos and bool(there),
    )


def spans_of(line: ScoredLine, tokenizer: Tokenizer) -> Spans:
    """Where the line's ids stand in its text: [n, 2]."""
    spans = tokenizer.spans(line.text)
    if len(spans) != len(line.encoded.ids):  # unknown symbols were left out
        spans = spans[tokenizer.encode(line.text) != tokenizer.unk_id]
    return spans


def score_in_blocks(
    loaded: models.Model,
    arriving: Iterator[list[str]],
    on_unknown: OnUnknown,
    boundaries: Boundaries = Boundaries(),
) -> Iterator[list[ScoredLine]]:
    """Score lines in order.

    Args:
        arriving: lines with their line breaks, those together that came together.
    """
    from rnngen.tokenizers.base import encode_known

    tokenizer = loaded.tokenizer
    numbers = itertools.count(1)
    score = _scorer(loaded, boundaries)
    for block in in_blocks(arriving):
        numbered = [(next(numbers), line.removesuffix("\n")) for line in block]
        encoded = [encode_known(tokenizer, line, on_unknown, f"line {number}") for number, line in numbered]
        scored = score([line.ids for line in encoded])
        yield [
            ScoredLine(number, line, ids, logprobs if boundaries.eos else logprobs[:-1], boundaries)
            for (number, line), ids, logprobs in zip(numbered, encoded, scored, strict=True)
        ]


def _scorer(loaded: models.Model, boundaries: Boundaries) -> Callable[[Sequence[Any]], list[Array]]:
    """Ids of lines to log-probabilities, the line break's included."""
    from rnngen.engine.scoring import carry_through, score_lines

    model, newline_id = loaded.network, loaded.tokenizer.newline_id
    if boundaries.state == "carry":
        return carry_through(model, newline_id)
    return lambda lines: score_lines(model, lines, newline_id, boundaries.bos)


def in_blocks(arriving: Iterable[list[str]]) -> Iterator[list[str]]:
    """Lines that came together, in parts that are scored together."""
    for arrived in arriving:
        block: list[str] = []
        size = 0
        for line in arrived:
            block.append(line)
            size += len(line)
            if len(block) >= MOST_LINES or size >= MOST_CHARS:
                yield block
                block, size = [], 0
        if block:
            yield block
