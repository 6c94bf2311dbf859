"""The surprising places of a line, and what the model would rather have seen there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from rnngen.config import SampleConfig
from rnngen.engine.cells import Array
from rnngen.engine.language_model import LOGITS_AT_A_TIME, Ids, LanguageModel
from rnngen.engine.sampling import odds


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
    model: LanguageModel,
    ids: npt.NDArray[np.integer],
    newline_id: int,
    places: Sequence[int],
    n: int,
    never_drawn: Sequence[int] = (),
) -> list[list[tuple[int, float]]]:
    """The most likely tokens at some places of a line, which begins after a line break from a fresh state.

    Memory does not grow with the line: logits are made for a window of it, and only those of `places` are kept.

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
        for place, logits in _logits_at(model, np.concatenate([[newline_id], ids]), sorted(set(places)))
    }
    return [found[place] for place in places]


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
