"""Windows of a running text and of lines: every token once an epoch, states where they belong."""

from __future__ import annotations

from collections import Counter
from itertools import count, islice, pairwise

import numpy as np
import pytest

from rnngen.training import bptt
from rnngen.training.bptt import IGNORED, RESET_PROBABILITY, line_windows, text_windows

NEWLINE = 1


def spell(ids: np.ndarray) -> list[str]:
    """Columns of a window as words; 0 is a."""
    return ["".join(chr(ord("a") + id) for id in column) for column in ids.T]


def test_three_readers_walk_along_twelve_letters_as_the_drawing_shows():
    seed = next(seed for seed in count() if np.random.default_rng(seed).integers(12) == 0)
    windows = list(islice(text_windows(np.arange(12), 3, 2, np.random.default_rng(seed)), 3))
    assert [spell(window.inputs) for window in windows] == [["ab", "ef", "ij"], ["cd", "gh", "kl"], ["ef", "ij", "ab"]]
    assert [spell(window.targets) for window in windows] == [["bc", "fg", "jk"], ["de", "hi", "la"], ["fg", "jk", "bc"]]
    assert windows[0].fresh.all()
    assert [window.n_tokens for window in windows] == [6, 6, 6]


@pytest.mark.parametrize(("n", "batch_size", "bptt"), [(12, 3, 2), (103, 4, 5), (101, 7, 3), (50, 1, 49), (2, 2, 1)])
def test_every_token_is_a_target_once_an_epoch(n, batch_size, bptt):
    windows = islice(text_windows(np.arange(n), batch_size, bptt, np.random.default_rng(0)), n)
    seen = Counter(np.concatenate([window.targets.ravel() for window in windows]).tolist())
    # n windows make exactly batch_size * bptt epochs, wherever the readers began.
    assert seen == dict.fromkeys(range(n), batch_size * bptt)


def test_within_one_epoch_no_reader_reads_what_another_has_read():
    n, batch_size, bptt = 120, 4, 6
    windows = islice(text_windows(np.arange(n), batch_size, bptt, np.random.default_rng(3)), n // (batch_size * bptt))
    assert sorted(np.concatenate([window.targets.ravel() for window in windows]).tolist()) == list(range(n))


def test_a_window_goes_on_where_the_reader_s_last_one_ended():
    windows = list(islice(text_windows(np.arange(31, dtype=np.uint16), 4, 3, np.random.default_rng(1)), 40))
    inputs = np.concatenate([window.inputs for window in windows])
    targets = np.concatenate([window.targets for window in windows])
    np.testing.assert_array_equal(inputs[1:], targets[:-1])
    assert inputs.dtype == targets.dtype == np.int64
    assert inputs.shape == (120, 4)


def test_a_reader_forgets_its_state_now_and_then():
    windows = list(islice(text_windows(np.arange(50), 20, 1, np.random.default_rng(0)), 2000))[1:]
    rate = np.mean([window.fresh.mean() for window in windows])
    assert rate == pytest.approx(RESET_PROBABILITY, rel=0.3)


def test_another_generator_begins_elsewhere():
    starts = {next(text_windows(np.arange(1000), 1, 1, np.random.default_rng(seed))).inputs.item() for seed in range(9)}
    assert len(starts) == 9


LINES = [[5] * n + [n + 10] for n in range(0, 40)] + [[]]


def read_lines(windows, n_lines: int) -> list[list[int]]:
    """The next lines as their targets spell them, without their line breaks; checks inputs and fresh states too."""
    lines: list[list[int]] = []
    parts: list[np.ndarray] = []
    for window in windows:
        if window.fresh.any():
            lines += _finished(parts)
            parts = []
            if len(lines) >= n_lines:
                break
            assert window.fresh.all()
            assert (window.inputs[0] == NEWLINE).all()
        else:
            # Where a line goes on, the input is the target before it.
            going_on = window.targets[0] != IGNORED
            np.testing.assert_array_equal(window.inputs[0][going_on], parts[-1][-1][going_on])
        parts.append(window.targets)
    return lines


def _finished(parts: list[np.ndarray]) -> list[list[int]]:
    if not parts:
        return []
    columns = np.concatenate(parts).T
    assert ((columns == NEWLINE).sum(axis=1) == 1).all()
    return [column[column != IGNORED][:-1].tolist() for column in columns]


@pytest.mark.parametrize(("batch_size", "bptt"), [(1, 100), (4, 100), (4, 7), (64, 3), (3, 1)])
def test_every_line_comes_once_an_epoch_whole_and_from_a_fresh_state(monkeypatch, batch_size, bptt):
    monkeypatch.setattr("rnngen.training.bptt._POOL", 3)
    ids = np.array([id for line in LINES for id in [*line, NEWLINE]], np.uint16)
    first, second = (
        read_lines(line_windows(ids, NEWLINE, batch_size, bptt, np.random.default_rng(seed)), len(LINES))
        for seed in (0, 1)
    )
    assert sorted(first) == sorted(second) == sorted(LINES)


def test_line_windows_go_on_into_another_epoch_in_another_order():
    ids = np.array([x for line in range(30) for x in (line + 2, NEWLINE)])
    windows = line_windows(ids, NEWLINE, 30, 9, np.random.default_rng(0))
    epochs = [tuple(next(windows).targets[0].tolist()) for _ in range(4)]
    assert all(sorted(epoch) == list(range(2, 32)) for epoch in epochs)
    # One batch of equal lengths, so the order is the shuffle's.
    assert len(set(epochs)) == 4


def test_padding_is_ignored_and_not_counted():
    ids = np.array([7, 8, 9, NEWLINE, NEWLINE, 7, NEWLINE])
    window = next(line_windows(ids, NEWLINE, 3, 10, np.random.default_rng(0)))
    columns = sorted(zip(window.inputs.T.tolist(), window.targets.T.tolist(), strict=True))
    assert [targets for _, targets in columns] == [
        [NEWLINE, IGNORED, IGNORED, IGNORED],
        [7, NEWLINE, IGNORED, IGNORED],
        [7, 8, 9, NEWLINE],
    ]
    assert [inputs for inputs, _ in columns][2] == [NEWLINE, 7, 8, 9]
    assert window.n_tokens == len(ids)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 12, 97, 1000])
def test_an_order_without_an_array_has_every_line_once_and_another_one_next_time(monkeypatch, n):
    monkeypatch.setattr(bptt, "_MOST_SHUFFLED", 0)
    generator = np.random.default_rng(0)
    orders = [bptt._shuffled(n, generator)(np.arange(n)).tolist() for _ in range(5)]
    assert all(sorted(order) == list(range(n)) for order in orders)
    if n > 12:
        assert len({tuple(order) for order in orders}) == 5
        near = [abs(later - earlier) for earlier, later in pairwise(orders[0])]
        assert min(near) > n // 5
