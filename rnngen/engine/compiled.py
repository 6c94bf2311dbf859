"""The recurrence of a layer in C (`c/`), where a compiler was there at installation; as `recurrence.py` in numpy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from rnngen.engine.cells import Array, Layer
from rnngen.engine.recurrence import Rows
from rnngen.processors import n_threads

_VERSION = 2  # of the C code
_LANES = 16  # floats in a vector, at most
_FORMULAS = ("tanh", "relu", "gru", "lstm")  # in the order of `enum cell`
_NO_ROW = "an id is not in the vocabulary"


class _Struct(ctypes.Structure):
    """`recurrence` of c/recurrence.c."""

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
        """Raises OSError: it cannot be loaded, or was compiled from other sources."""
        self._functions = ctypes.CDLL(path)
        if self._functions.recurrence_version() != _VERSION:
            raise OSError(f"{path} was compiled from other sources: install rnngen again")
        self._functions.recurrence_use.argtypes = [ctypes.c_long, ctypes.c_long]
        self._functions.recurrence_columns.argtypes = [ctypes.c_long]
        self._functions.recurrence_pack.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_long, ctypes.c_void_p]
        self.run = self._functions.recurrence_run
        self.run.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
        self.begin, self.step = self._functions.recurrence_begin, self._functions.recurrence_step
        self.use(_LANES, n_threads())

    def use(self, lanes: int, threads: int) -> None:
        """Take vectors of so many floats, or fewer, as the processor has them, and threads. What was packed is void."""
        self.lanes = self._functions.recurrence_use(lanes, threads)
        self.threads = threads

    def columns(self, number: int) -> int:
        """The columns of a product by weights of so many columns, with what fills it up to whole vectors."""
        return int(self._functions.recurrence_columns(number))

    def pack(self, w: Array) -> Array:
        """[N, H], in this order in memory -> the same numbers in the order in which a product reads them."""
        packed = np.empty(self.columns(len(w)) * w.shape[1], np.float32)
        self._functions.recurrence_pack(w.ctypes.data, *w.shape, packed.ctypes.data)
        return packed


def _load() -> tuple[Library | None, str]:
    found = find_spec("rnngen.engine._recurrence")
    if found is None or found.origin is None:
        return None, "there was no C compiler at installation"
    try:
        return Library(found.origin), ""
    except OSError as error:
        return None, str(error)


LIBRARY, WHY_NOT = _load()


def description() -> dict[str, str | int]:
    """What the recurrence of a model runs on here, by name."""
    if LIBRARY is None:
        return {"recurrence": "numpy", "because": WHY_NOT}
    return {"recurrence": "compiled", "floats_a_vector": LIBRARY.lanes, "threads": LIBRARY.threads}


class CompiledRecurrence:
    """The implementation of Recurrence in C.

    Args:
        readout: as in NumpyRecurrence.
    """

    def __init__(self, library: Library, layer: Layer, readout: Array | None = None) -> None:
        self._library = library
        self._cell, self._b_n = _FORMULAS.index(layer.formula), layer.b_n
        self._gates = layer.w.shape[1]
        # Else the copy of both would be large.
        self._joint = readout is not None and readout.shape[1] <= self._gates
        self._readout = readout
        together = [layer.w.T, *([readout.T] if readout is not None and self._joint else [])]
        self._n_columns = sum(map(len, together))
        self._packed = library.pack(np.concatenate(together))

    def run(self, inputs: Array, rows: Rows, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        state = tuple(part.copy() for part in state)
        rows = np.ascontiguousarray(rows, np.int64)
        outputs = np.empty((len(rows), *state[0].shape), np.float32)
        struct, _ = self._bind(inputs, state, self._gates)
        if self._library.run(ctypes.byref(struct), len(rows), rows.ctypes.data, outputs.ctypes.data):
            raise IndexError(_NO_ROW)
        return outputs, state

    def stepper(self, inputs: Array, state: tuple[Array, ...]) -> tuple[Callable[[Rows], None], Array]:
        taken = np.zeros(len(state[0]), np.int64)
        struct, product = self._bind(inputs, state, self._n_columns)
        struct.ids = taken.ctypes.data
        this, advance = ctypes.byref(struct), self._library.step
        self._library.begin(this)
        if self._joint or self._readout is None:

            def step(rows: Rows) -> None:
                taken[:] = rows
                if advance(this):
                    raise IndexError(_NO_ROW)

            return step, product[:, self._gates : self._n_columns]
        h, readout = state[0], self._readout
        logits = np.dot(h, readout)

        def step_and_read(rows: Rows) -> None:
            taken[:] = rows
            if advance(this):
                raise IndexError(_NO_ROW)
            np.dot(h, readout, logits)

        return step_and_read, logits

    def _bind(self, inputs: Array, state: tuple[Array, ...], n_columns: int) -> tuple[_Struct, Array]:
        """What the C code is told, and the array of the product."""
        B, H = state[0].shape
        product = np.empty((B, self._library.columns(n_columns)), np.float32)
        struct = _Struct(self._cell, B, H, product.shape[1], len(inputs), 0, *(part.ctypes.data for part in state))
        struct.product, struct.packed, struct.inputs = product.ctypes.data, self._packed.ctypes.data, inputs.ctypes.data
        struct.b_n = None if self._b_n is None else self._b_n.ctypes.data
        struct.held = (inputs, state, product, self)  # as long as what points to them
        return struct, product
