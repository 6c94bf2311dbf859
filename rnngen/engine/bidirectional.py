"""A bidirectional network in numpy: each token from those on both sides of it.

The layers of the two directions know nothing of one another (as in Peters et al. 2018, "Deep contextualized word
representations"): a layer above both would have read the token that is to be predicted. Only the last outputs meet:

    joint = h_left + h_right + relu(W [h_left; h_right] + b)        p = softmax(V joint + c)

with h_left the output before the token and h_right the one after it. Without the first two terms models of words learn
hardly more than how frequent each word is; without the last one models of characters are worse (docs/defaults.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.config import ModelConfig
from rnngen.engine.cells import Array
from rnngen.engine.language_model import LOGITS_AT_A_TIME, log_softmax_at
from rnngen.engine.sides import CONTEXT, WINDOW, Ids, Piece, Sides, pieces_of, sides_of
from rnngen.engine.stack import Stack

BATCH_IDS = 1 << 15  # that are read together, padding included
MOST_ROWS = 256
_quietly = np.errstate(over="ignore", invalid="ignore")


class BidirectionalModel(Protocol):
    """Both sides of some places in; the probabilities at these places out."""

    @property
    def config(self) -> ModelConfig: ...

    def logits(self, sides: Sides) -> Array:
        """Logits of the token at each place, [B, T, V], float32."""

    def logprobs(self, sides: Sides, targets: Ids) -> Array:
        """Natural log-probability of each target: [B, T] -> [B, T], float32."""


class BidirectionalEngine:
    """The implementation of BidirectionalModel in numpy, its recurrence in C where that is compiled.

    Args:
        weights: as in a checkpoint.
    """

    def __init__(self, config: ModelConfig, weights: dict[str, npt.NDArray[Any]]) -> None:
        self._config = config
        self._left, self._right = (Stack(config, weights, suffix) for suffix in config.directions)
        from_left, from_right = np.split(weights["joint.weight"].T, 2)
        self._w_left, self._w_right, self._b_joint = from_left, from_right, weights["joint.bias"]
        self._w_output = weights["embedding.weight" if config.tie_weights else "output.weight"].T
        self._b_output = weights["output.bias"]

    @property
    def config(self) -> ModelConfig:
        return self._config

    @_quietly
    def logits(self, sides: Sides) -> Array:
        joint = self._joint(sides)
        logits: Array = joint.reshape(-1, joint.shape[-1]) @ self._w_output + self._b_output
        return logits.reshape(*joint.shape[:2], -1)

    @_quietly
    def logprobs(self, sides: Sides, targets: Ids) -> Array:
        joint = self._joint(sides)
        flat, wanted = joint.reshape(-1, joint.shape[-1]), targets.reshape(-1)
        found = np.empty(len(flat), np.float32)
        rows = max(1, LOGITS_AT_A_TIME // self._config.vocab_size)
        for start in range(0, len(flat), rows):
            part = slice(start, start + rows)
            logits = flat[part] @ self._w_output + self._b_output
            found[part] = log_softmax_at(logits[None], wanted[None, part])[0]
        return found.reshape(targets.shape)

    def _joint(self, sides: Sides) -> Array:
        """[B, T, H]."""
        left = _outputs(self._left, sides.left, sides.left_at)
        right = _outputs(self._right, sides.right, sides.right_at)
        joint: Array = left @ self._w_left
        joint += right @ self._w_right
        joint += self._b_joint
        np.maximum(joint, 0, out=joint)
        joint += left
        joint += right
        return joint


def _outputs(stack: Stack, ids: Ids, at: Ids) -> Array:
    """The outputs of one direction for each place, [B, T, H]."""
    outputs, _ = stack.run(ids.T, stack.initial_state(len(ids)))  # [L, B, H]
    chosen: Array = outputs[at, np.arange(len(ids))[:, None]]
    return chosen


def logprobs_of(model: BidirectionalModel, sequences: Sequence[npt.NDArray[np.integer]]) -> list[Array]:
    """Log-probability of each token given all others of its sequence.

    A place of a long sequence is predicted from `CONTEXT` tokens on each side at least, and from all of a sequence of
    `WINDOW` places or less.

    Args:
        sequences: ids; the first and the last of each are read, and are not predicted.

    Returns:
        For each sequence, in order, natural log-probabilities, one for each id between its first and its last.
    """
    numbered = [(number, piece) for number, ids in enumerate(sequences) for piece in pieces_of(ids)]
    numbered.sort(key=lambda one: one[1].n_places)
    parts: list[dict[int, Array]] = [{} for _ in sequences]
    for batch in _batches(numbered):
        pieces = [piece for _, piece in batch]
        for (number, piece), logprobs in zip(batch, _of_batch(model, pieces), strict=True):
            parts[number][piece.start] = logprobs
    empty = np.empty(0, np.float32)
    return [np.concatenate([empty, *(found[start] for start in sorted(found))]) for found in parts]


def logprobs_of_pieces(model: BidirectionalModel, pieces: Iterable[Piece]) -> Iterator[Array]:
    """The same for pieces of about one length, in order."""
    for batch in _batches((0, piece) for piece in pieces):
        yield from _of_batch(model, [piece for _, piece in batch])


def score_text(
    model: BidirectionalModel, arrays: Iterable[npt.NDArray[np.integer]], newline_id: int
) -> Iterator[Array]:
    """Log-probability of each token of a text given all others; a line break stands before it and after it.

    Args:
        arrays: the ids of the text, cut anywhere.

    Yields:
        Arrays that together have one entry for each id.
    """
    for pieces in _pieces_as_they_come(arrays, newline_id):
        yield from logprobs_of_pieces(model, pieces)


def _pieces_as_they_come(arrays: Iterable[npt.NDArray[np.integer]], newline_id: int) -> Iterator[list[Piece]]:
    """The pieces of `pieces_of` the whole sequence, some at a time."""
    together = WINDOW * (BATCH_IDS // (WINDOW + CONTEXT))
    known: npt.NDArray[np.integer] = np.array([newline_id])
    start = 1  # the first place in `known` that was not given
    for ids in chain(arrays, [np.array([newline_id])]):
        known = np.concatenate([known, ids])
        while len(known) > start + together + CONTEXT:
            yield _pieces_from(known, start, start + together)
            kept = max(0, start + together - CONTEXT)
            known, start = known[kept:], start + together - kept
    yield _pieces_from(known, start, len(known) - 1)


def _pieces_from(ids: npt.NDArray[np.integer], start: int, stop: int) -> list[Piece]:
    return [Piece(ids, first, min(first + WINDOW, stop)) for first in range(start, stop, WINDOW)]


def _of_batch(model: BidirectionalModel, pieces: Sequence[Piece]) -> list[Array]:
    targets = np.zeros((len(pieces), max(piece.n_places for piece in pieces)), np.int64)
    for row, piece in zip(targets, pieces, strict=True):
        row[: piece.n_places] = piece.ids[piece.start : piece.stop]
    found = model.logprobs(sides_of(pieces, pad_id=0), targets)
    return [row[: piece.n_places] for row, piece in zip(found, pieces, strict=True)]


def _batches(numbered: Iterable[tuple[int, Piece]]) -> Iterator[list[tuple[int, Piece]]]:
    batch: list[tuple[int, Piece]] = []
    for number, piece in numbered:
        if batch and (len(batch) == MOST_ROWS or (len(batch) + 1) * piece.n_read > BATCH_IDS):
            yield batch
            batch = []
        batch.append((number, piece))
    if batch:
        yield batch
