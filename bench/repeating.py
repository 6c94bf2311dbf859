"""Rounds of a given time, so that a slow machine does not make the benchmark longer."""

from __future__ import annotations

import time
from collections.abc import Callable

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
