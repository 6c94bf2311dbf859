"""Counting the unknown symbols of a text that arrives in parts, for the one note that is made of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from rnngen.config import OnUnknown
from rnngen.printable import plural
from rnngen.tokenizers.base import Encoded, Tokenizer

Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, ...] = get_args(Form)
MOST_LOOKED_AT = 1 << 16  # characters of a text, for its form


class Unknowns:
    """How many unknown symbols there were so far, and the first of them.

    Attributes:
        count: unknown symbols, whether they were kept or left out.
        first: names the first one and its place; None where there was none.
        form: "NFC" or "NFD", the Unicode form in which fewer of them are unknown; None where there is none.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: str | None = None
        self.form: Form | None = None
        self._looked_at = 0  # characters, for the form

    def add(self, encoded: Encoded, place: str = "") -> None:
        """Take the unknown symbols of the next part in.

        Args:
            place: of the part in the text, such as ` of line 3`; stands behind the symbol in the note.
        """
        self.count += encoded.n_unknown
        if self.first is None and encoded.n_unknown and encoded.first_unknown is not None:
            self.first = f"{encoded.first_unknown}{place}"
        if encoded.n_unknown and self.form is None and self._looked_at < MOST_LOOKED_AT:
            part = encoded.text[:MOST_LOOKED_AT]
            self._looked_at += len(part)
            self.form = better_form(encoded.tokenizer, part)

    @classmethod
    def of_all(cls, parts: Iterable[Unknowns]) -> Unknowns:
        """Those of several texts in a row."""
        whole = cls()
        for part in parts:
            whole.count += part.count
            whole.first = whole.first or part.first
            whole.form = whole.form or part.form
        return whole

    def note(self, where: str, on_unknown: OnUnknown) -> str:
        """What is to be said of them; empty where there were none.

        Args:
            where: names the text.
        """
        remedy = f"; in Unicode form {form} fewer are: {conversion(form)}" if (form := self.form) else ""
        return note(self.count, self.first, where, on_unknown) + remedy


def conversion(form: Form) -> str:
    """How a text comes into a Unicode form."""
    return f"convert it, as uconv -x {form.lower()} does"


def better_form(tokenizer: Tokenizer, text: str) -> Form | None:
    """The Unicode form of a text in which the vocabulary lacks fewer symbols than in its own.

    A letter with a mark is one character in NFC and two in NFD. They look the same, and most texts have one form only.
    At subword level a symbol is lacking where its bytes stand for it.
    """
    for form in FORMS:
        other = unicodedata.normalize(form, text)
        if other != text and _n_lacking(tokenizer, other) < _n_lacking(tokenizer, text):
            return form
    return None


def _n_lacking(tokenizer: Tokenizer, text: str) -> int:
    ids = tokenizer.encode(text)
    if tokenizer.unk_id is not None:
        return int((ids == tokenizer.unk_id).sum())
    return sum(tokenizer.token(id).startswith("<0x") for id in set(ids.tolist())) if tokenizer.level == "subword" else 0


def unknown_share(tokenizer: Tokenizer, ids: npt.NDArray[Any]) -> float:
    """How many of the words among some ids are unknown, from 0 to 1; marks and white space are no words."""
    counts = np.bincount(ids, minlength=tokenizer.vocab_size)
    counts[[id for id in np.flatnonzero(counts).tolist() if not any(map(str.isalnum, tokenizer.token(id)))]] = 0
    return float(counts[tokenizer.unk_id] / max(counts.sum(), 1))


def note(count: int, first: object, where: str, on_unknown: OnUnknown) -> str:
    """The same for counts that come from elsewhere."""
    if not count:
        return ""
    handled = "left out" if on_unknown == "skip" else "taken as the unknown symbol"
    named = f"; the first is {first}" if first else ""
    return f"{where} has {plural(count, 'unknown symbol')}, {handled}{named}"


def emptiness(n_unknown: int) -> str:
    """Why nothing is left of a text in which so many symbols are unknown."""
    return "has unknown symbols only, all left out" if n_unknown else "is empty"
