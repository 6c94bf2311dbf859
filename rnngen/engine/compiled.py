"""The recurrence of a layer in C (`c/`), where a compiler was there at installation; as `recurrence.py` in numpy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from rnngen.cores import n_threads
from rnngen.engine.cells import Array, Layer
from rnngen.engine.recurrence import Rows
from rnngen.native import load_library

_VERSION = 3  # of the C code
_LANES = 16  # floats in a vector, at most
_FORMULAS = ("tanh", "relu", "gru", "lstm")  # in the order of `enum cell`
_NO_ROW = "an id is not in the vocabulary"


class _Struct(ctypes.Structure):
    """`recurrence` of c/recurrence.c, where the shapes are."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("cell", "B", "H", "columns", "n_inputs", "turns")),
        *((name, ctypes.c_void_p) for name in ("h", "c", "product", "packed", "inputs", "ids", "b_n")),
    )


class Library:
    """The compiled code.

    Attributes:
        lanes: floats in the vectors that it uses on this processor.
        threads: how many it uses.
    """

    def __init__(self, path: str) -> None:
        """Raises OSError or AttributeError: it cannot be loaded, or was not compiled from these sources."""
        self._functions = ctypes.CDLL(path)
        if self._functions.recurrence_version() != _VERSION:
            raise OSError(f"{path} was compiled from other sources: install rnngen again")
        self._functions.recurrence_columns.argtypes = [ctypes.c_long]
        self._functions.recurrence_pack.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_long, ctypes.c_void_p]
        self.run = self._functions.recurrence_run
        self.run.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
        self.multiply, self.step = self._functions.recurrence_multiply, self._functions.recurrence_step
        self.use(_LANES, n_threads())

    def use(self, lanes: int, threads: int) -> None:
        """Use at most this many threads, and floats in a vector. Weights that were packed before become invalid."""
        self.lanes: int = self._functions.recurrence_use_lanes(lanes)
        self.threads: int = self._functions.recurrence_use_threads(threads)

    def columns(self, number: int) -> int:
        """The columns of a product by weights of so many columns, filled up to whole vectors."""
        return int(self._functions.recurrence_columns(number))

    def pack(self, w: Array) -> Array:
        """[N, H] -> [columns(N) * H], the same numbers in the order in which a product reads them."""
        w = np.ascontiguousarray(w, np.float32)
        packed = np.empty(self.columns(len(w)) * w.shape[1], np.float32)
        self._functions.recurrence_pack(w.ctypes.data, *w.shape, packed.ctypes.data)
        return packed


LIBRARY, WHY_NOT = load_library("rnngen.engine._recurrence", Library)


def description() -> dict[str, str | int]:
    """The implementation that runs the recurrence of a model here, as names and values."""
    if LIBRARY is None:
        return {"recurrence": "numpy", "because": WHY_NOT}
    return {"recurrence": "compiled", "floats_a_vector": LIBRARY.lanes, "threads": LIBRARY.threads}


class CompiledRecurrence:
    """The implementation of Recurrence in C.

    Args:
        readout: [H, V], as in NumpyRecurrence.
    """

    def __init__(self, library: Library, layer: Layer, readout: Array | None = None) -> None:
        self._library = library
        self._cell, self._n_states = _FORMULAS.index(layer.formula), layer.n_states
        self._b_n = None if layer.b_n is None else np.ascontiguousarray(layer.b_n, np.float32)
        self._H, self._gates = layer.w.shape
        together, self._apart = [layer.w.T], readout
        if readout is not None and readout.shape[1] <= self._gates:  # otherwise the copy of both would be large
            together, self._apart = [layer.w.T, readout.T], None
        self._n_columns = sum(map(len, together))
        self._packed = library.pack(np.concatenate(together))

    def run(self, inputs: Array, rows: Rows, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        state = tuple(part.copy() for part in state)
        T, B = rows.shape
        rows = rows.astype(np.int64, order="C", casting="same_kind")
        outputs = np.empty((T, B, self._H), np.float32)
        struct, _ = self._bind(inputs, state, B, self._gates)
        if self._library.run(ctypes.byref(struct), T, rows.ctypes.data, outputs.ctypes.data):
            raise IndexError(_NO_ROW)
        return outputs, state

    def stepper(self, inputs: Array, state: tuple[Array, ...]) -> tuple[Callable[[Rows], None], Array]:
        h, readout = state[0], self._apart
        taken = np.zeros(len(h), np.int64)
        struct, product = self._bind(inputs, state, len(h), self._n_columns)
        struct.ids = taken.ctypes.data
        this, advance = ctypes.byref(struct), self._library.step
        self._library.multiply(this)
        logits = product[:, self._gates : self._n_columns] if readout is None else np.dot(h, readout)

        def step(rows: Rows) -> None:
            taken[:] = rows
            if advance(this):
                raise IndexError(_NO_ROW)
            if readout is not None:
                np.dot(h, readout, logits)

        return step, logits

    def _bind(self, inputs: Array, state: tuple[Array, ...], B: int, n_columns: int) -> tuple[_Struct, Array]:
        """The struct for the C code, and the array that receives the product, [B, columns(n_columns)]."""
        product = np.empty((B, self._library.columns(n_columns)), np.float32)
        struct = _Struct(
            cell=self._cell, B=B, H=self._H, columns=product.shape[1], n_inputs=len(inputs),
            product=product.ctypes.data, packed=self._packed.ctypes.data,
            inputs=_address(inputs, len(inputs), self._gates),
            b_n=None if self._b_n is None else self._b_n.ctypes.data,
        )  # fmt: skip
        for name, part in zip(("h", "c")[: self._n_states], state, strict=True):
            setattr(struct, name, _address(part, B, self._H))
        struct.held = (inputs, state, product, self)  # kept alive as long as the pointers to them
        return struct, product


def _address(array: Array, *shape: int) -> int:
    """The address of a contiguous float32 array. Raises ValueError for any other type, shape or order."""
    if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise ValueError(f"an array {shape} of float32 in order is needed, not {array.shape} of {array.dtype}")
    return array.ctypes.data
