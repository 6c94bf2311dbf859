"""What stands on both sides of some places of a text: the input of a bidirectional network.

    text        s0 s1 s2 s3 s4 s5        places 2 and 3, all context
    left        s0 s1 s2                 place 2 is read after s1, place 3 after s2:          left_at   1 2
    right       s5 s4 s3                 from the right; place 2 after s3, place 3 after s4:  right_at  2 1

So the network never reads the token at a place before it predicts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

# A place of a long text is predicted from as many tokens on each side at least, where the text has them.
CONTEXT = 256
WINDOW = 1024  # places of a long text that are predicted together


@dataclass(frozen=True)
class Sides:
    """Batches of rows, each a text or a piece of one.

    Attributes:
        left: [B, L], ids in the order of the text.
        right: [B, R], ids in reversed order.
        left_at: [B, T], for each place the last of the left ids before it.
        right_at: [B, T], for each place the last of the right ids after it.
    """

    left: Ids
    right: Ids
    left_at: Ids
    right_at: Ids


@dataclass(frozen=True)
class Piece:
    """Some places of a sequence, and what is read for them.

    Attributes:
        ids: the sequence; a symbol stands before its first place and one after its last.
        start: the first place, 1 or more.
        stop: the place after the last one, below len(ids).
        context: how many ids are read beyond the places on each side, at least 1.
    """

    ids: npt.NDArray[np.integer]
    start: int
    stop: int
    context: int = CONTEXT

    @property
    def n_places(self) -> int:
        return self.stop - self.start

    @property
    def n_read(self) -> int:
        """How many ids are read, at most, on one of the sides."""
        return min(len(self.ids), self.n_places + self.context)

    def read(self) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], Ids, Ids]:
        """The left and the right ids, and the rows of `left_at` and `right_at`."""
        first, last = max(0, self.start - self.context), min(len(self.ids), self.stop + self.context) - 1
        places = np.arange(self.start, self.stop)
        left, right = self.ids[first : self.stop - 1], self.ids[last : self.start : -1]
        return left, right, places - 1 - first, last - 1 - places


def sides_of(pieces: Sequence[Piece], pad_id: int) -> Sides:
    """The sides of several pieces; shorter rows are padded, and padded places are those of the row's first place."""
    read = [piece.read() for piece in pieces]
    left, right, left_at, right_at = zip(*read, strict=True)
    return Sides(_padded(left, pad_id), _padded(right, pad_id), _padded(left_at, 0), _padded(right_at, 0))


def _padded(rows: Sequence[npt.NDArray[np.integer]], value: int) -> Ids:
    padded = np.full((len(rows), max(map(len, rows))), value, np.int64)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return padded


def pieces_of(ids: npt.NDArray[np.integer]) -> Iterator[Piece]:
    """All places of a sequence between its first and its last symbol, in pieces of `WINDOW` places."""
    for start in range(1, len(ids) - 1, WINDOW):
        yield Piece(ids, start, min(start + WINDOW, len(ids) - 1))
