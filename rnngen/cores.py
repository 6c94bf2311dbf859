"""How many cores and threads there are to compute with."""

from __future__ import annotations

import os


def available_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def n_threads() -> int:
    """Threads of all that is not torch: one a core, or fewer if $OPENBLAS_NUM_THREADS or $OMP_NUM_THREADS says so."""
    cores = available_cores()
    wanted = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    return min(int(wanted) or cores, cores) if wanted.isdecimal() else cores
