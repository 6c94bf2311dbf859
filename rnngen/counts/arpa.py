"""Counts as a model in the ARPA format, which KenLM and SRILM read.

An entry has log10 p of an n-gram's last token after the others, and log10 of what the n-gram leaves to shorter contexts
(`corrections.py` has the formulas). These tools score a line at a time: it starts after `<s>` and ends with `</s>`, and
both are our line break. So n-grams with a line break between other tokens are left out, which nothing can ask for.

As `lmplz` has it, `<unk>` stands for words that were never seen: our unknown symbol, where nothing of it was counted.
Where it was counted it is the word `<unknown>`, as `tokenize --lmplz` writes it, and `<unk>` is impossible.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rnngen.config import MOST_ORDER
from rnngen.counts.storage import Arrays, from_arrays
from rnngen.counts.trie import Trie
from rnngen.errors import ConfigError
from rnngen.text.lmplz import BEGIN, END, token_names
from rnngen.tokenizers.base import Tokenizer
from rnngen.tokenizers.symbols import UNK

IMPOSSIBLE = -99.0  # log10, as KenLM and SRILM write it
_LINES_AT_A_TIME = 1 << 16

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def arpa_lines(weights: Arrays, tokenizer: Tokenizer, max_order: int | None = None) -> Iterator[str]:
    """The counts of a model in the ARPA format.

    Args:
        weights: of the model's checkpoint.
        max_order: no longer n-grams are written; None writes all. KenLM reads up to 6 unless it was compiled for more.

    Yields:
        Lines with their line breaks, many at a time. The probabilities are those of the counts alone.

    Raises:
        ConfigError: the model has no counts, or none of n-grams longer than 1, which KenLM does not read.
        TokenizerError: the vocabulary has a word that is a sign of the format.

    >>> import rnngen
    >>> options = rnngen.ModelOptions(cell="none", ngram_order=2)
    >>> model = rnngen.train(text="hello\\n" * 60, model=options)
    >>> lines = "".join(rnngen.arpa_lines(model.checkpoint.weights, model.tokenizer)).split("\\n")
    >>> lines[:3]
    ['\\\\data\\\\', 'ngram 1=7', 'ngram 2=6']
    """
    if "counts.sizes" not in weights:
        raise ConfigError("the model has no counts: train it without --ngram-order none")
    trie = from_arrays(weights, tokenizer.vocab_size).up_to(max_order or MOST_ORDER)
    if trie.order < 2:
        raise ConfigError("the model counts single tokens only: train it with --ngram-order 2 or more")
    return _lines(trie, token_names(tokenizer), tokenizer.newline_id, tokenizer.never_drawn)


def _lines(trie: Trie, names: list[str], newline_id: int, never_drawn: tuple[int, ...]) -> Iterator[str]:
    tokens = trie.tokens.astype(np.int64)
    parents = _parents(trie)
    probs, left = _probabilities(trie, parents, tokens)
    asked, can_go_on = _asked_for(trie, parents, tokens, newline_id)
    names = [UNK if id in never_drawn and not trie.counts[id] else name for id, name in enumerate(names)]
    signs = [*([UNK] if UNK not in names else []), BEGIN]
    sizes = [int(asked[start:end].sum()) for start, end in zip(trie.starts, trie.starts[1:], strict=False)]
    sizes[0] += len(signs)
    while not sizes[-1]:
        del sizes[-1]
    yield "\\data\\\n" + "".join(f"ngram {n}={size}\n" for n, size in enumerate(sizes, 1))
    # A context and a next token have names of their own where they are line breaks.
    last = np.array([*names, END], object)
    last[newline_id] = END
    texts = np.array([name + " " for name in names], object)
    texts[newline_id] = BEGIN + " "
    for n, _ in enumerate(sizes, 1):
        yield f"\n\\{n}-grams:\n"
        if n == 1:
            yield "".join(
                _entry(IMPOSSIBLE, sign, float(np.log10(left[newline_id])) if sign == BEGIN else None) for sign in signs
            )
        nodes = np.flatnonzero(asked[trie.starts[n - 1] : trie.starts[n]]) + trie.starts[n - 1]
        for start in range(0, len(nodes), _LINES_AT_A_TIME):
            some = nodes[start : start + _LINES_AT_A_TIME]
            contexts = _contexts(some, n, parents, tokens, texts)
            backs = np.log10(left[some]).tolist()
            if n == len(sizes):
                backs = [None] * len(some)
            else:
                backs = [back if goes_on else None for back, goes_on in zip(backs, can_go_on[some], strict=True)]
            entries = zip(np.log10(probs[some]).tolist(), contexts, last[tokens[some]].tolist(), backs, strict=True)
            yield "".join(_entry(p, context + token, back) for p, context, token, back in entries)
    yield "\n\\end\\\n"


def _entry(log10_p: float, ngram: str, back_off: float | None) -> str:
    return f"{log10_p:.7g}\t{ngram}\n" if back_off is None else f"{log10_p:.7g}\t{ngram}\t{back_off:.7g}\n"


def _parents(trie: Trie) -> Whole:
    """[nodes]: the n-gram of all tokens but the last; -1 for single tokens."""
    first = trie.first.astype(np.int64)
    nodes = np.repeat(np.arange(len(first) - 1), first[1:] - first[:-1])
    found: Whole = np.concatenate([np.full(trie.vocab_size, -1), nodes])
    return found


def _probabilities(trie: Trie, parents: Whole, tokens: Whole) -> tuple[Floats, Floats]:
    """Of every n-gram p of its last token, and the share that is left to shorter contexts after it: [nodes] twice."""
    V, n_nodes = trie.vocab_size, int(trie.starts[-1])
    keys = parents[V:] * V + tokens[V:]  # ascending
    suffixes, probs, left = np.full(n_nodes, -1), np.empty(n_nodes), np.ones(n_nodes)
    probs[:V] = trie.unigram_probs()
    for n in range(2, trie.order + 1):
        start, end = int(trie.starts[n - 1]), int(trie.starts[n])
        first, contexts = int(trie.starts[n - 2]), parents[start:end]
        if n == 2:
            suffixes[start:end] = tokens[start:end]
        else:
            suffixes[start:end] = V + np.searchsorted(keys, suffixes[contexts] * V + tokens[start:end])
        counts = trie.counts[start:end].astype(np.float64)
        taken = np.concatenate([[0], trie.discounts[n - 1]])[np.minimum(trie.counts[start:end], 3)]
        pruned = trie.pruned[first:start].astype(np.float64)
        totals = pruned + np.bincount(contexts - first, counts, start - first)
        goes_on = totals > 0
        kept_back = pruned + np.bincount(contexts - first, taken, start - first)
        left[first:start][goes_on] = kept_back[goes_on] / totals[goes_on]
        probs[start:end] = (counts - taken) / totals[contexts - first] + left[contexts] * probs[suffixes[start:end]]
    return probs, left


def _asked_for(
    trie: Trie, parents: Whole, tokens: Whole, newline_id: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether an n-gram is in the file, and whether others start with it there: [nodes] twice."""
    V, n_nodes = trie.vocab_size, int(trie.starts[-1])
    asked, open_still = np.ones(n_nodes, bool), tokens != newline_id
    for n in range(2, trie.order + 1):
        nodes = slice(int(trie.starts[n - 1]), int(trie.starts[n]))
        before = parents[nodes]
        # A line break ends a line, unless it is the one before it.
        asked[nodes] = (open_still[before] | (before == newline_id)) & asked[before]
        open_still[nodes] &= asked[nodes]
    can_go_on = open_still.copy()
    can_go_on[:V] = tokens[:V] != newline_id  # as `<s>` it has a line of its own
    return asked, can_go_on


def _contexts(nodes: Whole, n: int, parents: Whole, tokens: Whole, texts: npt.NDArray[np.object_]) -> list[str]:
    """The tokens before the last one of each n-gram, with a space after each."""
    found, at = np.full(len(nodes), "", object), parents[nodes]
    for _ in range(n - 1):
        found = texts[tokens[at]] + found
        at = parents[at]
    contexts: list[str] = found.tolist()
    return contexts
