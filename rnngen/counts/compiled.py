"""The counts in C (`c/counts.c`), where a compiler was there at installation; as `corrections.py` in numpy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.counts.trie import Trie
from rnngen.native import load_library

_VERSION = 2  # of the C code
_MOST_ORDER = 16

Array = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]


class _Struct(ctypes.Structure):
    """`counts` of c/counts.c, where the shapes are."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("V", "order")),
        *((name, ctypes.c_void_p) for name in (
            "tokens", "counts", "first", "pruned", "discounts", "unigram", "log_unigram", "unigram_less", "share",
            "touched", "logs", "is_touched",
        )),
    )  # fmt: skip


class Library:
    """The compiled code. Raises OSError or AttributeError: it cannot be loaded, or is of other sources."""

    def __init__(self, path: str) -> None:
        # It keeps Python's lock: all calls share one room for the tokens of a place, and most take a microsecond.
        functions = ctypes.PyDLL(path)
        if functions.counts_version() != _VERSION:
            raise OSError(f"{path} was compiled from other sources: install rnngen again")
        self.walk, self.add = functions.counts_walk, functions.counts_add
        pointer, whole = ctypes.c_void_p, ctypes.c_int64
        self.walk.argtypes = [pointer, whole, whole, pointer, pointer, pointer]
        self.add.argtypes = [pointer, whole, pointer, whole, pointer, ctypes.c_float, pointer]
        self.walk.restype = self.add.restype = None


LIBRARY, WHY_NOT = load_library("rnngen.counts._counts", Library)


class CompiledCounts:
    """The implementation in C."""

    def __init__(self, library: Library, trie: Trie) -> None:
        self._library, self._V = library, trie.vocab_size
        unigram = trie.unigram_probs()
        arrays: dict[str, npt.NDArray[Any]] = {
            "tokens": trie.tokens, "counts": trie.counts, "first": trie.first, "pruned": trie.pruned,
            "discounts": np.pad(trie.discounts, ((0, 0), (1, 0))).astype(np.float32),
            "unigram": unigram.astype(np.float32), "log_unigram": np.log(unigram).astype(np.float32),
            "unigram_less": trie.unigram_probs_less().astype(np.float32), "share": unigram.astype(np.float32),
            "touched": np.zeros(self._V, np.int64), "logs": np.zeros(self._V, np.float32),
            "is_touched": np.zeros(self._V, np.uint8),
        }  # fmt: skip
        self._arrays = arrays  # kept alive as long as the pointers to them
        self._lengths = trie.order - 1
        self._struct = _Struct(
            V=self._V, order=trie.order, **{name: array.ctypes.data for name, array in arrays.items()}
        )

    def nodes(self, known: Whole, history: int) -> Whole:
        T, B = known.shape
        at, found = np.full((B, _MOST_ORDER), -1, np.int64), np.empty((T, B, self._lengths), np.int64)
        self._library.walk(ctypes.byref(self._struct), T, B, known.ctypes.data, at.ctypes.data, found.ctypes.data)
        return found[history:]

    def add(self, logits: Array, nodes: Whole, weight: float, targets: Whole | None) -> None:
        N = len(nodes)
        if logits.shape != (N, self._V) or logits.dtype != np.float32 or not logits.flags.c_contiguous:
            raise ValueError(f"logits [{N}, {self._V}] of float32 in order are needed, not {logits.shape}")
        self._library.add(
            ctypes.byref(self._struct), N, nodes.ctypes.data, self._lengths,
            None if targets is None else targets.ctypes.data, weight, logits.ctypes.data,
        )  # fmt: skip

    def stepper(self, history: Whole) -> Callable[[npt.NDArray[np.integer], Array, float], None]:
        T, B = history.shape
        nodes, taken = np.full((B, _MOST_ORDER), -1, np.int64), np.zeros(B, np.int64)
        this, walk, add = ctypes.byref(self._struct), self._library.walk, self._library.add
        ids_at, nodes_at, shape = taken.ctypes.data, nodes.ctypes.data, (B, self._V)
        walk(this, T, B, history.ctypes.data, nodes_at, None)

        def step(ids: npt.NDArray[np.integer], logits: Array, weight: float) -> None:
            if logits.shape != shape:
                raise ValueError(f"logits {shape} are needed, not {logits.shape}")
            taken[:] = ids
            walk(this, 1, B, ids_at, nodes_at, None)
            add(this, B, nodes_at, _MOST_ORDER, None, weight, logits.ctypes.data)

        step.held = nodes, self  # type: ignore[attr-defined]  # kept alive as long as the pointers to them
        return step
