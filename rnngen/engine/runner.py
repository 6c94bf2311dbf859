"""A model that is ready to compute, of either kind: from the left to the right, or from both sides of a place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from rnngen.config import ScoreState
from rnngen.engine.bidirectional import BidirectionalModel, logprobs_of, score_text
from rnngen.engine.language_model import LanguageModel
from rnngen.engine.scoring import Reader, Scorer, network_reader, network_scorer
from rnngen.engine.tagger import Tagger
from rnngen.errors import ConfigError

Ids = npt.NDArray[np.integer]
Runner = LanguageModel | BidirectionalModel | Tagger


def from_the_left(runner: Runner, name: object = "the model") -> LanguageModel:
    """A runner that reads from the left to the right. Raises ConfigError for another, and names it."""
    refuse_tagger(runner, name)
    if runner.config.bidirectional:
        raise ConfigError(
            f"{name} is bidirectional: it predicts a token from both sides of it, and nothing from the left alone; "
            "train a model without --bidirectional for this"
        )
    return runner  # type: ignore[return-value]


def from_both_sides(runner: Runner, name: object = "the model") -> BidirectionalModel:
    """A runner that predicts from both sides. Raises ConfigError for another, and names it."""
    refuse_tagger(runner, name)
    if not runner.config.bidirectional:
        raise ConfigError(f"{name} predicts a token from the left alone: train a model with --bidirectional for this")
    return runner  # type: ignore[return-value]


def tagger_of(runner: Runner, name: object = "the model") -> Tagger:
    """A runner that gives tags. Raises ConfigError for another, and names it."""
    if not runner.config.is_tagger:
        raise ConfigError(f"{name} is no tagger: train one with rnngen train TAGS.tsv --tags")
    return runner  # type: ignore[return-value]


def refuse_tagger(runner: Runner, name: object) -> None:
    """Raise ConfigError for a tagger, and name it."""
    if runner.config.is_tagger:
        raise ConfigError(f"{name} is a tagger, which gives no probabilities to texts: use it with rnngen tag")


def reader(runner: Runner, newline_id: int, state: ScoreState, bos: bool = True) -> Reader:
    """As `network_reader`; of a bidirectional model the ids of a call are whole lines, each scored by itself.

    The log-probability of a token is then the one given all others of its line, and that of a line break NaN.
    """
    if not runner.config.bidirectional:
        return network_reader(from_the_left(runner), newline_id, state, bos)
    model = from_both_sides(runner)

    def by_lines(ids: Ids) -> npt.NDArray[np.floating]:
        ends = np.flatnonzero(np.asarray(ids) == newline_id)
        lines = np.split(ids, ends + 1)[:-1]
        found = np.full(len(ids), np.nan, np.float32)
        logprobs = logprobs_of(model, [np.append(newline_id, line) for line in lines])
        found[np.asarray(ids) != newline_id] = np.concatenate([found[:0], *logprobs])
        return found

    return by_lines


def scorer(runner: Runner, state: ScoreState = "carry") -> Scorer:
    """As `network_scorer`; of a bidirectional model with "reset" as `reader`."""
    if not runner.config.bidirectional:
        return network_scorer(from_the_left(runner), state)
    model = from_both_sides(runner)

    def score(arrays: Iterable[Ids], newline_id: int) -> Iterator[npt.NDArray[np.floating]]:
        return (
            score_text(model, arrays, newline_id) if state == "carry" else map(reader(model, newline_id, state), arrays)
        )

    return score
