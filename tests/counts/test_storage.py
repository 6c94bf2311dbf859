"""Counts in a file: the same again; and nothing that is no trie is taken for one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnngen.counts.estimate import estimate
from rnngen.counts.storage import DTYPES, from_arrays, n_ngrams, to_arrays
from rnngen.counts.trie import Trie
from rnngen.errors import CheckpointError

V = 9
TEXT = np.concatenate([np.random.default_rng(0).geometric(0.3, 900) % V, np.tile([1, 2], 400)])


@pytest.fixture
def arrays():
    return to_arrays(estimate(TEXT, 0, V, 4))


@pytest.mark.parametrize(("vocab_size", "width"), [(200, 1), (256, 1), (257, 2), (70_000, 4)])
def test_counts_come_back_as_they_were(vocab_size, width):
    ids = np.random.default_rng(0).integers(vocab_size, size=600)
    saved = estimate(np.concatenate([ids, np.tile(ids[:3], 400)]), 0, vocab_size, 4, most_bytes=4000 + 8 * vocab_size)
    arrays = to_arrays(saved)
    assert {name: array.dtype.name for name, array in arrays.items()} == DTYPES
    assert arrays["counts.tokens"].shape[1] == width
    assert len(arrays["counts.large"]) > 0
    loaded = from_arrays(arrays, vocab_size)
    for name in Trie.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
    assert n_ngrams(arrays) == saved.starts[-1]


def changed(name, place, value):
    def change(arrays):
        arrays[name] = arrays[name].copy()
        arrays[name][place] = value

    return change


def replaced(name, make):
    def change(arrays):
        arrays[name] = make(arrays[name])

    return change


def without(name):
    return lambda arrays: arrays.pop(name)


BROKEN = {
    "another vocabulary": (changed("counts.sizes", 0, V + 1), "counts.sizes"),
    "a size of 0": (changed("counts.sizes", 1, 0), "counts.sizes"),
    "a size below 0": (changed("counts.sizes", 2, -4), "counts.sizes"),
    "a huge size": (changed("counts.sizes", 3, 1 << 62), "counts.sizes"),
    "no sizes": (replaced("counts.sizes", lambda array: array[:0]), "counts.sizes"),
    "sizes in two dimensions": (replaced("counts.sizes", lambda array: array[None]), "counts.sizes"),
    "too many sizes": (replaced("counts.sizes", lambda array: np.repeat(array, 9)), "counts.sizes"),
    "one size less": (replaced("counts.sizes", lambda array: array[:-1]), "does not fit"),
    "a child more": (changed("counts.children", 3, 200), "counts.children does not fit"),
    "a child more at the end": (changed("counts.children", -1, 200), "counts.children does not fit"),
    "fewer children": (replaced("counts.children", lambda array: array[:-1]), "counts.children does not fit"),
    "an id that is none": (changed("counts.tokens", 5, V), "ids that are not in the vocabulary"),
    "ids out of order": (changed("counts.tokens", 1, 0), "not in order"),
    "ids of two bytes": (replaced("counts.tokens", lambda array: np.repeat(array, 2, 1)), "counts.tokens"),
    "a count of 0": (changed("counts.counts", V + 2, 0), "has a 0"),
    "fewer counts": (replaced("counts.counts", lambda array: array[:-1]), "counts.counts does not fit"),
    "a large number too few": (replaced("counts.large", lambda array: array[:-1]), "too short"),
    "a large number too many": (replaced("counts.large", lambda array: np.append(array, 300)), "too long"),
    "a large number that is small": (changed("counts.large", 0, 7), "counts.large has another form"),
    "a huge number": (changed("counts.large", 0, 1 << 40), "counts.large has another form"),
    "fewer sums": (replaced("counts.pruned", lambda array: array[:-1]), "counts.pruned does not fit"),
    "a discount that is no number": (changed("counts.discounts", (1, 1), math.nan), "out of range"),
    "a discount of 0": (changed("counts.discounts", (1, 0), 0.0), "out of range"),
    "a discount above the count": (changed("counts.discounts", (0, 0), 1.5), "out of range"),
    "fewer discounts": (replaced("counts.discounts", lambda array: array[:-1]), "counts.discounts does not fit"),
    **{f"no {name}": (without(name), f"it lacks {name}") for name in DTYPES},
}


@pytest.mark.parametrize(("change", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_trie_is_refused_with_the_reason(arrays, change, reason):
    from_arrays(arrays, V)
    change(arrays)
    with pytest.raises(CheckpointError, match=reason) as error:
        from_arrays(arrays, V)
    assert "\n" not in str(error.value)
