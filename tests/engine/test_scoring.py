"""Log-probabilities of lines and texts, and the totals made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnngen.engine import scoring
from rnngen.engine.scoring import Totals, count_text, score_lines, score_text

NEWLINE, V = 0, 7


def random_ids(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(V, size=n).astype(np.uint16)


def one_pass(model, ids) -> np.ndarray:
    ids = ids.astype(np.int64)
    inputs = np.concatenate([[NEWLINE], ids])[:-1]
    return model.logprobs(inputs[None], ids[None], model.initial_state(1))[0][0]


def test_the_perplexity_of_a_half_and_a_quarter_is_two_times_the_root_of_two():
    total = Totals(math.log(1 / 2) + math.log(1 / 4), n_tokens=2)
    assert total.perplexity == pytest.approx(2 * math.sqrt(2))
    assert total.loss_nats == pytest.approx(1.5 * math.log(2))


def test_each_total_divides_by_its_own_count():
    total = Totals(-24 * math.log(2), n_tokens=12, n_unknown=1, n_words=3, n_chars=8, n_bytes=6)
    assert total.loss_nats == pytest.approx(2 * math.log(2))
    assert total.perplexity == pytest.approx(4)
    assert total.perplexity_per_word == pytest.approx(256)
    assert total.bits_per_char == pytest.approx(3)
    assert total.bits_per_byte == pytest.approx(4)


def test_totals_add_up_field_by_field():
    assert Totals(-1.5, 1, 2, 3, 4, 5) + Totals(-2.0, 10, 20, 30, 40, 50) == Totals(-3.5, 11, 22, 33, 44, 55)


def test_totals_of_nothing_are_not_a_number_and_those_beyond_floats_are_infinite():
    nothing = Totals()
    for value in (nothing.loss_nats, nothing.perplexity, nothing.perplexity_per_word, nothing.bits_per_char):
        assert math.isnan(value)
    assert Totals(-1e9, n_tokens=1).perplexity == math.inf


def test_a_text_is_counted_in_words_characters_and_bytes():
    assert count_text("  a naïve\tcafé 🙂\n") == Totals(n_words=4, n_chars=17, n_bytes=22)
    assert count_text("") == Totals()


@pytest.mark.parametrize("vocab_size", [1, 2, 7, 300])
def test_the_perplexity_of_a_uniform_model_is_its_vocabulary_size(uniform_engine, vocab_size):
    ids = np.arange(50) % vocab_size
    logprobs = np.concatenate(list(score_text(uniform_engine(vocab_size), ids, NEWLINE)))
    assert Totals(float(logprobs.sum(dtype=np.float64)), len(logprobs)).perplexity == pytest.approx(vocab_size)


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
