"""The most surprising tokens of a line, and the tokens that the model finds likelier in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from rnngen.checks import check_whole
from rnngen.config import SampleConfig
from rnngen.engine.cells import Array
from rnngen.engine.language_model import LOGITS_AT_A_TIME, Ids, LanguageModel
from rnngen.engine.runner import Runner, from_both_sides, from_the_left
from rnngen.engine.sampling import odds
from rnngen.engine.sides import Piece, sides_of
from rnngen.errors import ConfigError
from rnngen.evaluate.scored_lines import ScoredLine
from rnngen.tokenizers.symbols import NEWLINE


@dataclass(frozen=True, kw_only=True)
class SurprisingToken:
    """A token that the model did not expect, and what is likelier in its place.

    Attributes:
        number: its place in the line, counted from 1; the line break comes after the line's tokens.
        start: its place in the text of the line, in characters from 0.
        token: its symbol in the vocabulary.
        text: what stands there; differs from the symbol where that is unknown or a byte of a character.
        likelier: tokens and their probabilities, the most likely first.
    """

    number: int
    start: int
    token: str
    text: str
    surprisal_bits: float
    likelier: tuple[tuple[str, float], ...]


def surprising_tokens(runner: Runner, line: ScoredLine, n: int) -> list[SurprisingToken]:
    """The most surprising tokens of a line, and the tokens that the model finds likelier in their places.

    Args:
        line: scored by itself, after a line break.
        n: how many tokens to name in each place: the most likely ones, as far as they are likelier than the token that
            stands there.

    Raises:
        ConfigError: the line was not scored by itself after a line break, or `n` is no count.
    """
    if not line.boundaries.bos or line.boundaries.state != "reset":
        raise ConfigError("alternatives are of a line that is scored by itself after a line break")
    check_whole("alternatives", n, 1)
    tokenizer = line.tokenizer
    bits = line.surprisals_bits
    places = most_surprising(bits)
    found = alternatives(runner, line.encoded.ids, tokenizer.newline_id, places, n, tokenizer.never_drawn)
    ids = [*line.encoded.ids.tolist(), tokenizer.newline_id]
    spans = [*line.encoded.spans.tolist(), [len(line.text), len(line.text)]]
    return [
        SurprisingToken(
            number=place + 1,
            start=spans[place][0],
            token=tokenizer.token(ids[place]),
            text=line.text[slice(*spans[place])] or NEWLINE,
            surprisal_bits=bits[place],
            likelier=tuple((tokenizer.token(id), probability) for id, probability in _before(ids[place], likely)),
        )
        for place, likely in zip(places, found, strict=True)
    ]


def _before(id: int, likely: list[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    """The tokens that are likelier than one of them."""
    return takewhile(lambda token: token[0] != id, likely)


def most_surprising(surprisals_bits: Sequence[float], most: int = 3, least_bits: float = 2.0) -> list[int]:
    """The places to look at in a line, in the order of the line.

    Args:
        surprisals_bits: of its tokens; those that are not a number are passed over.
        most: how many places; of equal surprisals the first come first.
        least_bits: only surprisals above this.
    """
    surprising = [place for place, bits in enumerate(surprisals_bits) if bits > least_bits]
    return sorted(sorted(surprising, key=lambda place: -surprisals_bits[place])[:most])


def alternatives(
    model: Runner,
    ids: npt.NDArray[np.integer],
    newline_id: int,
    places: Sequence[int],
    n: int,
    never_drawn: Sequence[int] = (),
) -> list[list[tuple[int, float]]]:
    """The most likely tokens at some places of a line, which starts after a line break from a fresh state.

    Those of a bidirectional model are likely between all other tokens of the line. Memory does not grow with the line:
    logits are made for a window of it, and only those of `places` are kept.

    Args:
        ids: one line without its line break.
        places: in any order; t is the place of the line's token t, counted from 0, and len(ids) that of the line break
            that ends it.
        n: how many tokens at each place.
        never_drawn: ids that are not offered. The probabilities of the others stay what the model gives them.

    Returns:
        For each of `places` its tokens and their probabilities, the most likely first, of equal ones the lowest id.

    Raises:
        CheckpointError: the model's logits are not finite.
    """
    found = {
        place: _most_likely(logits, n, never_drawn)
        for place, logits in _logits(model, ids, newline_id, sorted(set(places)))
    }
    return [found[place] for place in places]


def _logits(runner: Runner, ids: Ids, newline_id: int, places: list[int]) -> Iterator[tuple[int, Array]]:
    """The logits [V] at each of `places`, which ascend."""
    if not runner.config.bidirectional:
        return _logits_at(from_the_left(runner), np.concatenate([[newline_id], ids]), places)
    model, line = from_both_sides(runner), np.concatenate([[newline_id], ids, [newline_id]])
    return ((place, model.logits(sides_of([Piece(line, place + 1, place + 2)], newline_id))[0, 0]) for place in places)


def _logits_at(model: LanguageModel, inputs: Ids, places: list[int]) -> Iterator[tuple[int, Array]]:
    """The logits [V] that follow each of `places`, which ascend; nothing is computed beyond the last."""
    config = model.config
    window = max(1, LOGITS_AT_A_TIME // max(config.vocab_size, config.num_gates * config.hidden_size))
    state = model.initial_state(1)
    end = places[-1] + 1 if places else 0
    for start in range(0, end, window):
        stop = min(start + window, end)
        logits, state = model.forward(inputs[None, start:stop], state)  # [1, T, V]
        for place in places:
            if start <= place < stop:
                yield place, logits[0, place - start]


def _most_likely(logits: Array, n: int, never_drawn: Sequence[int]) -> list[tuple[int, float]]:
    (probs,) = odds(logits.astype(np.float64)[None], SampleConfig(temperature=1.0))
    probs /= probs.sum()
    offered = np.setdiff1d(np.arange(len(probs)), np.asarray(never_drawn, np.int64))
    best = offered[np.argsort(-probs[offered], kind="stable")[:n]]
    return list(zip(best.tolist(), probs[best].tolist(), strict=True))
