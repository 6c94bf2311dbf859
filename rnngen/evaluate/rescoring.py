"""The hypotheses of n-best lists with a score of a language model, and the best of each list.

Identical hypotheses have identical scores, whatever else is in the list and wherever they stand. The forms of the lists
are in `text/nbest.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rnngen.config import NbestForm, OnUnknown
from rnngen.engine.language_model import LanguageModel
from rnngen.engine.scoring import score_lines
from rnngen.errors import ConfigError, DataError, RnngenError
from rnngen.evaluate.scored_lines import in_blocks
from rnngen.text.nbest import Hypothesis, parse
from rnngen.tokenizers.base import Encoded, Tokenizer, encode_known
from rnngen.tokenizers.unknowns import Unknowns

DECIMALS = 6


class RescoredLine(NamedTuple):
    """A line of an n-best list.

    Attributes:
        hypothesis: None for a blank line, which separates the lists of SRILM.
        score: as it is written, with 6 decimals; empty for a blank line.
    """

    hypothesis: Hypothesis | None
    score: str

    @property
    def line(self) -> str:
        """The line with the new score, without a line break."""
        return "" if self.hypothesis is None else self.hypothesis.with_number(self.score)


def rescore(
    network: LanguageModel,
    tokenizer: Tokenizer,
    arriving: Iterable[list[str]],
    form: NbestForm,
    on_unknown: OnUnknown = "unk",
    unknowns: Unknowns | None = None,
) -> Iterator[list[RescoredLine]]:
    """Score the hypotheses of n-best lists.

    A score is the log-probability of the hypothesis and of the line break that ends it: in the lists of Moses and
    SRILM a logarithm to base 10, in those of Kaldi a cost, which is minus the natural logarithm.

    Args:
        arriving: lines with their line breaks; those that arrived together stand together.
        unknowns: takes in the unknown symbols of all hypotheses.

    Yields:
        One record for each line of a block that was scored together, in order.

    Raises:
        DataError: a line has not this form, or there is no line. The lines before it have been yielded.
        TokenizerError: a symbol is unknown and `on_unknown` is "error". The lines before it have been yielded.
    """
    unknowns = Unknowns() if unknowns is None else unknowns
    numbers = itertools.count(1)
    block = None
    for block in in_blocks(arriving):
        numbered = [(next(numbers), line.removesuffix("\n")) for line in block]
        parsed, error = _parse(tokenizer, numbered, form, on_unknown, unknowns)
        yield _scored(network, tokenizer.newline_id, parsed, form)
        if error is not None:
            raise error
    if block is None:
        raise DataError("the list is empty: there is nothing to score")


def best_hypotheses(
    rescored: Iterable[RescoredLine], form: NbestForm, weight: float | None = None
) -> Iterator[Hypothesis]:
    """The best hypothesis of each list, as soon as the list is over.

    It has the highest `total + weight * log10` (Moses; the score of the decoder's own language model stays in its
    total), the highest `ascore + weight * log10` (SRILM; the weight is its lmw, for which its scripts take 8, and words
    cost nothing), or the lowest cost (Kaldi); of equal ones the first is taken. Scores count as they are written. A
    list is what stands together under one ID (Moses), between blank lines (SRILM), or under utt-1, utt-2 and so on
    (Kaldi).

    Args:
        weight: of the new score; None is 1. There is none for Kaldi.

    Raises:
        ConfigError: the weight is not a finite number, or the list is Kaldi's.
    """
    if weight is not None and not math.isfinite(weight):
        raise ConfigError(f"weight is {weight}: it must be a finite number")
    if weight is not None and form == "kaldi":
        raise ConfigError(f"weight is {weight:g}: a Kaldi list has no other score to weigh against; leave it out")
    factor = -1.0 if form == "kaldi" else 1.0 if weight is None else weight
    return _best(rescored, factor)


def _best(rescored: Iterable[RescoredLine], factor: float) -> Iterator[Hypothesis]:
    best: Hypothesis | None = None
    best_score = -math.inf
    for hypothesis, score in rescored:
        is_over = best is not None and (hypothesis is None or hypothesis.list_id != best.list_id)
        if best is not None and is_over:
            yield best
            best = None
        if hypothesis is None:
            continue
        combined = hypothesis.score + factor * float(score)
        if best is None or combined > best_score:
            best, best_score = hypothesis, combined
    if best is not None:
        yield best


_Parsed = list[tuple[Hypothesis, Encoded] | None]  # None for a blank line


def _parse(
    tokenizer: Tokenizer, numbered: list[tuple[int, str]], form: NbestForm, on_unknown: OnUnknown, unknowns: Unknowns
) -> tuple[_Parsed, RnngenError | None]:
    """The hypotheses of numbered lines with their ids, up to the first wrong line, and the error of that line."""
    parsed: _Parsed = []
    known: dict[str, Encoded] = {}
    for number, line in numbered:
        where = f"the hypothesis in line {number}"
        try:
            hypothesis = parse(line, form, number)
            if hypothesis is None:
                parsed.append(None)
                continue
            text = hypothesis.text
            if text not in known:
                known[text] = encode_known(tokenizer, text, on_unknown, where)
        except RnngenError as error:
            return parsed, error
        unknowns.add(known[text], f" of {where}")
        parsed.append((hypothesis, known[text]))
    return parsed, None


def _scored(network: LanguageModel, newline_id: int, parsed: _Parsed, form: NbestForm) -> list[RescoredLine]:
    """Every distinct hypothesis is scored once."""
    distinct = {hypothesis.text: encoded.ids for hypothesis, encoded in filter(None, parsed)}
    logprobs = score_lines(network, list(distinct.values()), newline_id, steady=True)
    unit = -1.0 if form == "kaldi" else 1 / math.log(10)
    scores = {
        text: f"{unit * float(one.sum(dtype='float64')):.{DECIMALS}f}"
        for text, one in zip(distinct, logprobs, strict=True)
    }
    return [RescoredLine(None, "") if one is None else RescoredLine(one[0], scores[one[0].text]) for one in parsed]
