"""The interface of tokenizers of all levels, and encoding a text that may have unknown symbols.

Must not import any tokenizer: the tokenizers import this file.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.checks import check_choice
from rnngen.config import OnUnknown
from rnngen.errors import ConfigError, TokenizerError, brief
from rnngen.tokenizers.symbols import Unknown

Ids = npt.NDArray[np.int32]
Spans = npt.NDArray[np.int64]  # [n, 2]
Mask = npt.NDArray[np.bool_]


class Text(Protocol):
    """A text that can be read again and again."""

    def chunks(self) -> Iterator[str]:
        """The text in pieces, none empty; they end after a line break wherever lines are not too long.

        Where they end depends only on the text, because a word that is cut has other ids.
        """


class Decoder(Protocol):
    """Ids to text, one at a time."""

    @property
    def state(self) -> Hashable:
        """All that the text of later ids depends on."""

    def push(self, id: int) -> str:
        """The characters that are whole with this id; may be none."""

    def peek(self, id: int) -> str:
        """What `push` would return, without taking the id."""


class Tokenizer(Protocol):
    """Text to ids and back.

    Attributes:
        newline_id: the line break. It comes before a text and ends a line.
        unk_id: the unknown symbol; None where every text is known.
        never_drawn: ids that stand for no text and are not sampled.

    >>> import rnngen
    >>> tokenizer = rnngen.build_tokenizer(text="abba")
    >>> tokenizer.encode("baa").tolist(), tokenizer.decode([3, 2, 2]), tokenizer.token(3)
    ([3, 2, 2], 'baa', 'b')
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

    def spans(self, text: str, ids: Ids | None = None) -> Spans:
        """Where the tokens stand in a text: `text[start:end]` is what was written, also for an unknown symbol.

        White space that tokens imply is in no span; a byte has the whole character that it is a part of.

        Args:
            ids: `encode(text)`, if it is known already, so that the text is not encoded again.

        Returns:
            For each id of `encode(text)`, in order, its first character and the one after its last, shape [n, 2].
        """

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids; for known symbols the inverse of encode."""

    def decoder(self, after: str = "") -> Decoder:
        """A new decoder that takes ids one at a time, of a text that goes on after another."""

    def token(self, id: int) -> str:
        """The symbol itself; a single byte of a longer character reads `<0xE2>`."""

    def unknowns(self, text: str) -> Iterator[Unknown]:
        """The symbols of a text that encode would make the unknown symbol."""

    def to_dict(self) -> dict[str, Any]:
        """All that `from_dict` needs, ready for JSON."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Ids of a text with its unknown symbols handled; what else is known of them is worked out when it is asked for.

    Attributes:
        ids: int32, shape [n]; unknown symbols are among them or were left out.
        text: that was encoded.
        is_unknown: which of the ids of the whole text are unknown, bool; empty where the tokenizer knows every text.
        offset: of the text in a longer one, in characters.
        placed: where the ids of the whole text stand, where they are not those that the text has by itself.
    """

    ids: Ids
    text: str
    tokenizer: Tokenizer = field(repr=False)
    is_unknown: Mask = field(repr=False)
    offset: int = 0
    placed: Spans | None = field(default=None, repr=False)

    @cached_property
    def n_unknown(self) -> int:
        """How many unknown symbols the text has, whether they were kept or left out."""
        return int(np.count_nonzero(self.is_unknown))

    @cached_property
    def first_unknown(self) -> Unknown | None:
        """The first that stands in the text as such (not as a written `<unk>`)."""
        first = next(self.tokenizer.unknowns(self.text), None) if self.n_unknown else None
        return first and replace(first, offset=first.offset + self.offset)

    @cached_property
    def spans(self) -> Spans:
        """Where the ids stand in the text, as in `Tokenizer.spans`."""
        if self._none_left_out:
            return self.tokenizer.spans(self.text, self.ids) if self.placed is None else self.placed
        return self._all_spans[~self.is_unknown]

    def after(self, place: int) -> Encoded:
        """The part from a character on. A token that holds characters on both sides of the place belongs to it."""
        spans = self.spans if self._none_left_out else self._all_spans
        first = int(np.searchsorted(spans[:, 1], place, side="right"))
        n_left_out = 0 if self._none_left_out else int(self.is_unknown[:first].sum())
        return Encoded(
            ids=self.ids[first - n_left_out :],
            text=self.text[place:],
            tokenizer=self.tokenizer,
            is_unknown=self.is_unknown[first:],
            offset=self.offset + place,
            placed=np.maximum(spans[first:] - place, 0),
        )

    @property
    def known_text(self) -> str:
        """The text without the symbols that were left out."""
        return self._known_part[0]

    @property
    def known_spans(self) -> Spans:
        """Where the ids stand in `known_text`."""
        return self._known_part[1]

    @property
    def _none_left_out(self) -> bool:
        return not self.n_unknown or len(self.ids) == len(self.is_unknown)

    @cached_property
    def _all_spans(self) -> Spans:
        return self.tokenizer.spans(self.text) if self.placed is None else self.placed

    @cached_property
    def _known_part(self) -> tuple[str, Spans]:
        if self._none_left_out:
            return self.text, self.spans
        left_out = np.zeros(len(self.text) + 1, bool)
        for start, end in self._all_spans[self.is_unknown].tolist():
            left_out[start:end] = True
        known = "".join(compress(self.text, ~left_out))
        n_before = np.cumsum(left_out) - left_out  # characters left out before each place
        return known, self.spans - n_before[self.spans]


def encode_known(tokenizer: Tokenizer, text: str, on_unknown: OnUnknown, where: str, offset: int = 0) -> Encoded:
    """Encode a text and handle what the vocabulary lacks.

    Args:
        on_unknown: "error" raises TokenizerError that names the first unknown symbol, "unk" keeps the unknown symbol,
            "skip" leaves it out.
        where: names the text in the error.
        offset: of the text in a longer one, in characters, for the places of unknown symbols.

    Raises:
        TokenizerError: a symbol is unknown and `on_unknown` is "error".
        ConfigError: `text` is no string, or `on_unknown` is none of the three.
    """
    check_choice("on_unknown", on_unknown, OnUnknown)
    if not isinstance(text, str):
        raise ConfigError(f"{where} is {brief(text)}: it must be a string")
    ids = tokenizer.encode(text)
    is_unknown = ids == tokenizer.unk_id if tokenizer.unk_id is not None else np.zeros(0, bool)
    kept = ids[~is_unknown] if on_unknown == "skip" and len(is_unknown) else ids
    encoded = Encoded(ids=kept, text=text, tokenizer=tokenizer, is_unknown=is_unknown, offset=offset)
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
