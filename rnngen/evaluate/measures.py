"""How well a model predicts a text: sums of its lines, and perplexities and bits with their standard errors.

Everything is kept twice, with all tokens and without the unknown ones, in sums of consecutive lines, so that a text
of any size takes the same memory. Logarithms are natural; a line break is a token and belongs to the line it ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnngen.config import OnUnknown
from rnngen.engine.cells import Array
from rnngen.engine.scoring import Scorer
from rnngen.errors import DataError
from rnngen.text.ids_on_disk import IdsOnDisk, release
from rnngen.text.word_spans import known_part, line_words
from rnngen.tokenizers.base import Text, Tokenizer, encode_known

Ids = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]

# What is summed: nats are minus the log-probabilities, word_nats those of them that count for a word or a line's end.
QUANTITIES = ("n_line_ends", "n_tokens", "n_words", "n_chars", "n_bytes", "nats", "word_nats")
MOST_UNITS = 1 << 16


class LineSums:
    """Sums of the lines of a text, in units of as many consecutive lines as keep the units few.

    Unit i holds the lines from i * lines_per_unit on; only the last may hold fewer. So the units of two models on one
    text are the same lines.

    Attributes:
        n_lines: the lines so far; an unterminated last one counts.
        lines_per_unit: a power of two.
    """

    def __init__(self, most_units: int = MOST_UNITS) -> None:
        self.n_lines = 0
        self.lines_per_unit = 1
        self._units = np.zeros((most_units, 2, len(QUANTITIES)))

    def add(self, lines: Floats) -> None:
        """Add the next lines, [n, 2, QUANTITIES] of `sum_lines`; when the units are full, neighbours are merged."""
        numbers = np.arange(self.n_lines, self.n_lines + len(lines))
        self.n_lines += len(lines)
        half = len(self._units) // 2
        while self.n_lines > self.lines_per_unit * len(self._units):
            self._units[:half] = self._units[0::2] + self._units[1::2]
            self._units[half:] = 0
            self.lines_per_unit *= 2
        np.add.at(self._units, numbers // self.lines_per_unit, lines)

    @property
    def n_units(self) -> int:
        return -(-self.n_lines // self.lines_per_unit)

    def units(self, quantity: str, known: bool = False) -> Floats:
        """One sum a unit. With `known` those without unknown tokens."""
        return self._units[: self.n_units, int(known), QUANTITIES.index(quantity)]

    def count(self, quantity: str, known: bool = False) -> int:
        """The sum of all lines, of a quantity that is counted."""
        return int(self.units(quantity, known).sum())


@dataclass(frozen=True)
class Measured:
    """What a model makes of a text.

    Attributes:
        n_unknown: unknown symbols of the text, whether kept or left out.
        first_unknown: names the first of them.
    """

    sums: LineSums
    n_unknown: int = 0
    first_unknown: object = None


def measure_carried(
    scorer: Scorer, tokenizer: Tokenizer, tokens: IdsOnDisk, text: Text, on_unknown: OnUnknown
) -> Measured:
    """Measure a text in one pass, with carried state.

    A line is what a line break ends, a blank one too; characters after the last line break are a line whose end has
    no token (n_lines counts it, n_line_ends does not).

    Args:
        scorer: the model, or whatever takes its place.
        tokens: what `write_tokens` makes of `text` with this tokenizer and `on_unknown`.

    Raises:
        DataError: the text is no longer the one that the tokens are of.
    """
    logprobs = _Queue(scorer(tokens.ids, tokenizer.newline_id))
    left_out = on_unknown == "skip" and tokens.n_unknown > 0
    sums = LineSums()
    opened = np.zeros((1, 2, len(QUANTITIES)))  # the begin of a line that goes on in the next chunk
    start = 0
    is_open = False
    for chunk in text.chunks():
        pieces = _lines(chunk)
        n_tokens = _n_tokens(pieces, tokens.ids[start:], tokenizer, on_unknown)
        ids = tokens.ids[start : start + n_tokens]
        start += n_tokens
        kept = [known_part(tokenizer, piece)[0] for piece in pieces] if left_out else pieces
        rows = sum_lines(tokenizer, kept, ids, logprobs.take(n_tokens))
        rows[:1] += opened
        is_open = not pieces[-1].endswith("\n")
        opened = rows[len(rows) - is_open :].sum(axis=0, keepdims=True)
        sums.add(rows[: len(rows) - is_open])
        release(tokens.ids)
    if is_open:
        sums.add(opened)
    if start != len(tokens.ids):
        raise _changed()
    return Measured(sums, tokens.n_unknown, tokens.first_unknown)


def sum_lines(tokenizer: Tokenizer, lines: Sequence[str], ids: Ids, logprobs: Array) -> Floats:
    """The sums of each of some lines.

    Without unknown tokens, tokens, characters and bytes lose those that are unknown. A word loses all its tokens,
    as in n-gram toolkits, when one of them is unknown: else its known letters would be paid for and not counted.

    Args:
        lines: with their line breaks; only the last may be without.
        ids: of all of them, one after another.
        logprobs: natural, as many.

    Returns:
        [lines, 2, QUANTITIES], with all tokens and without the unknown ones.
    """
    is_end = ids == tokenizer.newline_id
    line_of = np.cumsum(is_end) - is_end
    unknown = np.zeros(len(ids), bool) if tokenizer.unk_id is None else ids == tokenizer.unk_id
    nats = -logprobs.astype(np.float64)

    def total(amounts: npt.NDArray[np.generic]) -> Floats:
        return np.bincount(line_of, amounts.astype(np.float64), len(lines)).astype(np.float64, copy=False)

    counts = np.array([_counts(line) for line in lines], np.float64).reshape(-1, 3).T
    all_tokens = [total(is_end), total(np.ones(len(ids))), *counts, total(nats), total(nats)]
    result = np.repeat(np.stack(all_tokens, axis=1)[:, None], 2, axis=1)
    for number in np.unique(line_of[unknown]).tolist():
        part = slice(*np.searchsorted(line_of, [number, number + 1]).tolist())
        result[number, 1] -= _unknown_part(tokenizer, lines[number], unknown[part], nats[part])
    return result


def _unknown_part(tokenizer: Tokenizer, line: str, unknown: npt.NDArray[np.bool_], nats: Floats) -> list[float]:
    """The QUANTITIES that unknown tokens stand for; `unknown` and `nats` are of the line's tokens and its end."""
    written = line.removesuffix("\n")
    spans = tokenizer.spans(written)
    words, word_of = line_words(written, spans)
    strange = unknown[: len(spans)]
    is_lost = np.bincount(word_of[strange], minlength=len(words) + 1) > 0
    is_lost[len(words)] = False  # the line's end stays, with an unknown space before it too
    lost = strange | is_lost[word_of]
    _, n_chars, n_bytes = _counts("".join(written[start:end] for start, end in spans[strange].tolist()))
    own = nats[: len(spans)]
    return [0, strange.sum(), is_lost.sum(), n_chars, n_bytes, own[strange].sum(), own[lost].sum()]


