"""A set of texts in little memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

_MOST_RECENT = 1 << 18  # 16 MB of whole numbers in Python


class TextSet:
    """Texts that can be asked for again. Of each a hash of 8 bytes is kept.

    So a text may be taken for one that was added, with a probability of n / 2^64 for n texts.

    Args:
        texts: to add.

    >>> seen = TextSet(["Anna", "Bela"])
    >>> "Anna" in seen, "Clara" in seen
    (True, False)
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._recent: set[int] = set()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Take a text in."""
        self._recent.add(_hash(text))
        if len(self._recent) >= _MOST_RECENT:
            recent = np.sort(np.fromiter(self._recent, np.uint64, len(self._recent)))
            self._sorted = np.insert(self._sorted, np.searchsorted(self._sorted, recent), recent)
            self._recent.clear()

    def __contains__(self, text: str) -> bool:
        code = _hash(text)
        if code in self._recent:
            return True
        place = int(np.searchsorted(self._sorted, np.uint64(code)))
        return place < len(self._sorted) and int(self._sorted[place]) == code


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
