"""To predict each token of a text from those on both sides of it.

An example is a stretch of the text: its places are predicted, and some tokens more are read on each side. So no state
is carried from example to example.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from rnngen import work
from rnngen.checkpoint import Weights
from rnngen.engine.bidirectional import BidirectionalEngine, BidirectionalModel, logprobs_of, score_text
from rnngen.engine.sides import Ids, Piece, Sides, sides_of
from rnngen.text.dataset import Dataset
from rnngen.text.ids_on_disk import release
from rnngen.training.bidirectional import BidirectionalNetwork, TorchBidirectional
from rnngen.training.bptt import IGNORED, RELEASE_EVERY, line_batches, line_bounds
from rnngen.training.losses import NatsSum
from rnngen.training.plan import Plan
from rnngen.training.stack import copied_weights
from rnngen.training.task import Loss, State
from rnngen.training.validate import Scored, beside, lines_of, nats_sum

CONTEXT = 16  # tokens that are read beyond the places of an example, on each side


@dataclass(frozen=True)
class Stretch:
    """One step's data, an `Example`.

    Attributes:
        sides: of its places.
        targets: [T, B], int64, the tokens at the places; IGNORED where there is none.
        fresh: [B], bool.
    """

    sides: Sides
    targets: Ids
    fresh: npt.NDArray[np.bool_]

    @property
    def n_tokens(self) -> int:
        return int((self.targets != IGNORED).sum())


class BothSides:
    """The task of a bidirectional model, a `Task`."""

    def __init__(self, plan: Plan, data: Dataset) -> None:
        self._plan, self._data = plan, data
        low = torch.bfloat16 if plan.precision == "bfloat16" else torch.float32
        self.network = BidirectionalNetwork(plan.model, low).to(torch.device(plan.device))
        # Where no token is unknown, none is looked for.
        self.unk_id = data.tokenizer.unk_id if data.train.n_unknown else None

    def initial_state(self, batch_size: int) -> State:
        return ()

    def windows(self, generator: np.random.Generator, skip: int) -> Iterator[Stretch]:
        plan, data = self._plan, self._data
        if data.lines:
            return line_stretches(
                data.train.ids, data.tokenizer.newline_id, plan.batch_size, plan.bptt, generator, skip
            )
        return text_stretches(data.train.ids, plan.batch_size, plan.bptt, generator, skip)

    def loss(self, window: Stretch, state: State) -> Loss:
        loss, losses = self.network.loss(window.sides, window.targets.T)
        return loss, losses, state

    def first_model(self) -> NatsSum | None:
        return None

    def validate(self) -> NatsSum:
        return pseudo_loss(TorchBidirectional(self.network), self._data)

    def weights(self) -> Weights:
        return copied_weights(self.network, self._plan.model)

    def exact(self, weights: Weights) -> NatsSum:
        with work.named("the exact pass"):
            return pseudo_loss(BidirectionalEngine(self._plan.model, weights), self._data)

    def exact_seconds(self) -> float:
        return 0.0  # it is a validation


def text_stretches(
    ids: npt.NDArray[np.integer], batch_size: int, bptt: int, generator: np.random.Generator, skip: int = 0
) -> Iterator[Stretch]:
    """Stretches of a running text, read as a ring, without end; `bptt.text_windows` has the way of the readers."""
    places = np.arange(batch_size) * len(ids) // batch_size + int(generator.integers(len(ids))) + skip * bptt
    # In a short ring the token at a place would come again in its context.
    context = 1 + min(CONTEXT, len(ids) - bptt - 1)
    piece = Piece(np.arange(bptt + 2 * context), context, context + bptt, context)
    left, right, left_at, right_at = piece.read()  # as places of a row
    shape = (batch_size, bptt)
    at = np.broadcast_to(left_at, shape), np.broadcast_to(right_at, shape)
    fresh = np.zeros(batch_size, bool)
    turn = 0
    while True:
        rows = np.asarray(ids[(places[:, None] + piece.ids) % len(ids)], np.int64)
        yield Stretch(Sides(rows[:, left], rows[:, right], *at), rows[:, piece.start : piece.stop].T, fresh)
        places += bptt
        turn += 1
        if turn % RELEASE_EVERY == 0:
            release(ids)


def line_stretches(
    ids: npt.NDArray[np.integer],
    newline_id: int,
    batch_size: int,
    bptt: int,
    generator: np.random.Generator,
    skip: int = 0,
) -> Iterator[Stretch]:
    """Stretches of whole lines, shuffled anew every epoch, without end. Line breaks are read and not predicted.

    Args:
        ids: lines, each ended by `newline_id`.
    """
    bounds = line_bounds(ids, newline_id)
    n_given = 0
    while True:
        for batch in line_batches(bounds, batch_size, generator):
            n_places = bounds[batch + 1] - bounds[batch] - 1
            n_stretches = -(-int(n_places.max()) // bptt)
            if n_given + n_stretches > skip:
                lines = [np.append(newline_id, ids[bounds[line] : bounds[line + 1]]) for line in batch]
                yield from islice(_of_lines(lines, newline_id, bptt), max(0, skip - n_given), None)
                release(ids)
            n_given += n_stretches


def _of_lines(lines: list[npt.NDArray[np.integer]], newline_id: int, bptt: int) -> Iterator[Stretch]:
    for start in range(1, max(map(len, lines)) - 1, bptt):
        pieces = [
            Piece(line, start, min(start + bptt, len(line) - 1), CONTEXT + 1) for line in lines if start < len(line) - 1
        ]
        targets = np.full((max(piece.n_places for piece in pieces), len(pieces)), IGNORED, np.int64)
        for row, piece in enumerate(pieces):
            targets[: piece.n_places, row] = piece.ids[piece.start : piece.stop]
        yield Stretch(sides_of(pieces, newline_id), targets, np.zeros(len(pieces), bool))


def pseudo_loss(model: BidirectionalModel, data: Dataset) -> NatsSum:
    """The sums over the whole validation text: of a running text, or of the tokens of each line by itself."""
    ids, newline_id = data.valid.ids, data.tokenizer.newline_id
    return nats_sum(_by_lines(model, ids, newline_id) if data.lines else _as_one(model, ids, newline_id), data)


def _as_one(model: BidirectionalModel, ids: npt.NDArray[np.integer], newline_id: int) -> Iterator[Scored]:
    return beside(score_text(model, [ids], newline_id), ids)


def _by_lines(model: BidirectionalModel, ids: npt.NDArray[np.integer], newline_id: int) -> Iterator[Scored]:
    for lines in lines_of(ids, newline_id):
        found = logprobs_of(model, [np.concatenate([[newline_id], line, [newline_id]]) for line in lines])
        yield from zip(found, lines, strict=True)
