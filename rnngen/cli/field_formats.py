"""The formats of KenLM's `query` and SRILM's `ngram -ppl -debug 2`, for the programs that parse those; in log10."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnngen.cli.score_formats import LineNumbers
from rnngen.cli.scored_lines import ScoredLine, Units, token_units, word_units

if TYPE_CHECKING:
    from rnngen.text.tokenizer import Tokenizer

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
_LN10 = math.log(10)


class KenLM:
    """`surface=id ngram_length log10prob` and a tab for each word; at the end perplexities and counts.

    A recurrent network sees all of the line: the n-gram length of the first word is 2 (`<s>` and itself) and grows by
    one a word. The id 0 means unknown to who reads this; so ids are one larger where a known symbol has the id 0, and
    a word of several tokens has 1.

    Args:
        words: words that white space separates instead of the model's tokens.
    """

    def __init__(self, tokenizer: Tokenizer, words: bool) -> None:
        self._tokenizer = tokenizer
        self._units = word_units if words else token_units
        self._shift = 0 if tokenizer.unk_id == 0 else 1
        self._total = self._unknown_total = 0.0
        self._n_tokens = self._n_unknown = 0

    def begin(self) -> str:
        return ""

    def line(self, line: ScoredLine, numbers: LineNumbers) -> str:
        units = self._units(line, self._tokenizer)
        names = _names(units)
        logs = [logprob / _LN10 for logprob in units.logprobs]
        ids = [
            0 if unknown else 1 if id is None else id + self._shift
            for id, unknown in zip(units.ids, units.unknown, strict=True)
        ]
        # Without a begin the first word's context is the word before it, which has no number itself.
        entries = [
            f"{name}={id} {length} {log:.7g}\t"
            for length, (name, id, log) in enumerate(zip(names, ids, logs, strict=True), 2)
        ]
        total, n_unknown = math.fsum(logs), sum(units.unknown)
        self._total += total
        self._unknown_total += math.fsum(log for log, unknown in zip(logs, units.unknown, strict=True) if unknown)
        self._n_tokens += len(logs)
        self._n_unknown += n_unknown
        return "".join(entries) + f"Total: {total:.7g} OOV: {n_unknown}\n"

    def end(self) -> str:
        known = self._total - self._unknown_total
        return (
            f"Perplexity including OOVs:\t{_perplexity(self._total, self._n_tokens)}\n"
            f"Perplexity excluding OOVs:\t{_perplexity(known, self._n_tokens - self._n_unknown)}\n"
            f"OOVs:\t{self._n_unknown}\n"
            f"Tokens:\t{self._n_tokens}\n"
        )


@dataclass
class _Sums:
    """What SRILM sums: unknown words count as words, and their log-probability does not count."""

    n_sentences: int = 0
    n_words: int = 0
    n_unknown: int = 0
    n_ends: int = 0
    log10: float = 0.0

    def add(self, other: _Sums) -> None:
        self.n_sentences += other.n_sentences
        self.n_words += other.n_words
        self.n_unknown += other.n_unknown
        self.n_ends += other.n_ends
        self.log10 += other.log10

    def __str__(self) -> str:
        n_known = self.n_words - self.n_unknown
        return (
            f"{self.n_sentences} sentences, {self.n_words} words, {self.n_unknown} OOVs\n"
            f"0 zeroprobs, logprob= {self.log10:.6g} ppl= {_perplexity(self.log10, n_known + self.n_ends)} "
            f"ppl1= {_perplexity(self.log10, n_known)}\n"
        )


class SRILM:
    """Each sentence, `p( word | context ) = [RNN] probability [ log10 ]` for each of its words, and its sums.

    Unlike SRILM's own, blank lines are sentences too, so that there is one for each line of the input.

    Args:
        words: words that white space separates instead of the model's tokens.
        name: of the text, for the sums at the end.
    """

    def __init__(self, tokenizer: Tokenizer, words: bool, name: str) -> None:
        self._tokenizer, self._name = tokenizer, name
        self._units = word_units if words else token_units
        self._sums = _Sums()

    def begin(self) -> str:
        return ""

    def line(self, line: ScoredLine, numbers: LineNumbers) -> str:
        units = self._units(line, self._tokenizer)
        names = _names(units)
        n_ends = int(line.boundaries.eos and bool(names))
        n_words = len(names) - n_ends
        rows, total = [], []
        before = f"{BEGIN} " if line.boundaries.bos else "... "
        for name, logprob, unknown in zip(names, units.logprobs, units.unknown, strict=True):
            log10 = logprob / _LN10
            if unknown:
                rows.append(f"\tp( {UNKNOWN} | {before}) \t= [OOV] 0 [ -inf ]\n")
            else:
                rows.append(f"\tp( {name} | {before}) \t= [RNN] {math.exp(logprob):.6g} [ {log10:.6g} ]\n")
                total.append(log10)
            before = f"{UNKNOWN if unknown else name} ..."
        sums = _Sums(1, n_words, sum(units.unknown), n_ends, math.fsum(total))
        self._sums.add(sums)
        return f"{' '.join(names[:n_words])}\n{''.join(rows)}{sums}\n"

    def end(self) -> str:
        return f"file {self._name}: {self._sums}"


def _names(units: Units) -> list[str]:
    from rnngen.text.symbols import visible

    return [END if surface == "\n" else visible(surface) for surface in units.surfaces]


def _perplexity(log10: float, count: int) -> str:
    if not count:
        return "undefined"
    try:
        return f"{10 ** (-log10 / count):.6g}"
    except OverflowError:
        return "inf"
