"""A text in memory for the tests."""

from __future__ import annotations

from collections.abc import Iterator


class Chunks:
    """A text that comes in the chunks given; empty ones are left out."""

    def __init__(self, *chunks: str) -> None:
        self._chunks = chunks

    def chunks(self) -> Iterator[str]:
        return filter(None, self._chunks)
