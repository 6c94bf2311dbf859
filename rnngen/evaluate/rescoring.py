"""The hypotheses of n-best lists with a score of a language model, and the best of each list.

Identical hypotheses have identical scores, whatever else is in the list and wherever they stand. The forms of the lists
are in `text/nbest.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from rnngen.checks import LARGE, check_number
from rnngen.config import NBEST_FEATURE, NbestForm, OnUnknown
from rnngen.engine.language_model import LanguageModel
from rnngen.engine.scoring import score_lines
from rnngen.errors import ConfigError, DataError, RnngenError
from rnngen.evaluate.scored_lines import in_blocks
from rnngen.printable import visible
from rnngen.text.nbest import Hypothesis, check_feature, parse
from rnngen.text.streams import Lines
from rnngen.text.unpacking import of_file
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
    *,
    feature: str = NBEST_FEATURE,
) -> Iterator[list[RescoredLine]]:
    """Score the hypotheses of n-best lists in one file: see `rescore_files`.

    Args:
        arriving: lines with their line breaks; those that arrived together stand together.
    """
    return rescore_files(network, tokenizer, [(None, arriving)], form, on_unknown, unknowns, feature=feature)


def rescore_files(
    network: LanguageModel,
    tokenizer: Tokenizer,
    files: Iterable[Lines],
    form: NbestForm,
    on_unknown: OnUnknown = "unk",
    unknowns: Unknowns | None = None,
    *,
    feature: str = NBEST_FEATURE,
) -> Iterator[list[RescoredLine]]:
    """Score the hypotheses of n-best lists; a list ends with its file.

    A score is the log-probability of the hypothesis and of the line break that ends it: in the lists of Moses and
    SRILM a logarithm to base 10, in those of Kaldi a cost, which is minus the natural logarithm.

    Args:
        unknowns: takes in the unknown symbols of all hypotheses.
        feature: names the number in a list of Moses. A number that has this name already is replaced.

    Returns:
        An iterator: one record for each line of a block that was scored together, in order.

    Raises:
        ConfigError: the name of the feature cannot be one.
        DataError: a line has not this form, or no file has a line. The lines before it have been yielded.
        TokenizerError: a symbol is unknown and `on_unknown` is "error". The lines before it have been yielded.
    """
    check_feature(feature)
    parser = _Parser(tokenizer, form, on_unknown, feature, Unknowns() if unknowns is None else unknowns)
    return _rescored(network, parser, files)


def _rescored(network: LanguageModel, parser: _Parser, files: Iterable[Lines]) -> Iterator[list[RescoredLine]]:
    block = None
    for file, arriving in files:
        parser.start(file)
        for block in in_blocks(arriving):
            parsed, error = parser.parse(block)
            yield _scored(network, parser.tokenizer.newline_id, parsed, parser.form)
            if error is not None:
                raise error
    if block is None:
        raise DataError("the list is empty: there is nothing to score")


def best_hypotheses(
    rescored: Iterable[RescoredLine],
    form: NbestForm,
    weight: float | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Iterator[Hypothesis]:
    """The best hypothesis of each list, as soon as the list is over.

    It has the highest `total + weight * log10` (Moses; the score of the decoder's own language model stays in its
    total), the highest `ascore + weight * log10` (SRILM; the weight is its lmw, for which its scripts take 8, and words
    cost nothing), or the lowest cost (Kaldi); of equal ones the first is taken. Scores count as they are written. A
    list is what stands together under one ID (Moses), between blank lines (SRILM), or from utt-1 on under utt-2, utt-3
    and so on (Kaldi, where any other line is a list by itself).

    Args:
        weight: of the new score; None is 1. There is none for Kaldi.
        say: is told once when a list comes again after others.

    Raises:
        ConfigError: the weight is out of range, or the list is Kaldi's.
    """
    if weight is not None:
        check_number("weight", weight, -LARGE)
    if weight is not None and form == "kaldi":
        raise ConfigError(f"weight is {weight:g}: a Kaldi list has no other score to weigh against; leave it out")
    factor = -1.0 if form == "kaldi" else 1.0 if weight is None else weight
    return _noting_repeats(_best(rescored, factor), say)


def _noting_repeats(best: Iterator[Hypothesis], say: Callable[[str], object]) -> Iterator[Hypothesis]:
    seen: set[str] = set()
    said = False
    for hypothesis in best:
        if hypothesis.list_id in seen and not said:
            said = True
            say(
                f"the list {visible(hypothesis.list_id)} comes again after others, and is taken as another list: where "
                "it is one, sort the lines by their IDs"
            )
        if hypothesis.list_id:  # SRILM's lists have none
            seen.add(hypothesis.list_id)
        yield hypothesis


def _best(rescored: Iterable[RescoredLine], factor: float) -> Iterator[Hypothesis]:
    best: Hypothesis | None = None
    best_score = -math.inf
    for hypothesis, score in rescored:
        if best is not None and (hypothesis is None or hypothesis.starts_list):
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


class _Parser:
    """The hypotheses of the lines of files, with their ids."""

    def __init__(
        self, tokenizer: Tokenizer, form: NbestForm, on_unknown: OnUnknown, feature: str, unknowns: Unknowns
    ) -> None:
        self.tokenizer, self.form = tokenizer, form
        self._on_unknown, self._feature, self._unknowns = on_unknown, feature, unknowns
        self.start(None)

    def start(self, file: str | None) -> None:
        """The next lines are those of another file."""
        self._of_file = of_file(file)
        self._n_lines = 0
        self._previous: Hypothesis | None = None

    def parse(self, block: list[str]) -> tuple[_Parsed, RnngenError | None]:
        """The hypotheses of the next lines, up to the first wrong line, and the error of that line."""
        parsed: _Parsed = []
        known: dict[str, Encoded] = {}
        for line in block:
            self._n_lines += 1
            place = f"line {self._n_lines}{self._of_file}"
            try:
                hypothesis = parse(line.removesuffix("\n"), self.form, place, self._previous, self._feature)
                self._previous = hypothesis
                if hypothesis is None:
                    parsed.append(None)
                    continue
                text = hypothesis.text
                if text not in known:
                    known[text] = encode_known(self.tokenizer, text, self._on_unknown, f"the hypothesis in {place}")
            except RnngenError as error:
                return parsed, error
            self._unknowns.add(known[text], f" of the hypothesis in {place}")
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
