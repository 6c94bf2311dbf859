"""Truncated backpropagation through time: parallel streams, windows, carried state.

A running text is a ring that B readers walk along, each B-th of the way ahead of the next:

    ids     a b c d e f g h i j k l        B = 3, bptt = 2
    reader  0: a b | c d | e f | ...       inputs of a window: [bptt, B]
            1: e f | g h | i j | ...       targets: the ids that follow
            2: i j | k l | a b | ...

So every reader carries its state along the whole text, an epoch sees every token about once, and its windows fall
elsewhere in the next. Lines that are examples of their own are padded to batches of like length, the state reset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IGNORED = -100  # the target of a padded place, torch's own number for it
RESET_PROBABILITY = 0.01  # of a reader at a window (Melis et al. 2018), so that a state of zeros is known too
_POOL = 32  # batches of lines that are sorted by length together


@dataclass(frozen=True)
class Window:
    """One step's data.

    Attributes:
        inputs: [T, B], int64.
        targets: [T, B], int64; IGNORED where there is nothing to predict.
        fresh: [B], bool: rows whose state starts from zeros.
    """

    inputs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    fresh: npt.NDArray[np.bool_]

    @property
    def n_tokens(self) -> int:
        return int((self.targets != IGNORED).sum())


def text_windows(
    ids: npt.NDArray[np.integer], batch_size: int, bptt: int, generator: np.random.Generator
) -> Iterator[Window]:
    """Windows of a running text, without end."""
    places = np.arange(batch_size) * len(ids) // batch_size + int(generator.integers(len(ids)))
    steps = np.arange(bptt + 1)[:, None]
    fresh = np.ones(batch_size, bool)
    while True:
        window = np.asarray(ids[(places + steps) % len(ids)], np.int64)  # [T + 1, B]
        yield Window(window[:-1], window[1:], fresh)
        places += bptt
        fresh = generator.random(batch_size) < RESET_PROBABILITY


def line_windows(
    ids: npt.NDArray[np.integer], newline_id: int, batch_size: int, bptt: int, generator: np.random.Generator
) -> Iterator[Window]:
    """Windows of batches of whole lines, shuffled anew every epoch, without end.

    Args:
        ids: lines, each ended by `newline_id`.
    """
    ends = np.flatnonzero(ids == newline_id)
    lengths = np.diff(ends, prepend=-1)
    starts = ends - lengths + 1
    while True:
        order = generator.permutation(len(starts))
        for pool in np.split(order, range(_POOL * batch_size, len(order), _POOL * batch_size)):
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            batches = np.split(pool, range(batch_size, len(pool), batch_size))
            for turn in generator.permutation(len(batches)):
                batch = batches[turn]
                yield from _pad([ids[starts[line] : ends[line] + 1] for line in batch], newline_id, bptt)


def count_line_windows(ids: npt.NDArray[np.integer], newline_id: int, batch_size: int, bptt: int) -> int:
    """How many windows an epoch of `line_windows` has, to within the chance of its shuffling."""
    lengths = np.sort(np.diff(np.flatnonzero(ids == newline_id), prepend=-1))
    longest = np.maximum.reduceat(lengths, np.arange(0, len(lengths), batch_size))
    return int(np.ceil(longest / bptt).sum())


def _pad(lines: list[npt.NDArray[np.integer]], newline_id: int, bptt: int) -> Iterator[Window]:
    B, longest = len(lines), max(map(len, lines))
    inputs = np.full((longest, B), newline_id, np.int64)
    targets = np.full((longest, B), IGNORED, np.int64)
    for row, line in enumerate(lines):
        inputs[1 : len(line), row] = line[:-1]
        targets[: len(line), row] = line
    for start in range(0, longest, bptt):
        part = slice(start, start + bptt)
        yield Window(inputs[part], targets[part], np.full(B, start == 0))
