"""What the counts of n-grams add to logits: their log-probabilities, with a weight.

Interpolated modified Kneser-Ney (Chen and Goodman 1999, section 3). After a context h of n - 1 tokens, whose last n - 2
are h':

    p(w | h) = (c(h w) - D(c(h w))) / c(h) + left(h) p(w | h')        left(h) = sum over w of D(c(h w)), by c(h)

A softmax leaves constants out. So of a place only the tokens that have followed its contexts differ from the unigrams:

    share(w) = p(w | h) / (left(h) left(h') ...)
             = p(w) + sum over the orders of (c(h w) - D(c(h w))) / c(h) / (left(h) left(h') ...)

and what is added is weight (log share(w) - log p(w)), where it is not 0. The unigrams' own part is the same everywhere:
callers add it to the bias once.

In training a token's own occurrence is not counted: else the counts would know the text by heart, and the network would
learn to trust them more than they deserve. Taking it out of c(h w) takes 1 from a shorter n-gram too where the longer
one occurs once only, as the count of a shorter one is the number of different tokens before it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rnngen.counts import compiled
from rnngen.counts.trie import Trie

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.integer]
Whole = npt.NDArray[np.int64]

NUMBERS_AT_A_TIME = 1 << 22
# Where shorter contexts leave less than this for other tokens, longer ones are not asked: float32 would not hold it.
LEAST_SCALE = 1e-30
NOTHING = -1  # in place of an id: nothing stands here or before


class CountModel:
    """The counts, ready to be added to logits.

    Attributes:
        order: of the longest n-grams.
        history: how many tokens before the present one matter.
        unigram_logprobs: [V], float64.
    """

    def __init__(self, trie: Trie) -> None:
        self.trie = trie
        self.order = trie.order
        self.history = max(0, self.order - 2)
        self.unigram_logprobs = np.log(trie.unigram_probs())
        self._implementation = (
            _NumpyCounts(trie) if compiled.LIBRARY is None else compiled.CompiledCounts(compiled.LIBRARY, trie)
        )

    def initial_history(self, batch_size: int) -> Whole:
        """[history, B]: nothing stands before."""
        return np.full((self.history, batch_size), NOTHING, np.int64)

    def nodes(self, known: Ids) -> Whole:
        """The n-grams of the last 1, 2, ... tokens at each place of a window, as nodes of the trie; -1 for none.

        Args:
            known: [history + T, B], the ids before the window and those in it; a negative one: nothing stands before.

        Returns:
            [T, B, order - 1].
        """
        return self._implementation.nodes(np.ascontiguousarray(known, np.int64), self.history)

    def add(self, logits: Array, nodes: Whole, weight: float, targets: Ids | None = None) -> None:
        """Add to the logits of the token after each place.

        Args:
            logits: [N, V], float32, contiguous; changed in place.
            nodes: [N, order - 1], of `nodes`.
            targets: [N], the ids that followed when the text was counted, which are then left out of the counts. A
                negative one leaves out none, and so does None.
        """
        wanted = None if targets is None else np.ascontiguousarray(targets, np.int64)
        self._implementation.add(logits, np.ascontiguousarray(nodes), weight, wanted)

    def stepper(self, history: Ids) -> Callable[[Ids, Array, float], None]:
        """A function that takes the next id of each stream, [B], and adds to the logits after it, [B, V].

        Args:
            history: [history, B].
        """
        return self._implementation.stepper(np.ascontiguousarray(history, np.int64))


class _NumpyCounts:
    """The implementation in numpy."""

    def __init__(self, trie: Trie) -> None:
        self._trie, self._order = trie, trie.order
        first: Whole = trie.first.astype(np.int64)
        parents = np.repeat(np.arange(trie.starts[-1]), first[1:] - first[:-1])
        self._keys = parents * trie.vocab_size + trie.tokens[trie.vocab_size :]
        self._first = first
        self._discounts = np.pad(trie.discounts, ((0, 0), (1, 0)))
        self._unigram, self._less = trie.unigram_probs(), trie.unigram_probs_less()

    def nodes(self, known: Whole, history: int) -> Whole:
        """[K, B] -> [K - history, B, order - 1]."""
        nodes = np.full((*known.shape, self._order - 1), -1)
        if self._order > 1:
            nodes[:, :, 0] = np.where((known >= 0) & (known < self._trie.vocab_size), known, -1)
        for n in range(1, self._order - 1):
            nodes[1:, :, n] = self._child(nodes[:-1, :, n - 1], nodes[1:, :, 0])
        return nodes[history:]

    def add(self, logits: Array, nodes: Whole, weight: float, targets: Whole | None) -> None:
        wanted = np.full(len(nodes), NOTHING) if targets is None else targets
        most = max(1, NUMBERS_AT_A_TIME // logits.shape[1])
        for start in range(0, len(nodes), most):
            part = slice(start, start + most)
            logits[part] += weight * self._corrections(nodes[part].T, wanted[part])

    def stepper(self, history: Whole) -> Callable[[Ids, Array, float], None]:
        known = history

        def step(ids: Ids, logits: Array, weight: float) -> None:
            nonlocal known
            known = np.concatenate([known, np.asarray(ids, np.int64)[None]])
            self.add(logits, self.nodes(known, len(history))[0], weight, None)
            known = known[1:]

        return step

    def _child(self, nodes: Whole, tokens: Whole) -> Whole:
        """The n-gram of each node and one more token, or -1."""
        keys = np.where((nodes < 0) | (tokens < 0), -1, nodes * self._trie.vocab_size + tokens)
        places = np.searchsorted(self._keys, keys)
        places[places == len(self._keys)] = 0
        found = self._keys[places] == keys if len(self._keys) else np.zeros(keys.shape, bool)
        return np.where(found, places + self._trie.vocab_size, -1)

    def _own(self, nodes: Whole, targets: Whole) -> Whole:
        """[order, places]: whether the target's own occurrence is counted there."""
        own = np.zeros((self._order, nodes.shape[1]), bool)
        counted = np.zeros(nodes.shape[1], bool)
        is_target = (targets >= 0) & (targets < self._trie.vocab_size)
        for n in range(self._order - 1, -1, -1):
            has_context = nodes[n - 1] >= 0 if n else is_target
            is_longest = has_context & (nodes[n] < 0 if n < self._order - 1 else True)
            own[n] = is_target & (counted | is_longest)
            found = self._child(nodes[n - 1], targets) if n else targets
            counted = own[n] & ((found < 0) | (self._trie.counts[found] <= 1))
        return own

    def _corrections(self, nodes: Whole, targets: Whole) -> npt.NDArray[np.float64]:
        """[order - 1, places] and [places] -> [places, V]."""
        trie = self._trie
        places = np.arange(len(targets))
        shares = np.tile(self._unigram, (len(targets), 1))
        own = self._own(nodes, targets)
        shares[own[0], targets[own[0]]] = self._less[targets[own[0]]]
        scales = np.ones(len(targets))
        going_on = np.ones(len(targets), bool)
        for n in range(1, self._order):
            going_on &= nodes[n - 1] >= 0
            contexts = np.where(going_on, nodes[n - 1], 0)
            begin, lengths = self._first[contexts], self._first[contexts + 1] - self._first[contexts]
            going_on &= lengths > 0
            lengths = np.where(going_on, lengths, 0)
            rows = np.repeat(places, lengths)
            followers = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + begin[rows]
            own_nodes = np.where(own[n] & going_on, self._child(contexts, targets), -1)
            counts = trie.counts[followers].astype(np.int64) - (followers == own_nodes[rows])
            discounts = self._discounts[n][np.minimum(counts, 3)]
            pruned = trie.pruned[contexts].astype(np.int64)
            pruned -= own[n] & (own_nodes < 0) & (pruned > 0)
            totals = pruned + np.bincount(rows, counts, len(places))
            left = pruned + np.bincount(rows, discounts, len(places))
            going_on &= totals > 0
            going_on[going_on] = scales[going_on] * left[going_on] / totals[going_on] >= LEAST_SCALE
            scales[going_on] *= left[going_on] / totals[going_on]
            kept = going_on[rows]
            rows = rows[kept]
            shares[rows, trie.tokens[followers[kept]]] += (counts - discounts)[kept] / totals[rows] / scales[rows]
        return np.log(shares / self._unigram)
