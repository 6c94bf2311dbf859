"""Rounds of a given time, so that a slow machine does not make the benchmark longer."""

from __future__ import annotations

import importlib
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

Round = Callable[[], float]


def repeat(seconds: float, step: Callable[[], object]) -> float:
    """Call a function, at least once, until so much time is over; seconds a call."""
    n = 0
    start = time.perf_counter()
    while True:
        step()
        n += 1
        spent = time.perf_counter() - start
        if spent >= seconds:
            return spent / n


def with_peak(function: str, **arguments: Any) -> Callable[[], dict[str, float]]:
    """A contender, "module:name", whose answers say how much memory its process has taken at most until then."""
    module, _, name = function.partition(":")
    measure: Round = getattr(importlib.import_module(module), name)(**arguments)
    unit = 1 if sys.platform == "darwin" else 1024

    def answer() -> dict[str, float]:
        value = measure()
        return {"value": value, "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6}

    return answer
