"""The formats of KenLM's `query` and SRILM's `ngram -ppl -debug 2`, for the programs that parse those; in log10."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rnngen.cli.output import for_stdout
from rnngen.cli.score_formats import Writer
from rnngen.engine.scoring import perplexity
from rnngen.evaluate.scored_lines import ScoredLine, ScoredToken, ScoredWord
from rnngen.printable import plural
from rnngen.tokenizers.base import Tokenizer
from rnngen.tokenizers.fields import token_field, word_field

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
ASCII_WHITE_SPACE = " \t\n\v\f\r"
_LN10 = math.log(10)

_Parts = Sequence[ScoredToken | ScoredWord]
_PartsOf = Callable[[ScoredLine], _Parts]


class KenLM(Writer):
    """`surface=id ngram_length log10prob` and a tab for each word; at the end perplexities and counts.

    A recurrent network sees all of the line: the n-gram length of the first word is 2 (`<s>` and itself) and grows by
    one a word. Programs that read this format take the id 0 for unknown: where a known symbol has the id 0, all ids are
    shown one larger. A word of several tokens has the id that follows those of the vocabulary.

    Args:
        words: show words that blanks separate instead of the model's tokens.
    """

    def __init__(self, tokenizer: Tokenizer, words: bool) -> None:
        self._parts: _PartsOf = ScoredLine.words if words else ScoredLine.tokens
        self._field = for_stdout(word_field if words else token_field(tokenizer))
        self._n_symbols = tokenizer.vocab_size
        self._shift = 0 if tokenizer.unk_id == 0 else 1
        self._total = self._known_total = 0.0
        self._n_tokens = self._n_unknown = 0

    def line(self, line: ScoredLine) -> str:
        parts = self._parts(line)
        logs = [part.logprob_nats / _LN10 for part in parts]
        ids = [0 if part.unknown else (self._n_symbols if part.id is None else part.id) + self._shift for part in parts]
        # Without a sentence start the first word's context is the word before it, which has no number itself.
        entries = [
            f"{name}={id} {length} {log:.7g}\t"
            for length, (name, id, log) in enumerate(zip(_names(parts, self._field), ids, logs, strict=True), 2)
        ]
        total, n_unknown = math.fsum(logs), sum(part.unknown for part in parts)
        self._total += total
        self._known_total += _known_log10(parts)
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


@dataclass(kw_only=True)
class _Sums:
    """SRILM's sums: unknown words are counted as words, and their log-probability is not summed."""

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

    Args:
        words: show words that blanks separate instead of the model's tokens.
        name: of the text, for the sums at the end.
    """

    def __init__(self, tokenizer: Tokenizer, words: bool, name: str) -> None:
        self._parts: _PartsOf = ScoredLine.words if words else ScoredLine.tokens
        self._field = for_stdout(word_field if words else token_field(tokenizer))
        self._name = name
        self._sums = _Sums()

    def line(self, line: ScoredLine) -> str:
        parts = self._parts(line)
        names = _names(parts, self._field)
        rows = []
        before = f"{BEGIN} " if line.boundaries.bos else "... "
        for name, part in zip(names, parts, strict=True):
            logprob = part.known_logprob_nats
            if part.unknown:
                rows.append(f"\tp( {UNKNOWN} | {before}) \t= [OOV] 0 [ -inf ]\n")
                before = f"{UNKNOWN} ..."
            else:
                rows.append(f"\tp( {name} | {before}) \t= [RNN] {math.exp(logprob):.6g} [ {logprob / _LN10:.6g} ]\n")
                before = f"{name} ..."
        n_ends = sum(part.ends_line for part in parts)
        n_unknown = sum(part.unknown for part in parts)
        sums = _Sums(
            n_sentences=1,
            n_words=len(parts) - n_ends,
            n_unknown=n_unknown,
            n_ends=n_ends,
            log10=_known_log10(parts),
        )
        self._sums.add(sums)
        return f"{' '.join(names[: sums.n_words])}\n{''.join(rows)}{sums}\n"

    def end(self) -> str:
        return f"file {self._name}: {self._sums}"


def sentences_of_srilm(blocks: Iterable[list[ScoredLine]], say: Callable[[str], object]) -> Iterator[list[ScoredLine]]:
    """The lines that SRILM reads too: else `compute-best-mix` would find other words in its output and in ours.

    Args:
        say: is told at the end how many lines were left out.
    """
    n_skipped = 0
    for block in blocks:
        sentences = [line for line in block if is_sentence_of_srilm(line.text)]
        n_skipped += len(block) - len(sentences)
        yield sentences
    if n_skipped:
        say(f"{plural(n_skipped, 'line')} left out, as SRILM leaves them out: blank, or with ## at the start")


def is_sentence_of_srilm(line: str) -> bool:
    """Whether SRILM reads a line. Source: `File::getline` of its misc/src/File.cc, which `ngram -ppl` reads with."""
    return not line.startswith("##") and bool(line.strip(ASCII_WHITE_SPACE))


def _known_log10(parts: _Parts) -> float:
    """The log10 of the known words; a word that is, or holds, an unknown symbol is left out as a whole."""
    return math.fsum(part.known_logprob_nats for part in parts if not part.unknown) / _LN10


def _names(parts: _Parts, field: Callable[[str], str]) -> list[str]:
    return [END if part.ends_line else field(part.text) for part in parts]


def _perplexity(log10: float, count: int) -> float:
    return perplexity(log10 * _LN10, count)


def _ppl(log10: float, count: int) -> str:
    """As SRILM prints it."""
    return f"{_perplexity(log10, count):.6g}" if count else "undefined"
