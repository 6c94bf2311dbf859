"""The lines of texts that are read once, as they arrive."""

from __future__ import annotations

import itertools
import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from rnngen.text.corpus import FileText
from rnngen.text.decoding import Say

# The name of a file, None where it needs none, and its lines with their line breaks. Lines that arrived together stand
# together.
Lines = tuple[str | None, Iterable[list[str]]]


def stream_lines(paths: Sequence[str], encoding: str = "utf-8", say: Say = lambda note: None) -> Iterator[list[str]]:
    """The lines of texts as they arrive, read once; those that arrived together form a block."""
    return _StreamedText(paths, encoding, say).line_blocks()


def stream_files(paths: Sequence[str], encoding: str = "utf-8", say: Say = lambda note: None) -> Iterator[Lines]:
    """The lines of each text as they arrive, read once.

    Yields:
        The path of a text, None where there is only one, and its lines, which must be taken before those of the next
        one. A text without lines is left out.
    """
    blocks = _StreamedText(paths, encoding, say).line_blocks_by_file()
    return (
        (paths[index] if len(paths) > 1 else None, (lines for _, lines in found))
        for index, found in itertools.groupby(blocks, key=operator.itemgetter(0))
    )


class _StreamedText(FileText):
    def _check_same(self, index: int) -> None:
        """A file that grows while it is read once gives what it has at its end."""

    def _reread(self, index: int, stream: BinaryIO | None) -> BinaryIO:
        if stream is None:
            return open(self.paths[index], "rb")
        return os.fdopen(os.dup(stream.fileno()), "rb", buffering=0)
