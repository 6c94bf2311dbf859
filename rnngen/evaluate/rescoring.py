"""`rnngen score --nbest`: the hypotheses of decoders with a number of ours, or the best of each list.

Identical hypotheses have identical numbers, whatever else is in the list and wherever they stand.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rnngen import models
from rnngen.cli.output import Console
from rnngen.config import NbestForm, OnUnknown
from rnngen.errors import ConfigError, DataError, RnngenError
from rnngen.evaluate.scored_lines import in_blocks

if TYPE_CHECKING:
    from rnngen.text.nbest import Hypothesis
    from rnngen.tokenizers.base import Encoded

DECIMALS = 6


def nbest(
    loaded: models.Model,
    arriving: Iterable[list[str]],
    form: NbestForm,
    best: bool,
    weight: float | None,
    on_unknown: OnUnknown,
    console: Console,
) -> None:
    """Write an n-best list with our number in each line, or the best hypothesis of each list, to stdout.

    The number is the log-probability of the hypothesis and of the line break that ends it: in Moses' and SRILM's
    lists a logarithm to base 10, in Kaldi's the natural one with its sign flipped, a cost. The best hypothesis has the
    highest `total + weight * log10` (Moses; the decoder's own language model stays in its total),
    `ascore + weight * log10` (SRILM; the weight is its lmw, for which its scripts take 8, and words cost nothing), or
    the least cost (Kaldi); the first of equals. It is found with the numbers as they are written. A list is what
    stands together under one ID (Moses), between blank lines (SRILM), under utt-1, utt-2 and so on (Kaldi).

    Args:
        arriving: lines with their line breaks, those together that came together.
        weight: of our number for the best; None is 1.

    Raises:
        ConfigError: a weight where nothing is weighed, or none that is a finite number.
        DataError: a line has not the form, or there is none; what is before it has been written.
        TokenizerError: a symbol is unknown and must not be; what is before it has been written.
    """
    _check(form, best, weight)
    factor = 1.0 if weight is None else weight
    write = _Best(factor if form != "kaldi" else -1.0) if best else _Rescored()
    any_line = False
    noted = _Unknowns()
    for block in _blocks(arriving):
        any_line = True
        taken, error = _take(loaded, block, form, on_unknown, noted)
        for hypothesis, number in _numbered(loaded, taken, form):
            sys.stdout.write(write.line(hypothesis, number))
        if error is not None:
            sys.stdout.flush()
            raise error
        sys.stdout.flush()
    if not any_line:
        raise DataError("the list is empty: there is nothing to score")
    sys.stdout.write(write.end())
    console.unknowns(noted.n_unknown, noted.first, on_unknown, "the list")


def _check(form: NbestForm, best: bool, weight: float | None) -> None:
    if weight is None:
        return
    if not math.isfinite(weight):
        raise ConfigError(f"weight is {weight}: it must be a finite number")
    if form == "kaldi":
        raise ConfigError(f"weight is {weight:g}: a Kaldi list has no other score to weigh ours against; leave it out")
    if not best:
        raise ConfigError(f"weight is {weight:g}: it is for choosing the best hypothesis; add --best")


class _Rescored:
    """Every line with the new number."""

    def line(self, hypothesis: Hypothesis | None, number: str) -> str:
        return "\n" if hypothesis is None else hypothesis.with_number(number) + "\n"

    def end(self) -> str:
        return ""


class _Best:
    """The best hypothesis of each list, when the list is over.

    Args:
        weight: of the new number.
    """

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._best: tuple[float, Hypothesis] | None = None

    def line(self, hypothesis: Hypothesis | None, number: str) -> str:
        """What is to be written when this hypothesis has come; None is between two lists."""
        if hypothesis is None:
            return self.end()
        score = hypothesis.score + self._weight * float(number)
        if self._best is not None and self._best[1].list_id == hypothesis.list_id:
            if score > self._best[0]:
                self._best = score, hypothesis
            return ""
        over = self.end()
        self._best = score, hypothesis
        return over

    def end(self) -> str:
        """The best of the list that is over."""
        over = "" if self._best is None else self._best[1].if_best + "\n"
        self._best = None
        return over


class _Unknowns:
    """How many unknown symbols there were, and the first of them."""

    def __init__(self) -> None:
        self.n_unknown = 0
        self.first: str | None = None

    def add(self, encoded: Encoded, number: int) -> None:
        self.n_unknown += encoded.n_unknown
        if self.first is None and encoded.n_unknown and encoded.first_unknown is not None:
            self.first = f"{encoded.first_unknown} of the hypothesis in line {number}"


Taken = list[tuple["Hypothesis | None", "Encoded | None"]]


def _take(
    loaded: models.Model, block: list[tuple[int, str]], form: NbestForm, on_unknown: OnUnknown, noted: _Unknowns
) -> tuple[Taken, RnngenError | None]:
    """The hypotheses of numbered lines with their ids, up to the first line that will not do, and what it lacks."""
    from rnngen.text.nbest import parse
    from rnngen.tokenizers.base import encode_known

    taken: Taken = []
    known: dict[str, Encoded] = {}
    for number, line in block:
        try:
            hypothesis = parse(line, form, number)
            if hypothesis is None:
                taken.append((None, None))
                continue
            text = hypothesis.text
            if text not in known:
                where = f"the hypothesis in line {number}"
                known[text] = encode_known(loaded.tokenizer, text, on_unknown, where)
        except RnngenError as error:
            return taken, error
        noted.add(known[text], number)
        taken.append((hypothesis, known[text]))
    return taken, None


def _numbered(loaded: models.Model, taken: Taken, form: NbestForm) -> Iterator[tuple[Hypothesis | None, str]]:
    """Each hypothesis with its number as it is written; every distinct one is scored once."""
    from rnngen.engine.scoring import score_lines

    distinct = {hypothesis.text: encoded.ids for hypothesis, encoded in taken if hypothesis and encoded}
    scored = score_lines(loaded.network, list(distinct.values()), loaded.tokenizer.newline_id, steady=True)
    unit = -1.0 if form == "kaldi" else 1 / math.log(10)
    numbers = {
        text: f"{unit * float(logprobs.sum(dtype='float64')):.{DECIMALS}f}"
        for text, logprobs in zip(distinct, scored, strict=True)
    }
    for hypothesis, _ in taken:
        yield hypothesis, "" if hypothesis is None else numbers[hypothesis.text]


def _blocks(arriving: Iterable[list[str]]) -> Iterator[list[tuple[int, str]]]:
    """Lines with their numbers, counted from 1, without their line breaks."""
    numbers = itertools.count(1)
    for block in in_blocks(arriving):
        yield [(next(numbers), line.removesuffix("\n")) for line in block]
