"""Token ids on disk, memory-mapped: a text of any size as one array."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from rnngen.config import OnUnknown
from rnngen.errors import DataError
from rnngen.tokenizers.base import Text, Tokenizer, encode_known
from rnngen.tokenizers.symbols import Unknown

LONGEST_SYMBOL = 200  # characters of an unknown symbol that are kept; it is only shown


@dataclass(frozen=True)
class Counts:
    """What encoding a text tells.

    Attributes:
        n_tokens: ids that were written.
        n_chars: characters of the text.
        n_unknown: unknown symbols of the text, whether kept or left out.
        first_unknown: the first of them, with its place in the text; cut at `LONGEST_SYMBOL`.
    """

    n_tokens: int = 0
    n_chars: int = 0
    n_unknown: int = 0
    first_unknown: Unknown | None = None


@dataclass(frozen=True)
class Tokens:
    """A text's ids.

    Attributes:
        ids: uint8, uint16 or uint32, shape (n_tokens,), mapped from a file.
        n_unknown, first_unknown, n_chars: as `Counts` has them.
        reused: the ids were in the cache.
    """

    ids: npt.NDArray[Any]
    n_unknown: int = 0
    first_unknown: Unknown | None = None
    n_chars: int = 0
    reused: bool = False


def write_tokens(text: Text, tokenizer: Tokenizer, on_unknown: OnUnknown = "unk") -> Tokens:
    """Encode a text chunk by chunk into an unnamed temporary file. Raises DataError when the disk is full."""
    try:
        # Unbuffered: nothing is left to be written, and to fail, when the file is closed.
        with tempfile.TemporaryFile(buffering=0) as file:
            counts = encode_into(file, text, tokenizer, on_unknown)
            return map_tokens(file, 0, dtype_for(tokenizer.vocab_size), counts)
    except OSError as error:
        raise DataError(
            f"cannot keep the tokens in {tempfile.tempdir or 'a temporary file'}: {error.strerror}; "
            "set TMPDIR to a folder with more room"
        ) from None


def dtype_for(vocab_size: int) -> np.dtype[Any]:
    """The smallest unsigned type that has every id of a vocabulary."""
    return np.min_scalar_type(vocab_size - 1)


def encode_into(
    file: BinaryIO,
    text: Text,
    tokenizer: Tokenizer,
    on_unknown: OnUnknown,
    see: Callable[[memoryview], object] = lambda data: None,
) -> Counts:
    """Encode a text chunk by chunk, and write the ids where the file stands.

    Args:
        file: unbuffered.
        see: is shown all that is written, in pieces.

    Raises:
        OSError: the disk is full.
    """
    dtype = dtype_for(tokenizer.vocab_size)
    n_tokens = n_chars = n_unknown = 0
    first: Unknown | None = None
    for chunk in text.chunks():
        encoded = encode_known(tokenizer, chunk, on_unknown, "the text", n_chars)
        n_unknown += encoded.n_unknown
        first = first or _cut(encoded.first_unknown)
        n_chars += len(chunk)
        n_tokens += len(encoded.ids)
        data = encoded.ids.astype(dtype).view(np.uint8).data
        see(data)
        write_all(file, data)
    return Counts(n_tokens, n_chars, n_unknown, first)


def _cut(found: Unknown | None) -> Unknown | None:
    return found and replace(found, symbol=found.symbol[:LONGEST_SYMBOL])


def map_tokens(file: BinaryIO, offset: int, dtype: np.dtype[Any], counts: Counts, reused: bool = False) -> Tokens:
    """The ids of an open file from `offset` bytes on; the array outlives the file's name and the open file."""
    if counts.n_tokens:
        ids: npt.NDArray[Any] = np.memmap(file, dtype, "r", offset, (counts.n_tokens,))
    else:
        ids = np.zeros(0, dtype)
    return Tokens(ids, counts.n_unknown, counts.first_unknown, counts.n_chars, reused)


def write_all(file: BinaryIO, data: memoryview) -> None:
    """Write to an unbuffered file, which may take less at a time. Raises OSError."""
    while data:
        data = data[file.write(data) :]


def release(ids: npt.NDArray[Any]) -> None:
    """Give back the memory of a mapped array's pages; they are read again when they are asked for."""
    if isinstance(ids, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
        ids._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
