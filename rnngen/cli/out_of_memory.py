"""Recognize that memory ran out, in whichever library, and before a library ends the process because of it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from rnngen.cores import n_threads

MESSAGE = "out of memory: try a shorter text, a smaller --batch-size or a smaller model"

# The words of the C library, the loader of libraries, C++ and torch, in exceptions of many kinds.
_SIGNS = (
    "failed to map segment",
    "annot allocate memory",
    "can't allocate memory",
    "bad_alloc",
    "not enough memory",
    "out of memory",
)
_LITTLE = 64 << 20  # bytes; an error of a smaller allocation names itself
# OpenBLAS, libgomp and the loader end the process when they get no memory, so it must be free before they are loaded.
# Address space as measured: numpy takes 90 MB, and 42 MB a thread with the first product; torch takes 500 MB more.
_SQUARE = 600  # rows of a matrix that is large enough for OpenBLAS to use all its threads
_NUMPY, _THREAD, _TORCH = 120 << 20, 48 << 20, 500 << 20  # bytes


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error was caused by too little memory: it or a cause of it says so, or almost none is left."""
    for cause in _causes(error):
        if isinstance(cause, MemoryError) or any(sign in str(cause) for sign in _SIGNS):
            return True
    return not _is_free(_LITTLE)


def has_room(*, torch: bool) -> bool:
    """Whether a limit on this process's memory (`ulimit -v`) leaves enough for numpy, and for torch if it is needed."""
    return not _is_limited() or _is_free(_NUMPY + _THREAD * n_threads() + torch * _TORCH)


def take_blas_memory() -> None:
    """Under a memory limit, let OpenBLAS allocate its buffers now: later it would end the process if it could not."""
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
