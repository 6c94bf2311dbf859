"""One safetensors file of named arrays and JSON records: written whole or not at all, checked before it is used.

Nothing is pickled or evaluated, and nothing is allocated on the file's word alone: what the header asks for is
compared with what the file has. Must not know what the arrays and the records mean.

The library `safetensors` reads these files, which a test shows; it is not used here. `safe_open` maps the file into
memory, so that the process dies when another program cuts the file short. `safetensors.numpy.load(bytes)` does not, but
it needs the file and all its arrays in memory at once, and returns no metadata. To write, the library copies all arrays
twice.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, FileIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.errors import CheckpointError, OutputError, brief
from rnngen.printable import visible
from rnngen.storage import untrusted_json
from rnngen.storage.atomic import write_atomically
from rnngen.storage.file_kinds import TENSOR_KINDS, what_it_is

SUFFIX = ".safetensors"
MOST_HEADER_BYTES = 8_000_000  # the records and the 30,000 arrays of 1,024 layers; 400 MB of values at most
MOST_FILE_BYTES = 1 << 48
MOST_TENSORS = 100_000
MOST_DIMENSIONS = 8
SHOWN_CHARS = 80  # of a name or a version in a message

_LENGTH_BYTES = 8  # of the number at the start of the file: how long the header is
_METADATA = "__metadata__"
_DTYPES = {"float32": "F32", "float16": "F16", "float64": "F64", "uint8": "U8", "int64": "I64", "bool": "BOOL"}
_ITEM_BYTES = {name: np.dtype(dtype).itemsize for dtype, name in _DTYPES.items()}
_MOST_NUMBERS = 1 << 59
_CHECKED_AT_A_TIME = 1 << 20  # numbers


def write(
    path: Path,
    kind: str,
    version: int,
    records: dict[str, Any],
    arrays: dict[str, npt.NDArray[Any]],
    *,
    replace: bool = True,
) -> None:
    """Write the file whole or not at all.

    Args:
        kind: what `open_tensor_file` will ask for, with the version.
        records: ready for JSON, each at most `MOST_CHARS` of `untrusted_json` long.
        arrays: of a type that `TensorFile.array` reads; any order in memory.
        replace: False never writes over another file.

    Raises:
        OutputError: what was at `path` before is then still there.
    """
    texts = {name: json.dumps(record) for name, record in records.items()}
    for name, text in texts.items():
        if len(text) > untrusted_json.MOST_CHARS:
            raise OutputError(
                f"cannot write {path}: its {name} record has {len(text):,} characters, and "
                f"{untrusted_json.MOST_CHARS:,} are the most that can be read again"
            )
    # In this order every array starts at a multiple of the size of its numbers.
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header = _header({"format": kind, "format_version": str(version), **texts}, {name: arrays[name] for name in names})
    if len(header) > MOST_HEADER_BYTES:
        raise OutputError(
            f"cannot write {path}: its header takes {len(header):,} bytes, and {MOST_HEADER_BYTES:,} is the most "
            "that can be read again"
        )
    # One array at a time: the library makes two copies of all.
    pieces = (np.asarray(arrays[name], order="C").reshape(-1).view(np.uint8).data for name in names)
    start = len(header).to_bytes(_LENGTH_BYTES, "little") + header
    write_atomically(path, chain([start], pieces), replace=replace)


def _header(metadata: dict[str, str], arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    header: dict[str, Any] = {_METADATA: metadata}
    place = 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": _DTYPES[array.dtype.name], "shape": array.shape, "data_offsets": [place, place + array.nbytes],
        }  # fmt: skip
        place += array.nbytes
    content = json.dumps(header, separators=(",", ":")).encode()
    return content + b" " * (-len(content) % _LENGTH_BYTES)


@contextmanager
def open_tensor_file(
    path: Path, kind: str, version: int, what: str, remedy: str = "train one with rnngen train TEXT"
) -> Iterator[TensorFile]:
    """Open what `write` wrote, its header checked.

    Args:
        kind: as in `write`.
        what: the file is called in errors.
        remedy: where there is none, in errors.

    Raises:
        CheckpointError: with the reason.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise CheckpointError(f"{path} is a folder: name a {SUFFIX} file in it")
        if not stat.S_ISREG(found.st_mode):
            raise CheckpointError(f"{path} is a pipe or a device: name a {SUFFIX} file")
        # Unbuffered: the arrays go from the file to where they stay.
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise CheckpointError(f"there is no {what} {path}: {remedy}") from None
    # The second for a name with a NUL in it.
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read the {what} {path}: {getattr(error, 'strerror', None) or error}") from None
    with file:
        try:
            tensor_file = TensorFile(path, file)
            tensor_file.check_kind(kind, version, what, remedy)
        except CheckpointError as error:
            another = what_it_is(path, TENSOR_KINDS[kind]) if kind in TENSOR_KINDS else ""
            raise CheckpointError(another or str(error)) from None
        yield tensor_file


