"""The recurrence in numpy and in C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from cells import VECTORS

from rnngen.engine import compiled
from rnngen.engine.recurrence import NumpyRecurrence, Recurrence

Make = Callable[..., Recurrence]


@pytest.fixture
def library() -> Iterator[compiled.Library]:
    """The compiled code, whose settings may be changed."""
    if compiled.LIBRARY is None:
        pytest.skip(compiled.WHY_NOT)
    before = compiled.LIBRARY.lanes, compiled.LIBRARY.threads
    yield compiled.LIBRARY
    compiled.LIBRARY.use(*before)


@pytest.fixture(params=VECTORS.values(), ids=VECTORS.keys())
def compiled_recurrence(request: pytest.FixtureRequest, library: compiled.Library) -> Make:
    """A function: a layer, and perhaps a readout, to its recurrence in C with vectors of each size."""
    library.use(request.param, 3)
    if library.lanes != request.param:
        pytest.skip(f"this processor has no vectors of {request.param} floats")
    return partial(compiled.CompiledRecurrence, library)


@pytest.fixture(params=["numpy", "C"])
def recurrence_of(request: pytest.FixtureRequest) -> Make:
    """A function: a layer, and perhaps a readout, to its recurrence, in numpy and in C."""
    if request.param == "numpy":
        return NumpyRecurrence
    return partial(compiled.CompiledRecurrence, request.getfixturevalue("library"))
