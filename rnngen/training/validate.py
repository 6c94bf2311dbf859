"""The loss over the whole of the validation text: again and again while training, and once exactly at its end."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from rnngen.checkpoint import Weights
from rnngen.config import ModelConfig
from rnngen.engine.model import Engine, LanguageModel
from rnngen.engine.scoring import score_lines, score_text
from rnngen.text.dataset import Dataset
from rnngen.training.network import TorchModel

SEGMENTS = 32
RUN_UP = 512  # tokens that a segment's state comes from; their own loss does not count
SHORTEST_SEGMENT = 2 * RUN_UP
PROBE_TOKENS = 256


def validation_loss(model: LanguageModel, data: Dataset) -> float:
    """Nats a token over all of the validation text: with carried state, or of lines each by itself."""
    ids, newline_id = data.valid.ids, data.tokenizer.newline_id
    if data.lines:
        ends = np.flatnonzero(ids == newline_id)
        lines = [line[:-1] for line in np.split(ids, ends + 1)[:-1]]
        return _mean(score_lines(model, lines, newline_id))
    segments = min(SEGMENTS, len(ids) // SHORTEST_SEGMENT)
    if segments < 2:
        return _mean(list(score_text(model, ids, newline_id)))
    return _mean(_side_by_side(model, ids, newline_id, segments))


def _side_by_side(
    model: LanguageModel, ids: npt.NDArray[np.integer], newline_id: int, segments: int
) -> list[npt.NDArray[np.float32]]:
    """Log-probabilities of segments that run in one batch, each after a run-up over the end of the one before it.

    One pass over a text of n tokens must take n steps one after another; this one takes n / segments. Of a trained
    GRU some units remember for over a thousand tokens, so the states at the segments' begins are not quite those of
    the one pass; its loss over the last tenth of tinyshakespeare, 1.47450, came out within 0.0001.
    """
    length = len(ids) // segments
    whole = np.asarray(ids[: segments * length], np.int64)
    targets = whole.reshape(segments, length)
    inputs = np.concatenate([[newline_id], whole[:-1]]).reshape(segments, length)
    run_up = inputs[:-1, -RUN_UP:]
    _, ready = model.logprobs(run_up, run_up, model.initial_state(segments - 1))
    start = tuple(
        np.concatenate([zeros, part], axis=1) for zeros, part in zip(model.initial_state(1), ready, strict=True)
    )
    logprobs, after = model.logprobs(inputs, targets, start)
    rest = np.asarray(ids[segments * length :], np.int64)[None]
    if not rest.size:
        return [logprobs]
    before_rest = np.concatenate([whole[-1:], rest[0, :-1]])[None]
    ending, _ = model.logprobs(before_rest, rest, tuple(part[:, -1:] for part in after))
    return [logprobs, ending]


def exact_loss(config: ModelConfig, weights: Weights, data: Dataset) -> float:
    """Nats a token over all of the validation text, in one pass with carried state; of lines each by itself."""
    engine = Engine(config, weights)
    if data.lines:
        return validation_loss(engine, data)
    return _mean(list(score_text(engine, data.valid.ids, data.tokenizer.newline_id)))


def exact_seconds(network: TorchModel, data: Dataset) -> float:
    """About how long `exact_loss` will take."""
    if data.lines:
        return 0.0
    engine = Engine(network.config, network.weights())
    ids = np.asarray(data.valid.ids[:PROBE_TOKENS], np.int64)[None]
    start = time.perf_counter()
    engine.logprobs(ids, ids, engine.initial_state(1))
    return (time.perf_counter() - start) * len(data.valid.ids) / ids.size


def _mean(parts: list[npt.NDArray[np.float32]]) -> float:
    total = sum(float(part.sum(dtype=np.float64)) for part in parts)
    return -total / sum(part.size for part in parts)