def _counts(text: str) -> tuple[int, int, int]:
    """Words, characters, bytes."""
    return len(text.split()), len(text), len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _lines(text: str) -> list[str]:
    *ended, rest = text.split("\n")
    return [line + "\n" for line in ended] + [rest] * bool(rest)


def _n_tokens(lines: list[str], ids: Ids, tokenizer: Tokenizer, on_unknown: OnUnknown) -> int:
    """How many of the ids are those of the lines. The tokens of an unterminated rest are counted by making them."""
    rest = "" if lines[-1].endswith("\n") else lines[-1]
    n_ends = len(lines) - bool(rest)
    # A token stands for a byte or more, a character for four or fewer.
    ends = np.flatnonzero(ids[: 4 * sum(map(len, lines))] == tokenizer.newline_id)[:n_ends]
    n_rest = len(encode_known(tokenizer, rest, on_unknown, "the text").ids) if rest else 0
    n_tokens = (int(ends[-1]) + 1 if n_ends and len(ends) else 0) + n_rest
    if len(ends) < n_ends or n_tokens > len(ids):
        raise _changed()
    return n_tokens


def _changed() -> DataError:
    return DataError("the text changed while it was measured: measure it again when nothing writes to it")


class _Queue:
    """Arrays as they come, taken in pieces of another length."""

    def __init__(self, arrays: Iterator[Array]) -> None:
        self._arrays = arrays
        self._rest: Array = np.empty(0, np.float32)

    def take(self, n: int) -> Array:
        parts, missing = [self._rest], n - len(self._rest)
        while missing > 0:
            part = next(self._arrays, None)
            if part is None:
                raise ValueError("the scorer gave fewer log-probabilities than the text has tokens")
            parts.append(part)
            missing -= len(part)
        joined = np.concatenate(parts)
        self._rest = joined[n:]
        return joined[:n]


@dataclass(frozen=True)
class Ratio:
    """What is divided by what: the names of a quantity and of those whose sum divides it."""

    amount: str
    counts: tuple[str, ...]

    def units(self, sums: LineSums, known: bool = False) -> tuple[Floats, Floats]:
        """Amounts and counts, one a unit."""
        return sums.units(self.amount, known), np.sum([sums.units(name, known) for name in self.counts], axis=0)


@dataclass(frozen=True)
class Measure:
    """A ratio of nats and how it is said.

    Attributes:
        unit: "nats" as it is, "bits" divided by log 2, "perplexity" exp of it.
    """

    name: str
    ratio: Ratio
    unit: Literal["nats", "bits", "perplexity"]


PER_TOKEN = Ratio("nats", ("n_tokens",))
PER_WORD = Ratio("word_nats", ("n_words", "n_line_ends"))
PER_WORD_NO_EOL = Ratio("word_nats", ("n_words",))
PER_CHAR = Ratio("nats", ("n_chars",))
PER_BYTE = Ratio("nats", ("n_bytes",))

# The two per word are SRILM's ppl and ppl1: both have the nats of the line ends above the line, the first counts
# the line ends below it too.
MEASURES = (
    Measure("loss_nats", PER_TOKEN, "nats"),
    Measure("perplexity", PER_TOKEN, "perplexity"),
    Measure("perplexity_per_word", PER_WORD, "perplexity"),
    Measure("perplexity_per_word_no_eol", PER_WORD_NO_EOL, "perplexity"),
    Measure("bits_per_char", PER_CHAR, "bits"),
    Measure("bits_per_byte", PER_BYTE, "bits"),
)


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error; not a number where it is undefined."""

    value: float
    standard_error: float


def estimate(measure: Measure, sums: LineSums, known: bool = False) -> Estimate:
    """A measure with its standard error over lines.

    The ratio r = sum(x_i) / sum(n_i) of m units has the linearised standard error
    sqrt(m / (m - 1) * sum((x_i - r n_i)^2)) / sum(n_i)   (Cochran 1977, "Sampling techniques", chapter 6, without
    the correction for a small population); that of exp(r) is exp(r) times it (delta method). Of one unit it is
    undefined.
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
