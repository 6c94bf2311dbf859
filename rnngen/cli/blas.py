"""Settings that numpy's OpenBLAS reads in the environment when it is loaded. What the user has set stays."""

from __future__ import annotations

import os
import re
from pathlib import Path

_PROCESSORS = Path("/proc/cpuinfo")
_FIRST = 1 << 13  # bytes, which say all of the first processor; of many the file is long
_WANTED = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}


def set_defaults() -> None:
    """To be called before numpy is imported."""
    # Its threads wait for the next product by spinning, and on a busy machine they spin in the place of the one that is
    # waited for. Measured on two cores beside two busy processes, a GRU of 512 drawn by numpy: 130 tokens/s with the
    # default, 3,300 with this, and alone as many as before.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")
    # OpenBLAS 0.3.31 as numpy's wheels have it does not know AMD's newer processors, and multiplies there as on a
    # Haswell of 2013. Measured on Zen 5: a product of [64, 512] and [512, 1536] in 300 µs instead of 550.
    if _is_amd_with_avx512():
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")


def _is_amd_with_avx512() -> bool:
    try:
        with _PROCESSORS.open(encoding="utf-8", errors="replace") as file:
            said = file.read(_FIRST)
    except OSError:
        return False  # not Linux
    flags = re.search(r"^flags\s*:(.*)$", said, re.MULTILINE)
    return "AuthenticAMD" in said and flags is not None and _WANTED.issubset(flags[1].split())
