"""Whether one model predicts a text better than another: the right unit, and the paired bootstrap over its lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rnngen import work
from rnngen.evaluate.measures import PER_CHAR, PER_TOKEN, PER_WORD, Floats, Measured, Ratio
from rnngen.tokenizers.base import Tokenizer

N_RESAMPLES = 1_000
CONFIDENCE = 0.95
SEED = 1
DRAWS_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Difference:
    """By how much one ratio exceeds another, with its bootstrap interval; NaN where one is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Unit:
    """The unit in which two models are compared, and why this one.

    Attributes:
        base: of the logarithm.
    """

    name: str
    ratio: Ratio
    base: float
    reason: str


@dataclass(frozen=True)
class Comparison:
    """How much better or worse model B predicts a text than model A.

    Attributes:
        difference: B - A in `unit`; below zero B predicts the text better.
        caveat: what makes the comparison unfair; None where nothing is known.
        names: of A and B in the verdict and the caveat.
    """

    unit: Unit
    difference: Difference
    caveat: str | None
    names: tuple[str, str]

    @property
    def verdict(self) -> str:
        """Which model is better, if the interval excludes zero."""
        a, b = self.names
        if self.difference.high < 0:
            return f"{b} is better"
        return f"{a} is better" if self.difference.low > 0 else "no difference shown"


def have_same_tokens(a: Tokenizer, b: Tokenizer) -> bool:
    """Whether two tokenizers make the same ids of every text."""
    return a is b or a.to_dict() == b.to_dict()


def unit_of_comparison(a: Tokenizer, b: Tokenizer) -> Unit:
    """Nats per token for equal tokenizers; nats per word where spaces are no tokens of one of them; else bits per
    character.
    """
    if have_same_tokens(a, b):
        return Unit("nats per token", PER_TOKEN, math.e, "both have the same tokenizer")
    if any(one.to_dict().get("split") == "whitespace" for one in (a, b)):
        reason = "words that white space has split come without the spaces; words and line ends are counted"
        return Unit("nats per word", PER_WORD, math.e, reason)
    return Unit("bits per character", PER_CHAR, 2, "the tokenizers differ, the characters do not")


def compare(a: Measured, b: Measured, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Compare how well two models predict one text.

    Args:
        a: measured on the same text as b.
        names: of the two in the verdict and the caveat.
    """
    unit = unit_of_comparison(a.tokenizer, b.tokenizer)
    nats = paired_bootstrap(*unit.ratio.units(a.sums), *unit.ratio.units(b.sums))
    scale = math.log(unit.base)
    difference = Difference(nats.value / scale, nats.low / scale, nats.high / scale)
    caveat = None
    if a.unknowns.count != b.unknowns.count:
        favoured = names[0] if a.unknowns.count > b.unknowns.count else names[1]
        counts = f"{a.unknowns.count:,} in {names[0]}, {b.unknowns.count:,} in {names[1]}"
        caveat = f"the comparison favours {favoured}, which has more unknown symbols ({counts})"
    return Comparison(unit=unit, difference=difference, caveat=caveat, names=names)


def paired_bootstrap(
    amounts_a: Floats,
    counts_a: Floats,
    amounts_b: Floats,
    counts_b: Floats,
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
) -> Difference:
    """sum(amounts_b) / sum(counts_b) - sum(amounts_a) / sum(counts_a) of two models on the same units of a text.

    Each resample draws m units with replacement, the same ones for both models. The interval is from the 2.5th to the
    97.5th percentile of the differences (Koehn 2004, "Statistical significance tests for machine translation
    evaluation"). With fewer than two units it is undefined.

    Args:
        amounts_a: [m], one a unit; the other three too.
    """
    m = len(amounts_a)
    # Their difference, not b itself: where a and b are equal the result is 0 and not a rounding error.
    columns = np.stack([amounts_a, amounts_b - amounts_a, counts_a, counts_b], axis=1)  # [m, 4]
    value = float(_differences(columns.sum(axis=0)))
    if m < 2:
        return Difference(value, np.nan, np.nan)
    generator = np.random.default_rng(seed)
    at_a_time = max(1, DRAWS_AT_A_TIME // m)
    found = []
    parts = [min(at_a_time, n_resamples - first) for first in range(0, n_resamples, at_a_time)]
    for rows in work.follow(parts, "paired bootstrap", n_resamples, "resamples", int):
        draws = generator.integers(m, size=(rows, m)) + m * np.arange(rows)[:, None]
        times = np.bincount(draws.ravel(), minlength=rows * m).reshape(rows, m).astype(np.float64)
        found.append(_differences(times @ columns))
    tail = (1 - CONFIDENCE) / 2
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(np.concatenate(found), [tail, 1 - tail])
    return Difference(value, float(low), float(high))


def _differences(sums: Floats) -> Floats:
    """[..., 4] -> [...]"""
    amount_a, more, count_a, count_b = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = (amount_a + more) / count_b - amount_a / count_a
    return result
