"""Log-probabilities of lines and texts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnngen.engine import scoring
from rnngen.engine.scoring import in_windows, network_reader, network_scorer, perplexity, score_lines, score_text

NEWLINE, V = 0, 7


def random_ids(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(V, size=n).astype(np.uint16)


def one_pass(model, ids) -> np.ndarray:
    ids = ids.astype(np.int64)
    inputs = np.concatenate([[NEWLINE], ids])[:-1]
    return model.logprobs(inputs[None], ids[None], model.initial_state(1))[0][0]


def test_the_perplexity_of_a_half_and_a_quarter_is_two_times_the_root_of_two():
    assert perplexity(math.log(1 / 2) + math.log(1 / 4), 2) == pytest.approx(2 * math.sqrt(2))


def test_the_perplexity_of_nothing_is_not_a_number_and_one_beyond_floats_is_infinite():
    assert math.isnan(perplexity(0.0, 0))
    assert perplexity(-1e9, 1) == math.inf


@pytest.mark.parametrize("vocab_size", [1, 2, 7, 300])
def test_the_perplexity_of_a_uniform_model_is_its_vocabulary_size(uniform_engine, vocab_size):
    ids = np.arange(50) % vocab_size
    logprobs = np.concatenate(list(score_text(uniform_engine(vocab_size), ids, NEWLINE)))
    assert perplexity(float(logprobs.sum(dtype=np.float64)), len(logprobs)) == pytest.approx(vocab_size)


LINES = [random_ids(n) for n in (5, 0, 1, 12, 5, 0, 3)]


@pytest.mark.parametrize("constants", [{}, {"MOST_ROWS": 2}, {"BATCH_TOKENS": 20}, {"BATCH_TOKENS": 1}])
def test_every_line_scores_as_it_does_alone(make_engine, monkeypatch, cell_options, constants):
    engine = make_engine(**cell_options)
    for name, value in constants.items():
        monkeypatch.setattr(scoring, name, value)
    scores = score_lines(engine, LINES, NEWLINE)
    assert len(scores) == len(LINES)
    for line, found in zip(LINES, scores, strict=True):
        np.testing.assert_allclose(found, one_pass(engine, np.append(line, NEWLINE)), atol=1e-5)


def test_many_lines_come_back_in_their_order(make_engine):
    engine = make_engine()
    lines = [random_ids(n % 23) for n in range(600)]
    scores = score_lines(engine, lines, NEWLINE)
    assert [len(score) for score in scores] == [n % 23 + 1 for n in range(600)]
    for number in (0, 255, 256, 257, 599):
        np.testing.assert_allclose(scores[number], score_lines(engine, [lines[number]], NEWLINE)[0], atol=1e-5)


def test_no_lines_have_no_scores(make_engine):
    assert score_lines(make_engine(), [], NEWLINE) == []


@pytest.mark.parametrize("n", [1, 15, 16, 17, 150])
def test_a_text_in_windows_scores_as_one_pass(make_engine, cell_options, monkeypatch, n):
    monkeypatch.setattr(scoring, "WINDOW_TOKENS", 16)
    engine, ids = make_engine(num_layers=2, **cell_options), random_ids(n)
    parts = list(score_text(engine, ids, NEWLINE))
    assert [len(part) for part in parts[:-1]] == [16] * (len(parts) - 1)
    np.testing.assert_allclose(np.concatenate(parts), one_pass(engine, ids), atol=2e-5)


def test_an_empty_text_yields_nothing(make_engine):
    assert list(score_text(make_engine(), random_ids(0), NEWLINE)) == []


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_with_the_state_carried_a_reader_takes_a_text_cut_anywhere(make_engine, monkeypatch, cut):
    monkeypatch.setattr(scoring, "WINDOW_TOKENS", 16)
    engine, ids = make_engine(), random_ids(100)
    parts = [ids[start : start + cut] for start in range(0, 100, cut)]
    read = network_reader(engine, NEWLINE, "carry")
    found = [read(part) for part in parts]
    assert [len(part) for part in found] == [len(part) for part in parts]
    np.testing.assert_allclose(np.concatenate(found), one_pass(engine, ids), atol=2e-5)
    for _ in range(2):  # each time from the start of the text
        again = list(network_scorer(engine)(parts, NEWLINE))
        np.testing.assert_array_equal(np.concatenate(again), np.concatenate(found))


@pytest.mark.parametrize("bos", [True, False])
def test_with_the_state_reset_a_reader_scores_each_line_by_itself(make_engine, bos):
    engine, lines = make_engine(), [np.array(line, np.uint16) for line in ([3, 5], [], [1, 2, 6], [4])]
    read = network_reader(engine, NEWLINE, "reset", bos)
    found = [read(np.concatenate([np.append(line, NEWLINE) for line in part])) for part in (lines[:3], lines[3:])]
    expected = score_lines(engine, lines, NEWLINE, bos)
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=1e-5)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_a_reader_of_no_ids_gives_nothing(make_engine, state):
    assert len(network_reader(make_engine(), NEWLINE, state)(random_ids(0))) == 0


@pytest.mark.parametrize("lengths", [[0], [3], [4], [9], [1, 1, 1, 1, 1], [5, 0, 2, 7], [8, 4]])
def test_windows_are_the_same_ids_in_arrays_of_one_length(lengths):
    ids = np.arange(sum(lengths))
    windows = list(in_windows(np.split(ids, np.cumsum(lengths)[:-1]), 4))
    assert np.concatenate([np.zeros(0), *windows]).tolist() == ids.tolist()
    assert [len(window) for window in windows[:-1]] == [4] * (len(windows) - 1)
    assert all(1 <= len(window) <= 4 for window in windows)


MANY = [random_ids(n % 13 + 1) for n in range(45)]


@pytest.mark.parametrize("hidden_size", [24, 100])
def test_the_steady_numbers_of_a_line_are_the_same_bits_in_any_order_and_any_company(
    make_engine, model_options, hidden_size
):
    engine = make_engine(hidden_size=hidden_size, **model_options)
    scores = [score.tobytes() for score in score_lines(engine, MANY, NEWLINE, steady=True)]
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(MANY))[: 45 - 7 * seed]
        again = score_lines(engine, [MANY[number] for number in order], NEWLINE, steady=True)
        assert [score.tobytes() for score in again] == [scores[number] for number in order]
    for number in (0, 20, 44):
        (alone,) = score_lines(engine, [MANY[number]], NEWLINE, steady=True)
        assert alone.tobytes() == scores[number]


def test_equal_lines_among_longer_ones_have_equal_steady_numbers(make_engine):
    engine = make_engine(hidden_size=100, num_layers=2)
    lines = [random_ids(5), *(random_ids(n) for n in range(30))] * 2
    scores = score_lines(engine, lines, NEWLINE, steady=True)
    assert len({scores[number].tobytes() for number in (0, 6, 31, 37)}) == 1


@pytest.mark.parametrize("num_layers", [1, 2])
def test_steady_numbers_are_the_usual_ones_up_to_rounding(make_engine, model_options, num_layers):
    engine = make_engine(num_layers=num_layers, **model_options)
    usual, steady = score_lines(engine, LINES, NEWLINE), score_lines(engine, LINES, NEWLINE, steady=True)
    for one, other in zip(usual, steady, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert score_lines(engine, [], NEWLINE, steady=True) == []
