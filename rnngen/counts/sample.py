"""Which part of a long text is counted: pieces of equal length, spread over all of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PIECES = 64


@dataclass(frozen=True)
class TextSample:
    """A part of a text.

    Attributes:
        n_tokens: of the text.
        most: tokens that are taken at most; all where the text has no more.
    """

    n_tokens: int
    most: int

    @property
    def is_whole(self) -> bool:
        return self.n_tokens <= self.most

    @property
    def _length(self) -> int:
        return max(1, self.most // PIECES)

    @property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.arange(PIECES, dtype=np.int64) * self.n_tokens // PIECES

    def take(self, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """The tokens of the part, one piece after the other. `ids` may be on the disk: no more of it is read."""
        if self.is_whole:
            return np.asarray(ids)
        return np.concatenate([ids[start : start + self._length] for start in self._starts])

    def contains(self, places: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Whether the tokens at these places are in the part."""
        if self.is_whole:
            return np.ones(places.shape, bool)
        starts = self._starts
        return places - starts[np.searchsorted(starts, places, side="right") - 1] < self._length
