"""Sorting more texts than fit into memory: sorted parts in temporary files, merged."""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from rnngen.errors import DataError

CHARS_IN_MEMORY = 1 << 25  # of records that are sorted at a time
RECORD_CHARS = 200  # what a record takes beside its text
MOST_FILES = 64  # that are open at a time, far below what a process may open

Record = tuple[float, int, str]  # key, number, text


def sorted_texts(records: Iterable[Record]) -> Iterator[str]:
    """The texts of some records, the least key first, of equal keys the least number.

    Args:
        records: key, number and text; no key is NaN, no number stands twice.

    Raises:
        DataError: the temporary files cannot be written.
    """
    parts: list[Iterator[Any]] = []
    for part in _parts(records):
        parts.append(_through_a_file(sorted(part)))
        if len(parts) == MOST_FILES:
            parts = [_through_a_file(heapq.merge(*parts))]
    yield from (text for _, _, text in heapq.merge(*parts))


def _through_a_file(records: Iterable[Any]) -> Iterator[Any]:
    try:
        file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - closed when it has been read
        file.writelines(json.dumps(record) + "\n" for record in records)
        file.seek(0)
    except OSError as error:
        raise DataError(
            f"cannot keep the lines to sort in {tempfile.tempdir or 'a temporary file'}: {error.strerror}; "
            "set TMPDIR to a folder with more room"
        ) from None
    return _read_back(file)


def _read_back(file: TextIO) -> Iterator[Any]:
    with file:
        yield from map(json.loads, file)


def _parts(records: Iterable[Record]) -> Iterator[list[Record]]:
    part: list[Record] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record[2]) + RECORD_CHARS
        if size >= CHARS_IN_MEMORY:
            yield part
            part, size = [], 0
    if part:
        yield part
