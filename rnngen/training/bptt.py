"""Truncated backpropagation through time: parallel streams, windows, carried state.

B readers walk along a running text as along a ring, with equal distances between them:

    ids     a b c d e f g h i j k l        B = 3, bptt = 2
    reader  0: a b | c d | e f | ...       inputs of a window: [bptt, B]
            1: e f | g h | i j | ...       targets: the ids that follow
            2: i j | k l | a b | ...

So every reader carries its state along the whole text. An epoch sees every token about once, and the windows of the
next epoch lie elsewhere. Lines that are examples of their own are padded to batches of similar length, and each starts
with a state of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import numpy.typing as npt

from rnngen.text.ids_on_disk import release

IGNORED = -100  # the target of a padded place, torch's own number for it
# Of a reader's state at a window (Melis et al. 2018), so that the model also learns to start from zeros.
RESET_PROBABILITY = 0.01
_POOL = 32  # batches of lines that are sorted by length together
_MOST_SHUFFLED = 1 << 22  # lines that are shuffled in an array; the products for larger numbers stay below 2^63
_PIECE = 1 << 22  # ids that are searched for line breaks together
RELEASE_EVERY = 100  # windows; the readers take up about 16 MB of a mapped file in that time


@dataclass(frozen=True)
class Window:
    """One step's data.

    Attributes:
        inputs: [T, B], int64.
        targets: [T, B], int64; IGNORED where there is nothing to predict.
        fresh: [B], bool: rows whose state starts from zeros.
        before: [history, B], int64, the ids before the inputs; -1 where none is.
        own: [T, B], int64: the targets that were counted in the text's n-grams; -1 for others.
    """

    inputs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    fresh: npt.NDArray[np.bool_]
    before: npt.NDArray[np.int64]
    own: npt.NDArray[np.int64]

    @property
    def n_tokens(self) -> int:
        return int((self.targets != IGNORED).sum())


@dataclass(frozen=True)
class Counted:
    """What the n-grams of a text need at its windows.

    Attributes:
        history: how many ids before a window they look at.
        contains: which places of the text were counted: [n] -> [n], bool.
    """

    history: int = 0
    contains: Callable[[npt.NDArray[np.integer]], npt.NDArray[np.bool_]] = lambda places: np.zeros(places.shape, bool)


def text_windows(
    ids: npt.NDArray[np.integer],
    batch_size: int,
    bptt: int,
    generator: np.random.Generator,
    skip: int = 0,
    counted: Counted = Counted(),
) -> Iterator[Window]:
    """Windows of a running text, without end.

    Args:
        skip: number of windows to leave out at the start, because an earlier run has used them.
    """
    places = np.arange(batch_size) * len(ids) // batch_size + int(generator.integers(len(ids))) + skip * bptt
    steps = np.arange(-counted.history, bptt + 1)[:, None]
    fresh = np.ones(batch_size, bool)
    if skip:
        # A number takes one step of the generator.
        generator.bit_generator.advance((skip - 1) * batch_size)  # type: ignore[attr-defined]
        fresh = generator.random(batch_size) < RESET_PROBABILITY
    for turn in count(1):
        wanted = (places + steps) % len(ids)  # [history + T + 1, B]
        found = np.asarray(ids[wanted], np.int64)
        before, window = found[: counted.history], found[counted.history :]
        own = np.where(counted.contains(wanted[counted.history + 1 :]), window[1:], -1)
        yield Window(window[:-1], window[1:], fresh, before, own)
        places += bptt
        fresh = generator.random(batch_size) < RESET_PROBABILITY
        if turn % RELEASE_EVERY == 0:
            release(ids)


def line_windows(
    ids: npt.NDArray[np.integer],
    newline_id: int,
    batch_size: int,
    bptt: int,
    generator: np.random.Generator,
    skip: int = 0,
    counted: Counted = Counted(),
) -> Iterator[Window]:
    """Windows of batches of whole lines, shuffled anew every epoch, without end.

    Args:
        ids: lines, each ended by `newline_id`.
        skip: as `text_windows` has it.
    """
    bounds = line_bounds(ids, newline_id)
    n_given = 0
    while True:
        for batch in line_batches(bounds, batch_size, generator):
            n_windows = -(-int((bounds[batch + 1] - bounds[batch]).max()) // bptt)
            if n_given + n_windows > skip:
                lines = [ids[bounds[line] : bounds[line + 1]] for line in batch]
                yield from islice(_pad(lines, bounds[batch], newline_id, bptt, counted), max(0, skip - n_given), None)
                release(ids)
            n_given += n_windows


def line_batches(
    bounds: npt.NDArray[np.integer], batch_size: int, generator: np.random.Generator
) -> Iterator[npt.NDArray[np.integer]]:
    """The numbers of all lines, shuffled, in batches of similar length."""
    n_lines = len(bounds) - 1
    order = _shuffled(n_lines, generator)
    for start in range(0, n_lines, _POOL * batch_size):
        pool = order(np.arange(start, min(start + _POOL * batch_size, n_lines)))
        pool = pool[np.argsort(bounds[pool + 1] - bounds[pool], kind="stable")]
        batches = np.split(pool, range(batch_size, len(pool), batch_size))
        for turn in generator.permutation(len(batches)):
            yield batches[turn]


def _shuffled(n: int, generator: np.random.Generator) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.integer]]:
    """Numbers at some places of a permutation of the numbers below n.

    For a large n the permutation is a x + b modulo n, with a and n coprime, which takes no memory.
    """
    if n <= _MOST_SHUFFLED:
        order = np.arange(n, dtype=np.uint32)
        generator.shuffle(order)
        return order.__getitem__
    first = int(generator.integers(n))
    step = int(generator.integers(n // 4, n - n // 4))
    while math.gcd(step, n) != 1:
        step += 1
    return lambda places: (places * step + first) % n


def line_bounds(ids: npt.NDArray[np.integer], newline_id: int) -> npt.NDArray[np.integer]:
    """Where each line starts, and where the last one ends, as one array: a gigabyte can have 30 million lines."""
    pieces = range(0, len(ids), _PIECE)
    n_lines = 0
    for start in pieces:
        n_lines += int(np.count_nonzero(ids[start : start + _PIECE] == newline_id))
        release(ids)
    bounds: npt.NDArray[np.integer] = np.zeros(n_lines + 1, np.uint32 if len(ids) < 1 << 32 else np.int64)
    filled = 1
    for start in pieces:
        ends = np.flatnonzero(ids[start : start + _PIECE] == newline_id) + (start + 1)
        bounds[filled : filled + len(ends)] = ends
        filled += len(ends)
        release(ids)
    return bounds


def count_line_windows(ids: npt.NDArray[np.integer], newline_id: int, batch_size: int, bptt: int) -> int:
    """How many windows an epoch of `line_windows` has, to within the chance of its shuffling."""
    lengths = np.diff(line_bounds(ids, newline_id))
    lengths.sort()
    last = [len(lengths) - 1] if len(lengths) % batch_size else []
    longest = lengths[[*range(batch_size - 1, len(lengths), batch_size), *last]]
    return int(np.ceil(longest / bptt).sum())


def _pad(
    lines: list[npt.NDArray[np.integer]],
    starts: npt.NDArray[np.integer],
    newline_id: int,
    bptt: int,
    counted: Counted,
) -> Iterator[Window]:
    """Windows of lines that start at these places of the text."""
    B, longest, history = len(lines), max(map(len, lines)), counted.history
    inputs = np.full((history + longest, B), newline_id, np.int64)
    inputs[:history] = -1
    targets = np.full((longest, B), IGNORED, np.int64)
    own = np.full((longest, B), -1, np.int64)
    for row, (line, start) in enumerate(zip(lines, starts, strict=True)):
        inputs[history + 1 : history + len(line), row] = line[:-1]
        targets[: len(line), row] = line
        own[: len(line), row] = np.where(counted.contains(int(start) + np.arange(len(line))), line.astype(np.int64), -1)
    for start in range(0, longest, bptt):
        part, end = slice(start, start + bptt), min(longest, start + bptt)
        before, window = inputs[start : start + history], inputs[start + history : end + history]
        yield Window(window, targets[part], np.full(B, start == 0), before, own[part])
