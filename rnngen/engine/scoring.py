"""Ids to log-probabilities, line by line or over a whole text. All logarithms are natural."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from rnngen.config import ScoreState
from rnngen.engine.cells import Array
from rnngen.engine.language_model import Ids, LanguageModel, State, log_softmax_at, select_rows

BATCH_TOKENS = 1 << 14  # places of a batch of lines, padding included
MOST_ROWS = 256
# Rows of a steady batch. With OpenBLAS the rounding of a row of a product depends on the number of rows. With 5, 12, 16
# or more rows it also depends on the row's place (its kernels for AVX2 take 12 rows, then 4, and add in another order).
# With 8 rows every place rounds alike, in its kernels for SSE, AVX, AVX2 and AVX-512, with 1, 2 and 4 threads.
STEADY_ROWS = 8
WINDOW_TOKENS = 1 << 12  # tokens of a text in a window

# The next ids of a text to their natural log-probabilities, as many. It remembers the text before them.
Reader = Callable[[Ids], npt.NDArray[np.floating]]
# The ids of a whole text, in arrays that may be cut anywhere, and the line break's id to natural log-probabilities, in
# arrays that may be cut elsewhere and together have one entry for each id. The text starts as if after a line break.
Scorer = Callable[[Iterable[Ids], int], Iterator[npt.NDArray[np.floating]]]


def perplexity(logprob_nats: float, count: int) -> float:
    """exp(-logprob_nats / count); NaN where count is 0, infinite where a float cannot hold it."""
    if not count:
        return math.nan
    try:
        return math.exp(-logprob_nats / count)
    except OverflowError:
        return math.inf


def score_lines(
    model: LanguageModel,
    lines: Sequence[Ids],
    newline_id: int,
    bos: bool = True,
    steady: bool = False,
    after: tuple[int, State] | None = None,
) -> list[Array]:
    """Log-probabilities of lines, each scored by itself from a line break to a line break.

    Lines of similar length share a batch. A line has the same numbers as alone, up to rounding.

    Args:
        lines: ids of each line without its line break.
        bos: the line follows a line break. Without it nothing stands before the line, and its first token is context
            only.
        steady: not even rounding depends on the other lines: with the same model, machine and number of threads a line
            has the same numbers to the last bit. It takes almost twice the time. It holds for the numpy engine; on a
            GPU it has not been measured.
        after: the id that stands before every line in place of a line break, and the state before that id, of one row.

    Returns:
        For each line, in order, the natural log-probabilities of its tokens (without `bos` all but the first) and of
        the line break that ends it.
    """
    begin = [after[0] if after else newline_id] if bos else []
    sequences = [np.concatenate([begin, ids, [newline_id]]).astype(np.int64) for ids in lines]
    results: list[Array] = [np.empty(0, np.float32)] * len(lines)
    by_length = sorted(range(len(lines)), key=lambda number: len(lines[number]))
    for batch in _steady_batches(by_length) if steady else _batches(by_length, lines):
        rows = STEADY_ROWS if steady else len(batch)
        padded = np.full((rows, len(sequences[batch[-1]])), newline_id, np.int64)
        for row, number in enumerate(batch):
            padded[row, : len(sequences[number])] = sequences[number]
        inputs, targets = padded[:, :-1], padded[:, 1:]
        state = select_rows(after[1], np.zeros(rows, np.int64)) if after else model.initial_state(rows)
        if steady:
            logprobs = _token_by_token(model, inputs, targets, state)
        else:
            logprobs, _ = model.logprobs(inputs, targets, state)
        for row, number in enumerate(batch):
            results[number] = logprobs[row, : len(sequences[number]) - 1].copy()
    return results


def _token_by_token(model: LanguageModel, inputs: Ids, targets: Ids, state: State) -> Array:
    """[B, T] and [B, T] -> [B, T]; every product has B rows, whatever T is."""
    step = model.stepper(state)
    logprobs = np.empty(inputs.shape, np.float32)
    for place in range(inputs.shape[1]):
        logits = step(inputs[:, place])[:, None]  # [B, 1, V]
        logprobs[:, place] = log_softmax_at(logits, targets[:, place, None])[:, 0]
    return logprobs


def _steady_batches(by_length: list[int]) -> Iterator[list[int]]:
    return (by_length[start : start + STEADY_ROWS] for start in range(0, len(by_length), STEADY_ROWS))


def _batches(by_length: list[int], lines: Sequence[Ids]) -> Iterator[list[int]]:
    batch: list[int] = []
    for number in by_length:
        if batch and (len(batch) == MOST_ROWS or (len(batch) + 1) * (len(lines[number]) + 1) > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def score_text(model: LanguageModel, ids: npt.NDArray[np.integer], newline_id: int) -> Iterator[Array]:
    """Log-probabilities of a whole text, with the state carried from its start (after a line break) to its end.

    Yields:
        Arrays of `WINDOW_TOKENS` entries, the last one shorter, that together have one entry for each id.
    """
    read = _carried(model, newline_id)
    for start in range(0, len(ids), WINDOW_TOKENS):
        yield read(ids[start : start + WINDOW_TOKENS])


def network_reader(model: LanguageModel, newline_id: int, state: ScoreState, bos: bool = True) -> Reader:
    """A function that takes the next ids of a text and gives their log-probabilities.

    Args:
        state: "carry" carries the state from call to call, and the text may be cut anywhere. "reset" scores each line
            by itself, and the ids of a call are whole lines, each with the line break that ends it.
        bos: for "reset", as in `score_lines`: without it the first token of a line has no log-probability.
    """
    read = _carried(model, newline_id)

    def by_windows(ids: Ids) -> Array:
        windows = [read(ids[start : start + WINDOW_TOKENS]) for start in range(0, len(ids), WINDOW_TOKENS)]
        return np.concatenate([np.empty(0, np.float32), *windows])

    def by_lines(ids: Ids) -> Array:
        ends = np.flatnonzero(np.asarray(ids) == newline_id)
        lines = [line[:-1] for line in np.split(ids, ends[:-1] + 1)] if len(ends) else []
        return np.concatenate([np.empty(0, np.float32), *score_lines(model, lines, newline_id, bos)])

    return by_windows if state == "carry" else by_lines


def network_scorer(model: LanguageModel, state: ScoreState = "carry") -> Scorer:
    """A scorer of texts: `network_reader` from the start of each; with "reset" the arrays of ids are whole lines."""
    return lambda arrays, newline_id: map(network_reader(model, newline_id, state), arrays)


def in_windows(arrays: Iterable[Ids], length: int) -> Iterator[Ids]:
    """The same ids in arrays of `length`; the last one may be shorter, and none is empty."""
    rest: Ids = np.empty(0, np.int64)
    for ids in arrays:
        start = 0
        for end in range(length - len(rest), len(ids) + 1, length):
            yield np.concatenate([rest, ids[start:end]])
            rest, start = rest[:0], end
        rest = np.concatenate([rest, ids[start:]])
    if len(rest):
        yield rest


def _carried(model: LanguageModel, newline_id: int) -> Callable[[Ids], Array]:
    """Ids that follow those of the call before -> their log-probabilities."""
    previous = newline_id
    state = model.initial_state(1)

    def read(ids: Ids) -> Array:
        nonlocal previous, state
        targets = np.asarray(ids, np.int64)
        inputs = np.concatenate([[previous], targets[:-1]])
        logprobs, state = model.logprobs(inputs[None], targets[None], state)
        previous = int(targets[-1])
        row: Array = logprobs[0]
        return row

    return read
