"""What a tokenizer can do, whatever its level, and encoding a text that may have unknown symbols.

Must not know any of the tokenizers: these import this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.config import OnUnknown
from rnngen.errors import TokenizerError
from rnngen.tokenizers.symbols import Unknown

Ids = npt.NDArray[np.int32]
Spans = npt.NDArray[np.int64]  # [n, 2]


class Text(Protocol):
    """A text that can be read again and again."""

    def chunks(self) -> Iterator[str]:
        """The text in pieces, none empty; they end after a line break wherever lines are not too long.

        Where they end depends on the text alone, however it is read: a word that is cut has other ids.
        """


class Decoder(Protocol):
    """Ids to text, one at a time."""

    def push(self, id: int) -> str:
        """The characters that are whole with this id; may be none."""


class Tokenizer(Protocol):
    """Text to ids and back.

    Attributes:
        newline_id: the line break; it begins a text and ends a line.
        unk_id: the unknown symbol; None where every text is known.
        never_drawn: ids that stand for no text and are not sampled.
    """

    @property
    def level(self) -> str: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def newline_id(self) -> int: ...
    @property
    def unk_id(self) -> int | None: ...
    @property
    def never_drawn(self) -> tuple[int, ...]: ...

    def encode(self, text: str) -> Ids:
        """Ids of a text, int32; the unknown symbol for what the vocabulary lacks."""

    def spans(self, text: str) -> Spans:
        """Where the tokens stand in a text, so that `text[start:end]` is what was written, of an unknown symbol too.

        White space that tokens imply is in no span; a byte has the whole character that it is a part of.

        Returns:
            For each id of `encode(text)`, in order, its first character and the one after its last.
        """

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids; for known symbols the inverse of encode."""

    def decoder(self) -> Decoder:
        """A new decoder that takes ids one at a time."""

    def token(self, id: int) -> str:
        """The symbol itself; a single byte of a longer character reads `<0xE2>`."""

    def unknowns(self, text: str) -> Iterator[Unknown]:
        """The symbols of a text that encode would make the unknown symbol."""

    def to_dict(self) -> dict[str, Any]:
        """All that `from_dict` needs, ready for JSON."""


@dataclass(frozen=True)
class Encoded:
    """Ids of a text with its unknown symbols handled.

    Attributes:
        n_unknown: how many it had, whether kept or left out.
    """

    ids: Ids
    n_unknown: int = 0
    _find_first: Callable[[], Unknown | None] = lambda: None

    @cached_property
    def first_unknown(self) -> Unknown | None:
        """The first that stands in the text as such (not as a written `<unk>`); looked for when it is asked for."""
        return self._find_first()


def encode_known(tokenizer: Tokenizer, text: str, on_unknown: OnUnknown, where: str, offset: int = 0) -> Encoded:
    """Encode a text and handle what the vocabulary lacks.

    Args:
        on_unknown: "error" raises TokenizerError that names the first one, "unk" keeps the unknown symbol,
            "skip" leaves it out.
        where: names the text in the error.
        offset: of the text in a longer one, for the places of unknown symbols.
    """
    ids = tokenizer.encode(text)
    unknown = ids == tokenizer.unk_id if tokenizer.unk_id is not None else np.zeros(0, bool)
    n_unknown = int(np.count_nonzero(unknown))
    if not n_unknown:
        return Encoded(ids)

    def find_first() -> Unknown | None:
        first = next(tokenizer.unknowns(text), None)
        return first and replace(first, offset=first.offset + offset)

    encoded = Encoded(ids[~unknown] if on_unknown == "skip" else ids, n_unknown, find_first)
    if on_unknown == "error" and encoded.first_unknown is not None:
        raise TokenizerError(
            f"{where} has a symbol that the model does not know: {encoded.first_unknown}; "
            "--on-unknown skip leaves such symbols out, --on-unknown unk takes them as the unknown symbol"
        )
    return encoded


def shared_ids(old: Tokenizer, new: Tokenizer) -> npt.NDArray[np.int64]:
    """For each symbol of `new` its id in `old`, shape [V of new]; -1 where it has none."""
    old_id = {old.token(id): id for id in reversed(range(old.vocab_size))}
    return np.fromiter((old_id.get(new.token(id), -1) for id in range(new.vocab_size)), np.int64, new.vocab_size)
