"""A trie <-> the arrays of a checkpoint: about 4 bytes a node.

    counts.sizes      int64    [order]        the number of n-grams of each length
    counts.tokens     uint8    [nodes - V, W] last tokens from length 2 on, the lowest byte first
    counts.counts     uint8    [nodes]
    counts.children   uint8    [those with a length below the order]  how many n-grams go on after each
    counts.pruned     uint8    [those of them that have children]     `Trie.pruned`
    counts.large      int64    [...]          in place of each 255 in the three before, in this order
    counts.discounts  float64  [order, 3]

W is 1, 2 or 4, the fewest bytes that hold all ids of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.config import MOST_ORDER
from rnngen.counts.trie import LEAST_DISCOUNT, Trie
from rnngen.errors import CheckpointError

Arrays = Mapping[str, npt.NDArray[Any]]
Whole = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

DTYPES = {
    "counts.sizes": "int64", "counts.tokens": "uint8", "counts.counts": "uint8", "counts.children": "uint8",
    "counts.pruned": "uint8", "counts.large": "int64", "counts.discounts": "float64",
}  # fmt: skip
_SMALL = ("counts.counts", "counts.children", "counts.pruned")  # numbers of one byte, those from _LARGE on elsewhere
_LARGE = 255
_MOST = 1 << 31


def to_arrays(trie: Trie) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a trie, by their names in a checkpoint."""
    children = np.diff(trie.first.astype(np.int64))[: trie.starts[-2]]
    small: tuple[npt.NDArray[Any], ...] = (trie.counts, children, trie.pruned[: trie.starts[-2]][children > 0])
    width = token_bytes(trie.vocab_size)
    tokens = trie.tokens[trie.vocab_size :].astype("<u4").view(np.uint8).reshape(-1, 4)[:, :width]
    return {
        "counts.sizes": np.diff(trie.starts).astype(np.int64),
        "counts.tokens": np.ascontiguousarray(tokens),
        **{name: np.minimum(part, _LARGE).astype(np.uint8) for name, part in zip(_SMALL, small, strict=True)},
        "counts.large": np.concatenate([part[part >= _LARGE] for part in small]).astype(np.int64),
        "counts.discounts": trie.discounts,
    }


def from_arrays(arrays: Arrays, vocab_size: int) -> Trie:
    """The trie of such arrays, which have the types of DTYPES. Everything in them is checked.

    Raises:
        CheckpointError: an array is missing, or they are those of no trie with this vocabulary.
    """
    for name in DTYPES:
        _check(name in arrays, f"it lacks {name}")
    sizes: Whole = arrays["counts.sizes"]
    _check(sizes.ndim == 1 and 1 <= len(sizes) <= MOST_ORDER, "counts.sizes has another form")
    _check(bool(((sizes > 0) & (sizes < _MOST)).all()) and sizes[0] == vocab_size, "counts.sizes has another form")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    _check(starts[-1] < _MOST, "counts.sizes is too large")
    counts, children, pruned = _numbers(arrays, starts)
    # After those of the longest n-grams, which have none, the last one ends.
    first = np.full(starts[-1] + 1, starts[-1])
    first[: starts[-2]] = vocab_size + np.cumsum(children) - children
    fits = vocab_size + children.sum() == starts[-1] and (first[starts[:-1]] == starts[1:]).all()
    _check(bool(fits), "counts.children does not fit counts.sizes")
    _check(bool(counts[vocab_size:].all()), "counts.counts has a 0")
    return Trie(
        starts=starts,
        tokens=np.concatenate([np.arange(vocab_size, dtype=np.uint32), _tokens(arrays, first, vocab_size)]),
        counts=counts.astype(np.uint32),
        first=first.astype(np.uint32),
        pruned=pruned.astype(np.uint32),
        discounts=_discounts(arrays, len(sizes)),
    )


def up_to_order(arrays: Arrays, vocab_size: int, order: int) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the same counts without n-grams that are longer."""
    return to_arrays(from_arrays(arrays, vocab_size).up_to(order))


def n_ngrams(arrays: Arrays) -> int:
    """How many n-grams there are in the arrays of a checkpoint; 0 for a model without counts."""
    return int(arrays["counts.sizes"].sum()) if "counts.sizes" in arrays else 0


def token_bytes(vocab_size: int) -> int:
    """How many bytes an id of the vocabulary takes."""
    return 1 if vocab_size <= 1 << 8 else 2 if vocab_size <= 1 << 16 else 4


def _numbers(arrays: Arrays, starts: Whole) -> tuple[Whole, Whole, Whole]:
    """Counts [nodes], numbers of children [starts[-2]], and sums of what was left out [nodes]."""
    large, taken = arrays["counts.large"], 0
    _check(large.ndim == 1 and bool(((large >= _LARGE) & (large < _MOST)).all()), "counts.large has another form")

    def numbers(name: str, length: int) -> Whole:
        nonlocal taken
        _check(arrays[name].shape == (length,), f"{name} does not fit the other counts")
        found = arrays[name].astype(np.int64)
        is_large = np.flatnonzero(arrays[name] == _LARGE)
        _check(taken + len(is_large) <= len(large), "counts.large is too short")
        found[is_large] = large[taken : taken + len(is_large)]
        taken += len(is_large)
        return found

    counts = numbers("counts.counts", starts[-1])
    children = numbers("counts.children", starts[-2])
    pruned = np.zeros(starts[-1], np.int64)
    has_children = np.flatnonzero(children)
    pruned[has_children] = numbers("counts.pruned", len(has_children))
    _check(taken == len(large), "counts.large is too long")
    return counts, children, pruned


def _tokens(arrays: Arrays, first: Whole, vocab_size: int) -> npt.NDArray[np.uint32]:
    found, width = arrays["counts.tokens"], token_bytes(vocab_size)
    _check(found.shape == (first[-1] - vocab_size, width), "counts.tokens does not fit the other counts")
    tokens = np.ascontiguousarray(found).view(f"<u{width}")[:, 0].astype(np.uint32)
    if len(tokens):
        _check(int(tokens.max()) < vocab_size, "counts.tokens has ids that are not in the vocabulary")
        rises = np.empty(len(tokens) + 1, bool)
        rises[1:-1] = tokens[1:] > tokens[:-1]
        rises[first - vocab_size] = True  # after another n-gram the tokens start again
        _check(bool(rises[1:-1].all()), "counts.tokens is not in order")
    return tokens


def _discounts(arrays: Arrays, order: int) -> npt.NDArray[np.float64]:
    found = arrays["counts.discounts"]
    _check(found.shape == (order, 3), "counts.discounts does not fit the other counts")
    _check(bool(((found >= LEAST_DISCOUNT) & (found <= [1, 2, 3])).all()), "counts.discounts is out of range")
    return found


def _check(is_right: bool, reason: str) -> None:
    if not is_right:
        raise CheckpointError(reason)
