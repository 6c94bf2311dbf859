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

LONGEST_SYMBOL = 200  # characters of an unknown symbol that are kept, as it is only for messages


@dataclass(frozen=True)
class EncodingCounts:
    """Counts from encoding a text.

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


@dataclass(frozen=True, kw_only=True)
class IdsOnDisk:
    """The ids of a text.

    Attributes:
        ids: uint8, uint16 or uint32, shape (n_tokens,), mapped from a file.
        n_unknown, first_unknown, n_chars: as in `EncodingCounts`.
        reused: the ids were in the cache.
    """

    ids: npt.NDArray[Any]
    n_unknown: int = 0
    first_unknown: Unknown | None = None
    n_chars: int = 0
    reused: bool = False


def write_ids(text: Text, tokenizer: Tokenizer, on_unknown: OnUnknown = "unk") -> IdsOnDisk:
    """Encode a text chunk by chunk into an unnamed temporary file. Raises DataError when the disk is full."""
    try:
        # Unbuffered, so that closing the file writes nothing and cannot fail.
        with tempfile.TemporaryFile(buffering=0) as file:
            writer = IdsWriter(file, tokenizer, on_unknown)
            for chunk in text.chunks():
                writer.add(chunk)
            return map_ids(file, 0, dtype_for(tokenizer.vocab_size), writer.counts)
    except OSError as error:
        raise DataError(
            f"cannot keep the tokens in {tempfile.tempdir or 'a temporary file'}: {error.strerror}; "
            "set TMPDIR to a folder with more room"
        ) from None


def dtype_for(vocab_size: int) -> np.dtype[Any]:
    """The smallest unsigned type that can hold every id of a vocabulary."""
    return np.min_scalar_type(vocab_size - 1)


class IdsWriter:
    """Encodes a text chunk by chunk, and writes the ids to a file at its position.

    Args:
        file: unbuffered.
        see: is called with every piece of bytes that is written.

    Attributes:
        counts: of the text so far.
    """

    def __init__(
        self,
        file: BinaryIO,
        tokenizer: Tokenizer,
        on_unknown: OnUnknown,
        see: Callable[[memoryview], object] = lambda data: None,
    ) -> None:
        self._file, self._tokenizer, self._on_unknown, self._see = file, tokenizer, on_unknown, see
        self._dtype = dtype_for(tokenizer.vocab_size)
        self.counts = EncodingCounts()

    def add(self, chunk: str) -> None:
        """Write the ids of the next characters. Raises OSError if the disk is full, and TokenizerError."""
        before = self.counts
        encoded = encode_known(self._tokenizer, chunk, self._on_unknown, "the text", before.n_chars)
        self.counts = EncodingCounts(
            before.n_tokens + len(encoded.ids),
            before.n_chars + len(chunk),
            before.n_unknown + encoded.n_unknown,
            before.first_unknown or _cut(encoded.first_unknown),
        )
        data = encoded.ids.astype(self._dtype).view(np.uint8).data
        self._see(data)
        write_all(self._file, data)


def _cut(unknown: Unknown | None) -> Unknown | None:
    return unknown and replace(unknown, symbol=unknown.symbol[:LONGEST_SYMBOL])


def map_ids(
    file: BinaryIO, offset: int, dtype: np.dtype[Any], counts: EncodingCounts, reused: bool = False
) -> IdsOnDisk:
    """The ids of an open file from `offset` bytes on. The array stays valid after the file is closed or removed."""
    if counts.n_tokens:
        ids: npt.NDArray[Any] = np.memmap(file, dtype, "r", offset, (counts.n_tokens,))
    else:
        ids = np.zeros(0, dtype)
    return IdsOnDisk(
        ids=ids, n_unknown=counts.n_unknown, first_unknown=counts.first_unknown, n_chars=counts.n_chars, reused=reused
    )


def write_all(file: BinaryIO, data: memoryview) -> None:
    """Write all of the data to an unbuffered file, which may take less at a time. Raises OSError."""
    while data:
        data = data[file.write(data) :]


def release(ids: npt.NDArray[Any]) -> None:
    """Release the memory of a mapped array's pages. They are read again when they are used."""
    if isinstance(ids, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
        ids._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
