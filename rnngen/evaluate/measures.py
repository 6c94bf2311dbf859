"""How well a model predicts a text: sums of its lines, and perplexities and bits with their standard errors.

All sums are kept twice, with all tokens and without the unknown ones, and per unit of consecutive lines, so that a text
of any size takes the same memory. Logarithms are natural. A line break is a token and belongs to the line that it ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnngen.config import OnUnknown, ScoreState
from rnngen.errors import ConfigError
from rnngen.text.word_spans import line_words
from rnngen.tokenizers.base import Ids, Tokenizer
from rnngen.tokenizers.splitting import split_words
from rnngen.tokenizers.unknowns import Unknowns

Logprobs = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# What is summed. nats are minus the log-probabilities; word_nats are the nats that count for a word or a line's end.
QUANTITIES = ("n_line_ends", "n_tokens", "n_words", "n_chars", "n_bytes", "nats", "word_nats")
MOST_UNITS = 1 << 16
_FIRST_UNITS = 1 << 8  # that there is room for before there are lines; a text may have many files


class LineSums:
    """Sums of the lines of a text, in units of consecutive lines: as many lines a unit as keep the units few.

    Unit i starts with line i * lines_per_unit; only the last unit may have fewer lines. So the units of two models on
    one text are the same lines.

    Attributes:
        n_lines: lines so far; an unterminated last line counts.
        lines_per_unit: a power of two.
    """

    def __init__(self, most_units: int = MOST_UNITS) -> None:
        self.n_lines = 0
        self.lines_per_unit = 1
        self._is_open = False
        self._most_units = most_units
        self._units = np.zeros((min(most_units, _FIRST_UNITS), 2, len(QUANTITIES)))

    def add(self, lines: Floats, is_open: bool = False) -> None:
        """Add the next lines. When the units are full, neighbours are merged.

        Args:
            lines: [n, 2, QUANTITIES], as `sum_lines` returns them.
            is_open: the last of these lines goes on in the first line of the next call.
        """
        first = self.n_lines - self._is_open
        self.n_lines, self._is_open = first + len(lines), is_open
        while self.n_lines > self.lines_per_unit * len(self._units):
            if len(self._units) < self._most_units:
                more = min(len(self._units), self._most_units - len(self._units))
                self._units = np.concatenate([self._units, np.zeros((more, *self._units.shape[1:]))])
                continue
            half = len(self._units) // 2
            self._units[:half] = self._units[0::2] + self._units[1::2]
            self._units[half:] = 0
            self.lines_per_unit *= 2
        np.add.at(self._units, np.arange(first, self.n_lines) // self.lines_per_unit, lines)

    @property
    def n_units(self) -> int:
        """Units so far."""
        return -(-self.n_lines // self.lines_per_unit)

    def units(self, quantity: str, known: bool = False) -> Floats:
        """One sum a unit: [n_units]. With `known` the sums without unknown tokens."""
        return self._units[: self.n_units, int(known), QUANTITIES.index(quantity)]

    def count(self, quantity: str, known: bool = False) -> int:
        """The sum over all lines of a quantity that is counted."""
        return int(self.units(quantity, known).sum())


def sum_lines(tokenizer: Tokenizer, lines: Sequence[str], ids: Ids, logprobs: Sequence[Logprobs]) -> list[Floats]:
    """The sums of each of some lines, for several predictors of them.

    The sums without unknown tokens lack the tokens, characters and bytes that are unknown. They lack a whole word, as
    in n-gram toolkits, when one of its tokens is unknown: else the nats of its known letters would be summed, and the
    word would not be counted.

    Args:
        lines: with their line breaks; only the last may be without.
        ids: [T], of all lines, one after another.
        logprobs: natural, [T] for each predictor; those that are NaN are not counted, of all predictors alike.

    Returns:
        For each predictor [lines, 2, QUANTITIES], with all tokens and without the unknown ones.
    """
    is_end = ids == tokenizer.newline_id
    line_of = np.cumsum(is_end) - is_end
    is_predicted = ~np.isnan(logprobs[0])

    def totals(amounts: npt.NDArray[np.generic]) -> Floats:
        return np.bincount(line_of, amounts.astype(np.float64), len(lines)).astype(np.float64, copy=False)

    counts = np.zeros((len(lines), 2, len(QUANTITIES)))
    counts[:, :, 0] = totals(is_end & is_predicted)[:, None]
    counts[:, :, 1] = totals(is_predicted)[:, None]
    counts[:, :, 2:5] = np.array([_counts(line) for line in lines], np.float64).reshape(-1, 1, 3)
    counts[:, :, 3:5] -= totals(is_end & ~is_predicted)[:, None, None]
    results = []
    for own in logprobs:
        results.append(counts.copy())
        results[-1][:, :, 5:] = totals(np.where(is_predicted, -own.astype(np.float64), 0))[:, None, None]
    unknown = np.zeros(len(ids), bool) if tokenizer.unk_id is None else ids == tokenizer.unk_id
    for number in np.unique(line_of[unknown]).tolist():
        part = slice(*np.searchsorted(line_of, [number, number + 1]).tolist())
        is_unknown, is_lost, unknown_counts = _unknown_part(tokenizer, lines[number], ids[part])
        for result, own in zip(results, logprobs, strict=True):
            nats = -own[part][: len(is_lost)].astype(np.float64)
            result[number, 1] -= [*unknown_counts, nats[is_unknown].sum(), nats[is_lost].sum()]
    return results


def _unknown_part(tokenizer: Tokenizer, line: str, ids: Ids) -> tuple[Mask, Mask, list[int]]:
    """What the unknown tokens of a line stand for.

    Returns:
        Two masks of the tokens before the line's end: those that are unknown, and those of words that hold an unknown
        token. And the unknown part of the QUANTITIES that are counts.
    """
    written = line.removesuffix("\n")
    ids = ids[: len(ids) - line.endswith("\n")]
    is_unknown = ids == tokenizer.unk_id
    spans = tokenizer.spans(written, ids)
    words, word_of = line_words(written, spans)
    lost_words = np.bincount(word_of[is_unknown], minlength=len(words) + 1) > 0
    lost_words[len(words)] = False  # the line's end stays, also when an unknown space stands before it
    _, n_chars, n_bytes = _counts("".join(written[start:end] for start, end in spans[is_unknown].tolist()))
    counts = [0, int(is_unknown.sum()), int(lost_words.sum()), n_chars, n_bytes]
    return is_unknown, is_unknown | lost_words[word_of], counts


def _counts(text: str) -> tuple[int, int, int]:
    """Words, characters, bytes."""
    n_bytes = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return len(split_words(text)), len(text), n_bytes


@dataclass(frozen=True)
class Ratio:
    """A sum of one quantity divided by sums of others; all are named in QUANTITIES."""

    amount: str
    counts: tuple[str, ...]

    def units(self, sums: LineSums, known: bool = False) -> tuple[Floats, Floats]:
        """Amounts and counts, one a unit."""
        return sums.units(self.amount, known), np.sum([sums.units(name, known) for name in self.counts], axis=0)


@dataclass(frozen=True)
class Measure:
    """A ratio of nats, and the unit in which it is given.

    Attributes:
        unit: "nats" is the ratio itself, "bits" the ratio divided by log 2, "perplexity" exp of the ratio.
    """

    ratio: Ratio
    unit: Literal["nats", "bits", "perplexity"]


PER_TOKEN = Ratio("nats", ("n_tokens",))
PER_WORD = Ratio("word_nats", ("n_words", "n_line_ends"))
PER_WORD_NO_EOL = Ratio("word_nats", ("n_words",))
PER_CHAR = Ratio("nats", ("n_chars",))
PER_BYTE = Ratio("nats", ("n_bytes",))

# The two per word are SRILM's ppl and ppl1. Both sum the nats of words and line ends; only ppl counts line ends as
# words.
MEASURES = {
    "loss_nats": Measure(PER_TOKEN, "nats"),
    "perplexity": Measure(PER_TOKEN, "perplexity"),
    "perplexity_per_word": Measure(PER_WORD, "perplexity"),
    "perplexity_per_word_no_eol": Measure(PER_WORD_NO_EOL, "perplexity"),
    "bits_per_char": Measure(PER_CHAR, "bits"),
    "bits_per_byte": Measure(PER_BYTE, "bits"),
}


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error; NaN where one is undefined."""

    value: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How well a text was predicted, and how it was read.

    Attributes:
        sums: of the lines of the text.
        unknowns: the unknown symbols of the text, whether they were kept or left out.
        tokenizer: made the tokens that the sums count.
        state: "carry", or "reset" where each line was scored by itself.
        on_unknown: what became of unknown symbols.
        file: the name of the file, where it is one of several.
        files: each file of several by itself, in order. A carried state goes on from file to file.
        pseudo: a probability is that of a token given those on both sides; with "reset" no line end has one.
    """

    sums: LineSums
    unknowns: Unknowns
    tokenizer: Tokenizer
    state: ScoreState
    on_unknown: OnUnknown
    file: str | None = None
    files: tuple[Measured, ...] = ()
    pseudo: bool = False

    def estimate(self, name: str, known: bool = False) -> Estimate:
        """One of MEASURES with its standard error over lines.

        Args:
            name: "loss_nats" and "perplexity" are per token (a line break is a token); "perplexity_per_word" is
                SRILM's ppl and "perplexity_per_word_no_eol" its ppl1, over the words that white space separates;
                "bits_per_char" and "bits_per_byte".
            known: without the unknown symbols, and without the words that hold one.

        Returns:
            NaN as the value where nothing is counted, and NaN as the standard error of a single line.

        Raises:
            ConfigError: there is no such measure.
        """
        if name not in MEASURES:
            raise ConfigError(f"the measure is {name!r}: it must be one of {', '.join(MEASURES)}")
        return estimate(MEASURES[name], self.sums, known)


def estimate(measure: Measure, sums: LineSums, known: bool = False) -> Estimate:
    """A measure with its standard error over lines.

    The ratio r = sum(x_i) / sum(n_i) of m units has the linearised standard error
    sqrt(m / (m - 1) * sum((x_i - r n_i)^2)) / sum(n_i)   (Cochran 1977, "Sampling techniques", chapter 6, without
    the correction for a small population). The standard error of exp(r) is exp(r) times that (delta method). For one
    unit it is undefined.
    """
    found = ratio_estimate(*measure.ratio.units(sums, known))
    if measure.unit == "bits":
        return Estimate(found.value / math.log(2), found.standard_error / math.log(2))
    if measure.unit == "nats":
        return found
    with np.errstate(over="ignore"):
        perplexity = float(np.exp(found.value))
    return Estimate(perplexity, perplexity * found.standard_error)


def ratio_estimate(amounts: Floats, counts: Floats) -> Estimate:
    """sum(amounts) / sum(counts) with its linearised standard error; see `estimate`."""
    m, n = len(amounts), counts.sum()
    if not n:
        return Estimate(math.nan, math.nan)
    with np.errstate(invalid="ignore"):
        ratio = float(amounts.sum() / n)
        if m < 2:
            return Estimate(ratio, math.nan)
        residuals = amounts - ratio * counts
        return Estimate(ratio, math.sqrt(m / (m - 1) * float(residuals @ residuals)) / float(n))
