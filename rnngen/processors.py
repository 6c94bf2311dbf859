"""How many threads compute, where torch does not."""

from __future__ import annotations

import os


def n_threads() -> int:
    """The cores that this process may use, or fewer if $OPENBLAS_NUM_THREADS or $OMP_NUM_THREADS says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    return min(int(wanted) or cores, cores) if wanted.isdecimal() else cores
