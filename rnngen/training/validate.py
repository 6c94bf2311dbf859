"""The loss over the whole validation text: quickly and often during training, and once exactly at its end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from rnngen import work
from rnngen.checkpoint import Weights
from rnngen.config import ModelConfig
from rnngen.engine.language_model import Engine, LanguageModel
from rnngen.engine.scoring import score_lines, score_text
from rnngen.text.dataset import Dataset
from rnngen.training.network import TorchModel

SEGMENTS = 32
RUN_UP = 512  # tokens that a segment's state comes from; their own loss does not count
SHORTEST_SEGMENT = 2 * RUN_UP
PROBE_TOKENS = 256
PIECE_TOKENS = 1 << 18  # of the text in memory at a time


def validation_loss(model: LanguageModel, data: Dataset) -> float:
    """Nats a token over the whole validation text: with carried state, or each line by itself."""
    ids, newline_id = data.valid.ids, data.tokenizer.newline_id
    if data.lines:
        scored = (part for lines in _lines(ids, newline_id) for part in score_lines(model, lines, newline_id))
        return _mean(scored, len(ids))
    segments = min(SEGMENTS, len(ids) // SHORTEST_SEGMENT)
    if segments < 2:
        return _mean(score_text(model, ids, newline_id), len(ids))
    return _mean(_side_by_side(model, ids, newline_id, segments), len(ids))


def _lines(ids: npt.NDArray[np.integer], newline_id: int) -> Iterator[list[npt.NDArray[np.integer]]]:
    """The lines without their line breaks; those of one piece of the text together."""
    first = 0
    for start in range(0, len(ids), PIECE_TOKENS):
        ends = start + np.flatnonzero(ids[start : start + PIECE_TOKENS] == newline_id)
        if ends.size:
            yield [line[:-1] for line in np.split(ids[first : ends[-1] + 1], ends[:-1] + 1 - first)]
            first = ends[-1] + 1


def _side_by_side(
    model: LanguageModel, ids: npt.NDArray[np.integer], newline_id: int, segments: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Log-probabilities of segments that run in one batch, each after a run-up over the end of the one before it.

    One pass over a text of n tokens must take n steps one after another; this one takes n / segments. Some
    units of a trained GRU remember for over a thousand tokens. So the states at the starts of the segments are not
    quite those of the one pass. The loss over the last tenth of tinyshakespeare, 1.47450, came out within 0.0001.
    """
    length = len(ids) // segments
    targets = ids[: segments * length].reshape(segments, length)  # on the disk: it is read one window at a time
    run_up = np.asarray(targets[:-1, -RUN_UP - 1 : -1], np.int64)
    _, ready = model.logprobs(run_up, run_up, model.initial_state(segments - 1))
    state = tuple(
        np.concatenate([zeros, part], axis=1) for zeros, part in zip(model.initial_state(1), ready, strict=True)
    )
    before = np.concatenate([[newline_id], targets[:-1, -1]])
    columns = max(1, PIECE_TOKENS // segments)
    for start in range(0, length, columns):
        window = np.asarray(targets[:, start : start + columns], np.int64)
        logprobs, state = model.logprobs(_inputs(before, window), window, state)
        before = window[:, -1]
        yield logprobs
    rest = np.asarray(ids[segments * length :], np.int64)[None]
    if rest.size:
        ending, _ = model.logprobs(_inputs(before[-1:], rest), rest, tuple(part[:, -1:] for part in state))
        yield ending


def _inputs(before: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The id before each target: [B] and [B, T] -> [B, T]."""
    return np.concatenate([before[:, None], targets[:, :-1]], axis=1)


def exact_loss(config: ModelConfig, weights: Weights, data: Dataset) -> float:
    """Nats a token over the whole validation text, in one pass with carried state; or each line by itself."""
    engine = Engine(config, weights)
    if data.lines:
        return validation_loss(engine, data)
    return _mean(score_text(engine, data.valid.ids, data.tokenizer.newline_id), len(data.valid.ids))


def exact_seconds(network: TorchModel, data: Dataset) -> float:
    """About how long `exact_loss` will take."""
    if data.lines:
        return 0.0
    engine = Engine(network.config, network.weights())
    ids = np.asarray(data.valid.ids[:PROBE_TOKENS], np.int64)[None]
    start = time.perf_counter()
    engine.logprobs(ids, ids, engine.initial_state(1))
    return (time.perf_counter() - start) * len(data.valid.ids) / ids.size


def _mean(parts: Iterable[npt.NDArray[np.float32]], expected: int) -> float:
    total, n_tokens = 0.0, 0
    for part in work.follow(parts, "validation", expected, "tokens", lambda part: part.size):
        total += float(part.sum(dtype=np.float64))
        n_tokens += part.size
    return -total / n_tokens
