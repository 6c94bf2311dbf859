"""Whether one model predicts a text better than another: the right unit, and the paired bootstrap over its lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rnngen.evaluate.measures import PER_CHAR, PER_TOKEN, PER_WORD, Floats, Measured, Ratio
from rnngen.tokenizers.base import Tokenizer

N_RESAMPLES = 1_000
CONFIDENCE = 0.95
SEED = 1
DRAWS_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Difference:
    """How much more one ratio is than another, with its bootstrap interval; not a number where it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Unit:
    """What two models are compared by, and why.

    Attributes:
        base: of the logarithm.
    """

    name: str
    ratio: Ratio
    base: float
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Model B beside model A.

    Attributes:
        difference: B - A in `unit`; below zero B predicts the text better.
        caveat: what makes the comparison unfair; None where nothing is known to.
        names: what A and B are called in what is said of them.
    """

    unit: Unit
    difference: Difference
    caveat: str | None
    names: tuple[str, str]

    @property
    def verdict(self) -> str:
        """Who is better when the interval leaves zero out."""
        a, b = self.names
        if self.difference.high < 0:
            return f"{b} is better"
        return f"{a} is better" if self.difference.low > 0 else "no difference shown"


def unit_of_comparison(a: Tokenizer, b: Tokenizer) -> Unit:
    """Nats a token where tokens are the same, nats a word where spaces are no tokens, else bits a character."""
    described = [a.to_dict(), b.to_dict()]
    if described[0] == described[1]:
        return Unit("nats per token", PER_TOKEN, math.e, "both have the same tokenizer")
    if any(one.get("split") == "whitespace" for one in described):
        reason = "words that white space has split come without the spaces; words and line ends are counted"
        return Unit("nats per word", PER_WORD, math.e, reason)
    return Unit("bits per character", PER_CHAR, 2, "the tokenizers differ, the characters do not")


def compare(
    a: Measured,
    tokenizer_a: Tokenizer,
    b: Measured,
    tokenizer_b: Tokenizer,
    names: tuple[str, str] = ("A", "B"),
) -> Comparison:
    """Compare two models on one text, which are called by `names`."""
    unit = unit_of_comparison(tokenizer_a, tokenizer_b)
    nats = paired_bootstrap(*unit.ratio.units(a.sums), *unit.ratio.units(b.sums))
    scale = math.log(unit.base)
    difference = Difference(nats.value / scale, nats.low / scale, nats.high / scale)
    caveat = None
    if a.n_unknown != b.n_unknown:
        favoured = names[0] if a.n_unknown > b.n_unknown else names[1]
        counts = f"{a.n_unknown:,} in {names[0]}, {b.n_unknown:,} in {names[1]}"
        caveat = f"the comparison favours {favoured}, which has more unknown symbols ({counts})"
    return Comparison(unit, difference, caveat, names)


def paired_bootstrap(
    amounts_a: Floats,
    counts_a: Floats,
    amounts_b: Floats,
    counts_b: Floats,
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
) -> Difference:
    """sum(amounts_b) / sum(counts_b) - sum(amounts_a) / sum(counts_a) of two models on the same units of a text.

    As many units as there are get drawn with replacement, for both models the same ones; the interval is from the
    2.5th to the 97.5th percentile of the differences (Koehn 2004, "Statistical significance tests for machine
    translation evaluation"). Of fewer than two units it is undefined.

    Args:
        amounts_a: [m]; the others too.
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
    for first in range(0, n_resamples, at_a_time):
        rows = min(at_a_time, n_resamples - first)
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
