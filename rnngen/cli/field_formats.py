"""The formats of KenLM's `query` and SRILM's `ngram -ppl -debug 2`, for the programs that parse those; in log10."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnngen.cli.score_formats import LineNumbers, Writer
from rnngen.evaluate.scored_lines import NO_ID, ScoredLine, Units, token_units, word_units

if TYPE_CHECKING:
    from rnngen.tokenizers.base import Tokenizer

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
_LN10 = math.log(10)


class KenLM(Writer):
    """`surface=id ngram_length log10prob` and a tab for each word; at the end perplexities and counts.

    A recurrent network sees all of the line: the n-gram length of the first word is 2 (`<s>` and itself) and grows by
    one a word. The id 0 means unknown to who reads this; so ids are one larger where a known symbol has the id 0. A
    word of several tokens has the id that follows those of the vocabulary.

    Args:
        words: words that white space separates instead of the model's tokens.
    """

    def __init__(self, tokenizer: Tokenizer, words: bool) -> None:
        self._tokenizer = tokenizer
        self._units = word_units if words else token_units
        self._shift = 0 if tokenizer.unk_id == 0 else 1
        self._total = self._known_total = 0.0
        self._n_tokens = self._n_unknown = 0

    def line(self, line: ScoredLine, numbers: LineNumbers) -> str:
        units = self._units(line, self._tokenizer)
        names = _names(units)
        logs = [logprob / _LN10 for logprob in units.logprobs]
        ids = [
            0 if unknown else (self._tokenizer.vocab_size if id == NO_ID else id) + self._shift
            for id, unknown in zip(units.ids, units.unknown, strict=True)
        ]
        # Without a begin the first word's context is the word before it, which has no number itself.
        entries = [
            f"{name}={id} {length} {log:.7g}\t"
            for length, (name, id, log) in enumerate(zip(names, ids, logs, strict=True), 2)
        ]
        total, n_unknown = math.fsum(logs), sum(units.unknown)
        self._total += total
        self._known_total += _known_log10(units)
        self._n_tokens += len(logs)
        self._n_unknown += n_unknown
        return "".join(entries) + f"Total: {total:.7g} OOV: {n_unknown}\n"

    def end(self) -> str:
        n_known = self._n_tokens - self._n_unknown
        return (
            f"Perplexity including OOVs:\t{_perplexity(self._total, self._n_tokens):.17g}\n"
            f"Perplexity excluding OOVs:\t{_perplexity(self._known_total, n_known):.17g}\n"
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
            f"0 zeroprobs, logprob= {self.log10:.6g} ppl= {_ppl(self.log10, n_known + self.n_ends)} "
            f"ppl1= {_ppl(self.log10, n_known)}\n"
        )


class SRILM(Writer):
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

    def line(self, line: ScoredLine, numbers: LineNumbers) -> str:
        units = self._units(line, self._tokenizer)
        names = _names(units)
        rows = []
        before = f"{BEGIN} " if line.boundaries.bos else "... "
        for name, logprob, unknown in zip(names, units.known_logprobs, units.unknown, strict=True):
            log10 = logprob / _LN10
            if unknown:
                rows.append(f"\tp( {UNKNOWN} | {before}) \t= [OOV] 0 [ -inf ]\n")
            else:
                rows.append(f"\tp( {name} | {before}) \t= [RNN] {math.exp(logprob):.6g} [ {log10:.6g} ]\n")
            before = f"{UNKNOWN if unknown else name} ..."
        sums = _Sums(1, units.n_words, sum(units.unknown), int(units.has_end), _known_log10(units))
        self._sums.add(sums)
        return f"{' '.join(names[: units.n_words])}\n{''.join(rows)}{sums}\n"

    def end(self) -> str:
        return f"file {self._name}: {self._sums}"


def _known_log10(units: Units) -> float:
    """Of what is known: words that are, or hold, an unknown symbol are left out whole."""
    known = zip(units.known_logprobs, units.unknown, strict=True)
    return math.fsum(logprob for logprob, unknown in known if not unknown) / _LN10


def _names(units: Units) -> list[str]:
    names = list(map(_name, units.surfaces))
    if units.has_end:
        names[-1] = END
    return names


def _name(surface: str) -> str:
    """As it stands in the text; what would end a field is escaped."""
    if surface.isprintable() and " " not in surface:
        return surface
    from rnngen.printable import visible

    return "".join(c if c.isprintable() and c != " " else visible(c) for c in surface)


def _perplexity(log10: float, count: int) -> float:
    from rnngen.engine.scoring import perplexity

    return perplexity(log10 * _LN10, count)


def _ppl(log10: float, count: int) -> str:
    """As SRILM prints it."""
    return f"{_perplexity(log10, count):.6g}" if count else "undefined"
