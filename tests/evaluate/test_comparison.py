"""The paired bootstrap, and what two models are compared by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from chunks import Chunks

from rnngen.evaluate import comparison
from rnngen.evaluate.comparison import compare, paired_bootstrap, unit_of_comparison
from rnngen.evaluate.predictors import measure_text
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.word import WordTokenizer

CHARS, MORE_CHARS = CharTokenizer(" abc"), CharTokenizer(" abc☃")
RUNNING, SPLIT = WordTokenizer(["a", "b"], "punctuation"), WordTokenizer(["a", "b"], "whitespace")


def measured(engine, tokenizer=CHARS, text="ab c\nb\n☃ca\nabba\n\nac\n" * 20):
    return measure_text(engine, tokenizer, Chunks(text))


def random_units(m, seed=0):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 30, m).astype(np.float64)
    return counts * generator.normal(3, 0.4, m), counts


def test_two_equal_models_differ_by_nothing():
    amounts, counts = random_units(501)
    found = paired_bootstrap(amounts, counts, amounts.copy(), counts.copy())
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_what_is_better_by_the_same_on_every_line_is_better_by_just_that():
    amounts, counts = random_units(200)
    found = paired_bootstrap(amounts, counts, amounts - 0.1 * counts, counts)
    assert (found.value, found.low, found.high) == pytest.approx((-0.1, -0.1, -0.1))


def test_the_interval_turns_round_with_the_models():
    (a, counts), (b, _) = random_units(200, 1), random_units(200, 2)
    forth, back = paired_bootstrap(a, counts, b, counts), paired_bootstrap(b, counts, a, counts)
    assert (back.value, back.low, back.high) == pytest.approx((-forth.value, -forth.high, -forth.low))


def test_the_interval_is_about_two_standard_errors_to_each_side():
    (a, counts), (b, _) = random_units(400, 1), random_units(400, 3)
    found = paired_bootstrap(a, counts, b, counts)
    residuals = (b - a) - found.value * counts
    error = math.sqrt(float(residuals @ residuals)) / counts.sum()
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.3 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.3 * error)


def test_it_is_the_same_every_time_and_however_many_are_drawn_at_a_time(monkeypatch):
    (a, counts), (b, _) = random_units(50, 1), random_units(50, 3)
    first = paired_bootstrap(a, counts, b, counts)
    assert paired_bootstrap(a, counts, b, counts) == first
    monkeypatch.setattr(comparison, "DRAWS_AT_A_TIME", 1)
    again = paired_bootstrap(a, counts, b, counts)
    assert (again.low, again.high) == pytest.approx((first.low, first.high))


def test_of_one_unit_there_is_a_difference_and_no_interval():
    found = paired_bootstrap(np.array([2.0]), np.array([1.0]), np.array([1.0]), np.array([1.0]))
    assert found.value == -1
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_counts_that_differ_are_each_divided_by():
    ones = np.ones(4)
    found = paired_bootstrap(6 * ones, 2 * ones, 8 * ones, 4 * ones)
    assert (found.value, found.low, found.high) == (-1, -1, -1)


@pytest.mark.parametrize(
    ("a", "b", "name"),
    [
        (CHARS, CharTokenizer(" abc"), "nats per token"),
        (SPLIT, SPLIT, "nats per token"),
        (CHARS, MORE_CHARS, "bits per character"),
        (CHARS, ByteTokenizer(), "bits per character"),
        (CHARS, RUNNING, "bits per character"),
        (CHARS, SPLIT, "nats per word"),
        (SPLIT, RUNNING, "nats per word"),
    ],
)
def test_models_are_compared_by_what_is_the_same_for_both(a, b, name):
    assert unit_of_comparison(a, b).name == unit_of_comparison(b, a).name == name


def test_a_model_beside_itself_shows_no_difference(make_engine):
    engine = make_engine()
    found = compare(measured(engine), measured(engine))
    assert (found.difference.low, found.difference.high) == (0, 0)
    assert (found.verdict, found.caveat) == ("no difference shown", None)


def test_a_uniform_model_over_fewer_symbols_is_better_by_the_logarithm(uniform_engine):
    small, large = measured(uniform_engine(6)), measured(uniform_engine(12))
    found = compare(large, small)
    assert found.difference.value == pytest.approx(-math.log(2))
    assert found.verdict == "B is better"
    assert compare(small, large).verdict == "A is better"


def test_bits_are_given_in_bits_and_the_one_with_more_unknown_symbols_is_named(uniform_engine):
    a, b = measured(uniform_engine(8)), measured(uniform_engine(16), MORE_CHARS)
    found = compare(a, b)
    assert found.difference.value == pytest.approx(1)
    assert found.caveat == "the comparison favours A, which has more unknown symbols (20 in A, 0 in B)"
    assert compare(b, a).caveat == "the comparison favours B, which has more unknown symbols (0 in A, 20 in B)"


def test_over_one_line_no_difference_is_shown(uniform_engine):
    a, b = (measured(uniform_engine(V), text="ab\n") for V in (6, 60))
    assert compare(a, b).verdict == "no difference shown"
