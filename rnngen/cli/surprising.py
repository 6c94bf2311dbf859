"""The most surprising places of a line, and what the model would rather have seen there: as rows and as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from rnngen import models
from rnngen.cli.painting import DOTTED_CIRCLE, LEAST_GUTTER, cells_of, is_combining
from rnngen.evaluate.scored_lines import ScoredLine, spans_of
from rnngen.printable import visible
from rnngen.tokenizers.symbols import NEWLINE, UNK

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnngen.engine.language_model import LanguageModel
    from rnngen.tokenizers.base import Spans, Tokenizer

_CONTEXT_CHARS = 12


@dataclass(frozen=True)
class Place:
    """A surprising token and what the model would rather have seen.

    Attributes:
        token_number: in its line, counted from 1; one more than the line's tokens for its line break.
        before: the end of the line's text before it.
        token: its symbol in the vocabulary.
        text: what stands there; differs for an unknown symbol and for a byte of a longer character.
        rather: tokens and their probabilities, the most likely first.
    """

    token_number: int
    before: str
    token: str
    text: str
    surprisal_bits: float
    rather: list[tuple[str, float]]


def places_of_line(line: ScoredLine, loaded: models.Model, n: int) -> list[Place]:
    """`places_of` for a line that was scored by itself."""
    tokenizer = loaded.tokenizer
    spans = spans_of(line, tokenizer)
    return places_of(loaded.network, tokenizer, line.text, line.encoded.ids, spans, surprisals_of(line), n)


def surprisals_of(line: ScoredLine) -> list[float]:
    """Of its tokens, in bits."""
    return [-logprob / math.log(2) for logprob in line.logprobs.tolist()]


def places_of(
    model: LanguageModel,
    tokenizer: Tokenizer,
    text: str,
    ids: npt.NDArray[np.integer],
    spans: Spans,
    surprisals_bits: Sequence[float],
    n: int,
) -> list[Place]:
    """The most surprising places of a line, and the tokens that the model finds more likely there.

    Args:
        text: one line without its line break, which is scored after a line break from a fresh state.
        ids: its tokens.
        spans: [len(ids), 2], where they stand in it.
        surprisals_bits: of its tokens and perhaps of its line break.
        n: how many tokens to name at a place: the most likely ones, as far as they are likelier than the one that
            stands there.
    """
    from rnngen.evaluate.alternatives import alternatives, most_surprising

    places = most_surprising(surprisals_bits)
    found = alternatives(model, ids, tokenizer.newline_id, places, n, tokenizer.never_drawn)
    ids_and_end = [*ids.tolist(), tokenizer.newline_id]
    spans_and_end = [*spans.tolist(), [len(text), len(text)]]
    result = []
    for place, likely in zip(places, found, strict=True):
        id, (start, end) = ids_and_end[place], spans_and_end[place]
        result.append(
            Place(
                token_number=place + 1,
                before=text[max(0, start - _CONTEXT_CHARS) : start],
                token=tokenizer.token(id),
                text=text[start:end] or NEWLINE,
                surprisal_bits=surprisals_bits[place],
                rather=[(tokenizer.token(other), probability) for other, probability in takewhile(_is_not(id), likely)],
            )
        )
    return result


def show_alternatives(places: list[Place]) -> str:
    """A row for each place, to stand below the painted line: `     20  shall ring a 'g' 7.1 bits: rather 'n' 16 %`."""
    return "".join(f"{_row(place)}\n" for place in places)


def alternatives_record(places: list[Place]) -> list[dict[str, Any]]:
    """The places as JSON has them."""
    return [
        {
            "token_number": place.token_number,
            "token": place.token,
            "text": place.text,
            "surprisal_bits": place.surprisal_bits,
            "rather": [{"token": token, "probability": probability} for token, probability in place.rather],
        }
        for place in places
    ]


def _is_not(id: int) -> Callable[[tuple[int, float]], bool]:
    return lambda likely: likely[0] != id


def _row(place: Place) -> str:
    cells = cells_of(place.before, None)
    before = " " * (_CONTEXT_CHARS - sum(cell.width for cell in cells)) + "".join(cell.shown for cell in cells)
    named = _quoted(place.text if place.token == UNK else place.token)
    rather = ", ".join(f"{_quoted(token)} {_percent(probability)}" for token, probability in place.rather)
    return f"{place.token_number:>{LEAST_GUTTER}} {before} {named} {place.surprisal_bits:.1f} bits: " + (
        f"rather {rather}" if rather else "nothing is likelier"
    )


def _quoted(token: str) -> str:
    circle = DOTTED_CIRCLE if is_combining(token[:1]) else ""  # else the mark would stand on the quotation mark
    return f"'{circle}{visible(token)}'"


def _percent(probability: float) -> str:
    percent = 100 * probability
    if percent < 0.1:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %"
