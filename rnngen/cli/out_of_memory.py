"""Telling that memory ran out, whatever the library in which it did says, and before one ends the process for it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from rnngen.cores import n_threads

MESSAGE = "out of memory: try a shorter text, a smaller --batch-size or a smaller model"

# As the C library, the loader of libraries, C++ and torch say it, in exceptions of many kinds.
_SIGNS = (
    "failed to map segment",
    "annot allocate memory",
    "can't allocate memory",
    "bad_alloc",
    "not enough memory",
    "out of memory",
)
_LITTLE = 64 << 20  # bytes; libraries that want less say what they want
# OpenBLAS, libgomp and the loader end the process when they get no memory, so that it must be there when they begin.
# Address space as measured: numpy takes 90 MB, and 42 MB a thread with the first product; torch 500 MB more.
_SQUARE = 600  # rows of a matrix that OpenBLAS multiplies with all its threads
_NUMPY, _THREAD, _TORCH = 120 << 20, 48 << 20, 500 << 20  # bytes


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error comes of too little memory: by what it or its causes say, or as there is next to none left."""
    for cause in _causes(error):
        if isinstance(cause, MemoryError) or any(sign in str(cause) for sign in _SIGNS):
            return True
    return not _is_free(_LITTLE)


def has_room(*, torch: bool) -> bool:
    """Whether a limit of this process's memory (`ulimit -v`) leaves what numpy needs, and torch."""
    return not _is_limited() or _is_free(_NUMPY + _THREAD * n_threads() + torch * _TORCH)


def take_blas_memory() -> None:
    """Under a limit have OpenBLAS take what it will need while it is there: later it would end the process without."""
    if _is_limited():
        import numpy as np

        square = np.ones((_SQUARE, _SQUARE), np.float32)
        square @ square


def _is_limited() -> bool:
    try:
        import resource
    except ImportError:
        return False  # Windows
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _is_free(size: int) -> bool:
    try:
        mmap.mmap(-1, size).close()
    except (OSError, MemoryError):
        return False
    return True


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
