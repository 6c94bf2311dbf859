"""Token ids on disk, memory-mapped: a text of any size as one array."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from rnngen.config import OnUnknown
from rnngen.errors import DataError
from rnngen.text.corpus import Text
from rnngen.text.symbols import Unknown
from rnngen.text.tokenizer import Tokenizer, encode_known


@dataclass(frozen=True)
class Tokens:
    """A text's ids.

    Attributes:
        ids: uint16 or uint32, shape (n_tokens,), mapped from a file that is gone when the array is.
        n_unknown: unknown symbols of the text.
        first_unknown: the first of them, with its place in the text.
    """

    ids: npt.NDArray[Any]
    n_unknown: int = 0
    first_unknown: Unknown | None = None


def write_tokens(text: Text, tokenizer: Tokenizer, on_unknown: OnUnknown = "unk") -> Tokens:
    """Encode a text chunk by chunk into an unnamed temporary file. Raises DataError when the disk is full."""
    dtype = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32
    n_chars = n_unknown = 0
    first: Unknown | None = None
    try:
        # Unbuffered: nothing is left to be written, and to fail, when the file is closed.
        with tempfile.TemporaryFile(buffering=0) as file:
            for chunk in text.chunks():
                encoded = encode_known(tokenizer, chunk, on_unknown, "the text", n_chars)
                n_unknown += encoded.n_unknown
                first = first or encoded.first_unknown
                n_chars += len(chunk)
                _write_all(file, encoded.ids.astype(dtype))
            return Tokens(np.memmap(file, dtype, mode="r") if file.tell() else np.zeros(0, dtype), n_unknown, first)
    except OSError as error:
        raise DataError(
            f"cannot keep the tokens in {tempfile.tempdir or 'a temporary file'}: {error.strerror}; "
            "set TMPDIR to a folder with more room"
        ) from None


def _write_all(file: BinaryIO, ids: npt.NDArray[Any]) -> None:
    view = ids.view(np.uint8).data
    while view:
        view = view[file.write(view) :]