@dataclass(frozen=True)
class _Entry:
    """Where an array stands in the file, its type and its shape."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class TensorFile:
    """An open file whose header fits it: the arrays fill it without holes, and each fits its shape.

    Attributes:
        names: of its arrays.
    """

    def __init__(self, path: Path, file: FileIO) -> None:
        self._path = path
        self._file = file
        try:
            n_bytes = file.seek(0, SEEK_END)
            header, self._start = _read_header(file, n_bytes)
            self._records = _checked_metadata(header.pop(_METADATA, {}))
            if len(header) > MOST_TENSORS:
                raise _FormError(f"{len(header):,} arrays")
            self._entries = {name: _entry(name, value) for name, value in header.items()}
            _check_places(self._entries, n_bytes - self._start)
        except (_FormError, OSError) as error:
            raise self._not_whole(error) from None
        self.names = frozenset(self._entries)

    def check_kind(self, kind: str, version: int, what: str, remedy: str) -> None:
        """Refuse the files of other programs and versions."""
        if self._records.get("format") != kind:
            raise CheckpointError(f"{self._path} is not an rnngen {what}: {remedy}")
        found = self._records.get("format_version")
        if found != str(version):
            raise CheckpointError(
                f"{self._path} has {what} format {found and visible(found[:SHOWN_CHARS])}; "
                f"this rnngen reads format {version}: use the rnngen that made it, or train again"
            )

    def broken(self, reason: str) -> CheckpointError:
        """The error to raise where the file's content is not what it must be."""
        return CheckpointError(f"{self._path} is broken: {reason}")

    def record(self, name: str) -> Any:
        """The value of a JSON record: of any form, at most 1 MB long and 64 deep, whole numbers below 2^128.

        Raises:
            CheckpointError: it is not there, or is no such JSON.
        """
        if name not in self._records:
            raise self.broken(f"it has no {name} record")
        text = self._records[name]
        if len(text) > untrusted_json.MOST_CHARS:
            raise CheckpointError(
                f"{self._path} has a {name} record of {len(text):,} characters, and this rnngen reads "
                f"{untrusted_json.MOST_CHARS:,} at most: use the rnngen that made it, or train again"
            )
        try:
            return untrusted_json.parse(text)
        except ValueError as error:
            raise self.broken(f"its {name} record is no usable JSON ({error})") from None

    def array(self, name: str, shape: tuple[int, ...] | None, dtype: str) -> npt.NDArray[Any]:
        """Read an array; its own memory is all that it takes.

        Args:
            shape: that it must have; None for any.
            dtype: that it must have: float16, float32 and float64, whose numbers must be finite, uint8, int64, bool.

        Raises:
            CheckpointError: it is not there, or is another.
        """
        if name not in self._entries:
            raise self.broken(f"it lacks {name}")
        entry = self._entries[name]
        if shape is not None and entry.shape != shape:
            raise self.broken(f"{name} has the shape {brief(entry.shape)}, its model needs {shape}")
        if entry.dtype != _DTYPES[dtype]:
            raise self.broken(f"{name} has the type {visible(entry.dtype[:SHOWN_CHARS])}, not {dtype}")
        array = np.empty(entry.shape, dtype)
        try:
            self._file.seek(self._start + entry.start)
            _fill(self._file, array.reshape(-1).view(np.uint8))
        except (_FormError, OSError) as error:
            raise self._not_whole(error) from None
        if not _is_sound(array.reshape(-1)):
            raise self.broken(f"{name} holds numbers that are not finite" if dtype != "bool" else f"{name} is not bool")
        return array

    def _not_whole(self, error: Exception) -> CheckpointError:
        reason = getattr(error, "strerror", None) or error
        return CheckpointError(f"{self._path} is not a whole safetensors file ({reason}): copy it or train it again")


