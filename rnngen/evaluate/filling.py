"""What is missing in the gaps of a line.

A bidirectional model has the probability of a token given all others. So one missing token is exact. Of several, a
filling is weighed by the sum of the log-probabilities of its tokens, each given all others (Salazar et al. 2020,
"Masked language model scoring"). All fillings are weighed where they are few. Else those are that Gibbs sampling meets.

A model that reads from the left looks for fillings by beam search: the probability of the whole line decides, of the
gaps and of what follows them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnngen.checks import check_whole
from rnngen.config import OnUnknown
from rnngen.engine.bidirectional import BidirectionalModel, logprobs_of
from rnngen.engine.language_model import LanguageModel, State, select_rows
from rnngen.engine.runner import Runner, from_both_sides, from_the_left
from rnngen.engine.sides import Piece, sides_of
from rnngen.errors import DataError
from rnngen.evaluate.gaps import GAP, GapLength, Gapped, find_gaps
from rnngen.tokenizers.base import Tokenizer

MOST_EXACT = 4096  # fillings that are all weighed
CHAINS, SWEEPS = 32, 16  # of Gibbs sampling
BEAM = 64
ROWS = 256  # rows of a batch

LENGTHS = {
    "char": GapLength(1, 8), "byte": GapLength(1, 8), "word": GapLength(1, 1), "subword": GapLength(1, 3)
}  # fmt: skip

Method = Literal["exact", "gibbs", "beam"]
Fillers = tuple[tuple[int, ...], ...]  # the ids in each gap
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Filling:
    """Fillers of all gaps of a line.

    Attributes:
        fillers: the text in each gap.
        probability: of the filling; with "gibbs" and "beam" among those that were found.
        text: the line with them.
    """

    fillers: tuple[str, ...]
    probability: float
    text: str


@dataclass(frozen=True)
class FilledLine:
    """The most likely fillings of a line, the most likely first.

    Attributes:
        method: "exact" and "gibbs" from both sides, "beam" from the left.
    """

    fillings: tuple[Filling, ...]
    method: Method


def fill_lines(
    runner: Runner,
    tokenizer: Tokenizer,
    lines: Iterable[str],
    *,
    mark: str = GAP,
    length: GapLength | None = None,
    top: int = 5,
    seed: int = 0,
    on_unknown: OnUnknown = "unk",
) -> Iterator[FilledLine]:
    """The most likely fillings of each line, as the lines arrive.

    Args:
        lines: with or without their line breaks.
        mark: what stands for a gap.
        length: of a gap, in tokens; None takes `LENGTHS` of the level.
        on_unknown: what becomes of symbols that the model does not know.

    Raises:
        DataError: a line has no gap, or one that cannot be filled.
        TokenizerError: a symbol is unknown and `on_unknown` is "error".
        ConfigError, CheckpointError: as `fill` has them.
    """
    for number, line in enumerate(lines, 1):
        gapped = find_gaps(tokenizer, line.removesuffix("\n"), mark, on_unknown, f"line {number}")
        yield fill(runner, gapped, tokenizer.newline_id, length or LENGTHS[tokenizer.level], top, seed)


def fill(runner: Runner, line: Gapped, newline_id: int, length: GapLength, top: int, seed: int = 0) -> FilledLine:
    """The most likely fillings of the gaps of a line.

    Args:
        length: of a gap, in tokens. Of several lengths the one is taken whose best line has the highest mean
            log-probability of a token; from the left, fillers of all lengths stand beside one another.
        top: how many fillings.
        seed: of Gibbs sampling.

    Raises:
        ConfigError: `top` is no count.
        DataError: several gaps with several lengths.
        CheckpointError: the model's logits are not finite.
    """
    check_whole("top", top, 1)
    if runner.config.bidirectional:
        found, method = _from_both_sides(from_both_sides(runner), line, newline_id, length, seed)
    else:
        found, method = _by_beam(from_the_left(runner), line, newline_id, length), "beam"
    # A filler of blanks is no word.
    is_whole = all if line.tokenizer.level in ("char", "byte") else lambda texts: all(map(str.strip, texts))
    fillings: dict[tuple[str, ...], float] = {}
    for fillers, probability in found:
        texts = tuple(gap.text(np.array(ids)) for gap, ids in zip(line.gaps, fillers, strict=True))
        if is_whole(texts):
            fillings[texts] = fillings.get(texts, 0.0) + probability  # several tokens may have one text
    best = sorted(fillings.items(), key=lambda one: -one[1])[:top]
    return FilledLine(tuple(Filling(texts, p, line.filled(texts)) for texts, p in best), method)


def _from_both_sides(
    model: BidirectionalModel, line: Gapped, newline_id: int, length: GapLength, seed: int
) -> tuple[list[tuple[Fillers, float]], Method]:
    if line.n_gaps > 1 and length.least < length.most:
        raise DataError("of several gaps in a line only one length can be tried: give one with --gap-length")
    tried = []
    for size in length.all:
        slots = _Slots(line, newline_id, size)
        found, method = _weighed(model, slots, seed)
        if length.least == length.most:
            return found, method
        best = slots.with_ids(np.array([list(itertools.chain(*max(found, key=lambda one: one[1])[0]))]))[0]
        tried.append((float(logprobs_of(model, [best])[0].mean()), found, method))
    _, found, method = max(tried, key=lambda one: one[0])
    return found, method


class _Slots:
    """A line with places to fill, between two line breaks.

    Attributes:
        places: of the missing tokens.
        allowed: what may stand in each.
    """

    def __init__(self, line: Gapped, newline_id: int, size: int) -> None:
        self._size = size
        parts: list[npt.NDArray[np.int64]] = [np.array([newline_id])]
        self.places: list[int] = []
        self.allowed: list[npt.NDArray[np.int64]] = []
        for ids, gap in itertools.zip_longest(line.ids, line.gaps):
            parts.append(ids)
            if gap is not None:
                start = sum(map(len, parts))
                self.places += range(start, start + size)
                self.allowed += [gap.allowed(place) for place in range(size)]
                parts.append(np.zeros(size, np.int64))
        self._ids = np.concatenate([*parts, [newline_id]])
        if not all(map(len, self.allowed)):
            raise DataError("the vocabulary has nothing that can stand in a gap here")

    def with_ids(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """[n, slots] -> whole sequences, [n, T]."""
        rows = np.tile(self._ids, (len(values), 1))
        rows[:, self.places] = values
        return rows

    def fillers(self, values: Sequence[int]) -> Fillers:
        return tuple(tuple(values[start : start + self._size]) for start in range(0, len(values), self._size))


def _weighed(model: BidirectionalModel, slots: _Slots, seed: int) -> tuple[list[tuple[Fillers, float]], Method]:
    """Fillings and their probabilities."""
    if len(slots.places) == 1:
        logprobs = _at(model, slots, np.zeros((1, 1), np.int64), 0)[0]
        return [(slots.fillers([id]), math.exp(logprobs[id])) for id in slots.allowed[0].tolist()], "exact"
    method: Method = "exact"
    if math.prod(map(len, slots.allowed)) <= MOST_EXACT:
        values = np.array(list(itertools.product(*(ids.tolist() for ids in slots.allowed))), np.int64)
    else:
        values, method = _gibbs(model, slots, seed), "gibbs"
    weights = sum(
        np.take_along_axis(_at(model, slots, values, slot), values[:, slot, None], 1)[:, 0]
        for slot in range(len(slots.places))
    )
    probs = np.exp(weights - np.max(weights))
    return [
        (slots.fillers(row), p) for row, p in zip(values.tolist(), (probs / probs.sum()).tolist(), strict=True)
    ], method


def _at(model: BidirectionalModel, slots: _Slots, values: npt.NDArray[np.int64], slot: int) -> Array:
    """Log-probabilities of all symbols at one slot, given the others: [n, slots] -> [n, V]."""
    rows, place = slots.with_ids(values), slots.places[slot]
    found = []
    for start in range(0, len(rows), ROWS):
        pieces = [Piece(row, place, place + 1) for row in rows[start : start + ROWS]]
        logits = model.logits(sides_of(pieces, pad_id=0))[:, 0].astype(np.float64)
        found.append(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    return np.concatenate(found)


def _gibbs(model: BidirectionalModel, slots: _Slots, seed: int) -> npt.NDArray[np.int64]:
    """The fillings that Gibbs sampling meets, each once: [n, slots]."""
    generator = np.random.default_rng(seed)
    values = np.stack([generator.choice(ids, CHAINS) for ids in slots.allowed], axis=1)
    met = []
    for sweep in range(SWEEPS):
        for slot, ids in enumerate(slots.allowed):
            logprobs = _at(model, slots, values, slot)[:, ids]
            # The last sweeps climb to the top of each hill.
            noise = generator.gumbel(size=logprobs.shape) if sweep < SWEEPS - 2 else 0.0
            values[:, slot] = ids[np.argmax(logprobs + noise, axis=1)]
            met.append(values.copy())
    return np.unique(np.concatenate(met[len(slots.places) * (SWEEPS // 2) :]), axis=0)


@dataclass(frozen=True)
class _Beam:
    """Beginnings of a line, side by side.

    Attributes:
        fillers: of the gaps so far.
        logprobs: of the beginnings.
        last: [n], the last id of each, which is not in the state.
        state: before it.
    """

    fillers: list[Fillers]
    logprobs: Array
    last: npt.NDArray[np.int64]
    state: State

    def rows(self, chosen: npt.NDArray[np.integer]) -> _Beam:
        fillers = [self.fillers[row] for row in chosen.tolist()]
        return _Beam(fillers, self.logprobs[chosen], self.last[chosen], select_rows(self.state, chosen))

    def best(self, n: int) -> _Beam:
        return self.rows(np.argsort(-self.logprobs, kind="stable")[:n])


def _by_beam(model: LanguageModel, line: Gapped, newline_id: int, length: GapLength) -> list[tuple[Fillers, float]]:
    beam = _Beam([()], np.zeros(1), np.array([newline_id]), model.initial_state(1))
    beam = _read(model, beam, line.ids[0])
    for gap, ids in zip(line.gaps, line.ids[1:], strict=True):
        ended = []
        for place in range(length.most):
            beam = _expand(model, beam, gap.allowed(place), starts=place == 0)
            if place + 1 >= length.least:
                ended.append(beam)
        beam = _joined(ended)
        beam = _read(model, beam, ids).best(BEAM)
    beam = _read(model, beam, np.array([newline_id]))
    probs = np.exp(beam.logprobs - beam.logprobs.max())
    return list(zip(beam.fillers, (probs / probs.sum()).tolist(), strict=True))


def _read(model: LanguageModel, beam: _Beam, ids: npt.NDArray[np.int64]) -> _Beam:
    """The beginnings with the same ids after each."""
    if not len(ids):
        return beam
    targets = np.tile(ids, (len(beam.last), 1))
    inputs = np.concatenate([beam.last[:, None], targets[:, :-1]], axis=1)
    logprobs, state = model.logprobs(inputs, targets, beam.state)
    return _Beam(beam.fillers, beam.logprobs + logprobs.sum(1, dtype=np.float64), targets[:, -1], state)


def _expand(model: LanguageModel, beam: _Beam, allowed: npt.NDArray[np.int64], starts: bool) -> _Beam:
    """The most likely beginnings with one more token of a gap."""
    if not len(allowed):
        raise DataError("the vocabulary has nothing that can stand in a gap here")
    logits, state = model.forward(beam.last[:, None], beam.state)
    rows = logits[:, 0].astype(np.float64)
    totals = (beam.logprobs[:, None] + rows - np.logaddexp.reduce(rows, axis=1, keepdims=True))[:, allowed]
    chosen = np.argsort(-totals, axis=None, kind="stable")[: BEAM * (4 if starts else 1)]
    row, column = np.unravel_index(chosen, totals.shape)
    last = allowed[column]
    fillers = []
    for source, id in zip(row.tolist(), last.tolist(), strict=True):
        known = beam.fillers[source]
        fillers.append((*known, (id,)) if starts else (*known[:-1], (*known[-1], id)))
    return _Beam(fillers, totals[row, column], last, select_rows(state, row))


def _joined(beams: Sequence[_Beam]) -> _Beam:
    states = zip(*(beam.state for beam in beams), strict=True)
    return _Beam(
        [fillers for beam in beams for fillers in beam.fillers],
        np.concatenate([beam.logprobs for beam in beams]),
        np.concatenate([beam.last for beam in beams]),
        tuple(np.concatenate(parts, axis=1) for parts in states),
    )
