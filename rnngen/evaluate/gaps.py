"""A line with gaps: its tokens around them, and what may stand in each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rnngen.config import OnUnknown
from rnngen.errors import ConfigError, DataError, brief
from rnngen.tokenizers.base import Ids, Tokenizer, encode_known

GAP = "___"
MOST_LENGTHS = 16  # that are tried for a line
_LETTERS = "".join(map(chr, range(0xA66E, 0xA63F, -1)))  # one stands for a gap while its line becomes tokens


@dataclass(frozen=True)
class GapLength:
    """How many tokens a gap may have: from `least` to `most`.

    >>> from rnngen.evaluate.gaps import GapLength
    >>> GapLength.of("2-4")
    GapLength(least=2, most=4)
    """

    least: int
    most: int

    @classmethod
    def of(cls, text: str) -> GapLength:
        """The lengths of `3` or `1-8`. Raises ConfigError."""
        first, dash, last = text.partition("-")
        try:
            found = cls(int(first), int(last if dash else first))
        except ValueError:
            found = cls(0, 0)
        if not 1 <= found.least <= found.most <= MOST_LENGTHS:
            raise ConfigError(
                f"gap_length is {brief(text)}: it must be a number up to {MOST_LENGTHS}, or a range such as 1-8"
            )
        return found

    @property
    def all(self) -> range:
        return range(self.least, self.most + 1)


@dataclass(frozen=True)
class Gap:
    """A gap of a line.

    Attributes:
        before: the text of the line that the tokens before it have.
        owed: the space that its first token starts with, or nothing.
    """

    before: str
    owed: str
    tokenizer: Tokenizer

    @cached_property
    def first_ids(self) -> npt.NDArray[np.int64]:
        """What its first token may be: it starts with the space that is owed, and only with that."""
        at_start = self.before in ("", "\n")
        decoder = self.tokenizer.decoder(self.before)
        spaced = bool(self.owed)
        return np.array(
            [id for id in self.next_ids.tolist() if at_start or decoder.peek(id).startswith(" ") == spaced
             or self.tokenizer.level in ("char", "byte")], np.int64
        )  # fmt: skip

    @cached_property
    def next_ids(self) -> npt.NDArray[np.int64]:
        """What its other tokens may be: all but the line break and what is never drawn."""
        left_out = {*self.tokenizer.never_drawn, self.tokenizer.newline_id}
        return np.array([id for id in range(self.tokenizer.vocab_size) if id not in left_out], np.int64)

    def allowed(self, place: int) -> npt.NDArray[np.int64]:
        """What its token at a place may be, counted from 0."""
        return self.next_ids if place else self.first_ids

    def text(self, ids: Ids | npt.NDArray[np.int64]) -> str:
        """The text of a filler, without the space that is owed."""
        if self.tokenizer.level == "byte":
            return self.tokenizer.decode(ids)
        decoder = self.tokenizer.decoder(self.before)
        return "".join(decoder.push(int(id)) for id in ids).removeprefix(self.owed)


@dataclass(frozen=True)
class Gapped:
    """A line with gaps.

    Attributes:
        texts: what stands around the gaps, one text more than there are gaps.
        ids: the tokens of these texts.
        gaps: in order.
    """

    tokenizer: Tokenizer
    texts: tuple[str, ...]
    ids: tuple[npt.NDArray[np.int64], ...]
    gaps: tuple[Gap, ...]

    @property
    def n_gaps(self) -> int:
        return len(self.gaps)

    def filled(self, fillers: tuple[str, ...]) -> str:
        """The line with these texts in its gaps."""
        return self.texts[0] + "".join(filler + text for filler, text in zip(fillers, self.texts[1:], strict=True))


def find_gaps(tokenizer: Tokenizer, line: str, mark: str, on_unknown: OnUnknown, where: str) -> Gapped:
    """The gaps of a line.

    Args:
        line: without its line break.
        mark: what stands for a gap.
        where: names the line in an error.

    Raises:
        ConfigError: the mark is empty or white space.
        DataError: the line has no gap, or a gap is a part of a word where a gap is a word.
        TokenizerError: a symbol is unknown and `on_unknown` is "error".
    """
    if not mark.strip():
        raise ConfigError(f"gap is {brief(mark)}: the mark of a gap must have a character that is no blank")
    texts = line.split(mark)
    if len(texts) == 1:
        raise DataError(
            f"{where} has no gap: write {mark} in the place of what is missing, or name another mark with --gap"
        )
    letter = next((letter for letter in _LETTERS if letter not in line), None)
    if letter is None:
        raise DataError(f"{where} has all of the letters {_LETTERS}, of which one must stand for a gap: leave one out")
    encode_known(tokenizer, "".join(texts), "error" if on_unknown == "error" else "unk", where)  # for its errors
    marked = letter.join(texts)
    encoded = encode_known(tokenizer, marked, "unk", where)
    ids, spans = encoded.ids.astype(np.int64), encoded.spans
    if on_unknown == "skip" and tokenizer.unk_id is not None:
        in_gap = np.array([marked[start:end] == letter for start, end in spans.tolist()], bool)
        kept = in_gap | (ids != tokenizer.unk_id)
        ids, spans = ids[kept], spans[kept]
    found: list[npt.NDArray[np.int64]] = []
    gaps: list[Gap] = []
    start = place = 0
    for text in texts[:-1]:
        place += len(text)
        # A token of the gap's letter may have the space before it in it.
        before = int(np.searchsorted(spans[:, 1], place, "right"))
        after = int(np.searchsorted(spans[:, 0], place + 1, "left"))
        own = spans[before:after]
        if len(own) and not (marked[own[0, 0] : place].strip(" ") == "" and own[-1, 1] == place + 1):
            raise DataError(
                f"{where}: a gap is a part of a word, and this model has whole words: put blanks around {mark}"
            )
        owed = " " if marked[:place].endswith(" ") and tokenizer.level in ("word", "subword") else ""
        if owed and before > start and marked[slice(*spans[before - 1].tolist())] == " ":
            before -= 1  # the space is the start of the next token
        found.append(ids[start:before])
        gaps.append(Gap(marked[: place - len(owed)].replace(letter, ""), owed, tokenizer))
        start, place = after, place + 1
    found.append(ids[start:])
    return Gapped(tokenizer, tuple(texts), tuple(found), tuple(gaps))