class _FormError(Exception):
    """Why a file is no whole safetensors file: what its header says, or that it ends too early."""


def _read_header(file: FileIO, n_bytes: int) -> tuple[dict[str, Any], int]:
    """The header, and where the bytes of the arrays start."""
    file.seek(0)
    n_header_bytes = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + n_header_bytes
    if n_header_bytes > MOST_FILE_BYTES:
        raise _FormError("it does not start with the length of a header")
    if n_bytes < start:
        raise _FormError(f"it has {n_bytes:,} bytes where its header alone takes {start:,}")
    if n_header_bytes > MOST_HEADER_BYTES:
        raise _FormError(f"a header of {n_header_bytes:,} bytes")
    content = bytearray(n_header_bytes)
    _fill(file, content)
    try:
        header = untrusted_json.parse(content.decode(), MOST_HEADER_BYTES)
    except ValueError as error:
        raise _FormError(f"its header is no usable JSON: {error}") from None
    if not isinstance(header, dict):
        raise _FormError("its header is no JSON object")
    return header, start


def _fill(file: FileIO, content: Any) -> None:
    view = memoryview(content)
    while len(view):
        n_read = file.readinto(view)
        if not n_read:
            raise _FormError("it ended while it was read")
        view = view[n_read:]


def _checked_metadata(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _FormError("its metadata are not strings")
    return metadata


def _entry(name: str, value: Any) -> _Entry:
    match value:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, end]} if len(value) == 3:
            if len(shape) > MOST_DIMENSIONS or not all(_is_size(number) for number in (*shape, start, end)):
                raise _FormError(f"{visible(name[:SHOWN_CHARS])} has an invalid size")
            # A length of 0 does not make the others harmless.
            if math.prod(max(length, 1) for length in shape) >= _MOST_NUMBERS:
                raise _FormError(f"{visible(name[:SHOWN_CHARS])} has an invalid size")
            if dtype in _ITEM_BYTES and end - start != math.prod(shape) * _ITEM_BYTES[dtype]:
                raise _FormError(f"{visible(name[:SHOWN_CHARS])} has another size than its shape")
            return _Entry(dtype, tuple(shape), start, end)
    raise _FormError(f"{visible(name[:SHOWN_CHARS])} is no description of an array")


def _is_size(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < _MOST_NUMBERS


def _check_places(entries: dict[str, _Entry], n_bytes: int) -> None:
    """See that the arrays follow one another, from the first byte to the last."""
    place = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != place or entry.end < place:
            raise _FormError(f"{visible(name[:SHOWN_CHARS])} does not start where the array before it ends")
        place = entry.end
    if place != n_bytes:
        raise _FormError(f"it has {n_bytes:,} bytes of arrays where its header says {place:,}")


def _is_sound(flat: Any) -> bool:
    """Whether all floats are finite and all truth values 0 or 1; part by part, as the marks take memory too."""
    for start in range(0, len(flat), _CHECKED_AT_A_TIME):
        part = flat[start : start + _CHECKED_AT_A_TIME]
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            return False
        if part.dtype.kind == "b" and part.view(np.uint8).max() > 1:
            return False
    return True
