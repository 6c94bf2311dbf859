"""The loss over the whole validation text: quickly and often during training, and once exactly at its end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen import work
from rnngen.checkpoint import Weights
from rnngen.config import ModelConfig
from rnngen.engine.language_model import Engine, LanguageModel
from rnngen.engine.scoring import score_lines, score_text
from rnngen.text.dataset import Dataset
from rnngen.training.losses import NatsSum
from rnngen.training.torch_model import TorchModel

SEGMENTS = 32
RUN_UP = 512  # tokens that a segment's state comes from; their own loss does not count
SHORTEST_SEGMENT = 2 * RUN_UP
PROBE_TOKENS = 256
PIECE_TOKENS = 1 << 18  # of the text in memory at a time

Scored = tuple[npt.NDArray[np.floating], npt.NDArray[Any]]  # natural log-probabilities, and the ids that they are of


def validation_loss(model: LanguageModel, data: Dataset) -> NatsSum:
    """The sums over the whole validation text: with carried state, or each line by itself."""
    ids = data.valid.ids
    if data.lines:
        return nats_sum(_by_lines(model, data), data)
    segments = min(SEGMENTS, len(ids) // SHORTEST_SEGMENT)
    if segments < 2:
        return nats_sum(_in_one_pass(model, data), data)
    return nats_sum(_side_by_side(model, ids, data.tokenizer.newline_id, segments), data)


def _in_one_pass(model: LanguageModel, data: Dataset) -> Iterator[Scored]:
    return beside(score_text(model, data.valid.ids, data.tokenizer.newline_id), data.valid.ids)


def beside(scored: Iterable[npt.NDArray[np.floating]], ids: npt.NDArray[np.integer]) -> Iterator[Scored]:
    """The log-probabilities of a text, in arrays that may be cut anywhere, each with its ids."""
    place = 0
    for logprobs in scored:
        yield logprobs, ids[place : place + len(logprobs)]
        place += len(logprobs)


def _by_lines(model: LanguageModel, data: Dataset) -> Iterator[Scored]:
    newline_id = data.tokenizer.newline_id
    for lines in lines_of(data.valid.ids, newline_id):
        for line, logprobs in zip(lines, score_lines(model, lines, newline_id), strict=True):
            yield logprobs, np.append(line, newline_id)


def lines_of(ids: npt.NDArray[np.integer], newline_id: int) -> Iterator[list[npt.NDArray[np.integer]]]:
    """The lines without their line breaks; those of one piece of the text together."""
    first = 0
    for start in range(0, len(ids), PIECE_TOKENS):
        ends = start + np.flatnonzero(ids[start : start + PIECE_TOKENS] == newline_id)
        if ends.size:
            yield [line[:-1] for line in np.split(ids[first : ends[-1] + 1], ends[:-1] + 1 - first)]
            first = ends[-1] + 1


def _side_by_side(
    model: LanguageModel, ids: npt.NDArray[np.integer], newline_id: int, segments: int
) -> Iterator[Scored]:
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
        yield logprobs, window
    rest = np.asarray(ids[segments * length :], np.int64)[None]
    if rest.size:
        ending, _ = model.logprobs(_inputs(before[-1:], rest), rest, tuple(part[:, -1:] for part in state))
        yield ending, rest


def _inputs(before: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The id before each target: [B] and [B, T] -> [B, T]."""
    return np.concatenate([before[:, None], targets[:, :-1]], axis=1)


def exact_loss(config: ModelConfig, weights: Weights, data: Dataset) -> NatsSum:
    """The sums over the whole validation text, in one pass with carried state; or each line by itself."""
    engine = Engine(config, weights)
    with work.named("the exact pass"):
        return nats_sum(_by_lines(engine, data) if data.lines else _in_one_pass(engine, data), data)


def exact_seconds(network: TorchModel, data: Dataset) -> float:
    """About how long `exact_loss` will take."""
    if data.lines:
        return 0.0
    engine = Engine(network.config, network.weights())
    ids = np.asarray(data.valid.ids[:PROBE_TOKENS], np.int64)[None]
    start = time.perf_counter()
    engine.logprobs(ids, ids, engine.initial_state(1))
    return (time.perf_counter() - start) * len(data.valid.ids) / ids.size


def nats_sum(scored: Iterable[Scored], data: Dataset) -> NatsSum:
    """The sums over parts of the validation text, followed as they come."""
    # Where no token is unknown, none is looked for.
    unk_id = data.tokenizer.unk_id if data.valid.n_unknown else None
    found = NatsSum()
    for logprobs, ids in work.follow(scored, "validation", len(data.valid.ids), "tokens", lambda part: part[0].size):
        found = found.plus(NatsSum.of(-logprobs, ids, unk_id))
    return found
