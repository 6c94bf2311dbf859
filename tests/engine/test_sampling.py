"""Truncating a distribution, drawing from it, and the loop around both."""

from __future__ import annotations

import numpy as np
import pytest

from rnngen.config import SampleConfig
from rnngen.engine.sampling import PENALTY_WINDOW, draw, generate, odds, penalize

LOGITS = np.log(np.array([[0.15, 0.5, 0.05, 0.3]], np.float32))
NEWLINE = np.array([0])


def distribution(logits, config):
    """The probabilities to draw from: odds whose rows sum to 1."""
    found = odds(logits.astype(np.float64), config)
    return found / found.sum(axis=-1, keepdims=True)


def kept(**options) -> list[float]:
    return distribution(LOGITS, SampleConfig(**options))[0].tolist()


def sample(
    model, length=40, context=NEWLINE, streams=(0,), never=(), newline_id=None, barred=None, **options
) -> np.ndarray:
    """Drawn ids, [B, length]."""
    config = SampleConfig(length=length, **options)
    steps = generate(model, context, config, streams=streams, never=never, newline_id=newline_id, barred=barred)
    return np.stack([step.ids for step in steps], axis=1)


@pytest.mark.parametrize(
    ("options", "probs"),
    [
        ({}, [0.15, 0.5, 0.05, 0.3]),
        ({"top_p": 0.7}, [0, 5 / 8, 0, 3 / 8]),
        ({"top_p": 0.9}, [3 / 19, 10 / 19, 0, 6 / 19]),
        ({"top_p": 0.001}, [0, 1, 0, 0]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 5 / 8, 0, 3 / 8]),
        ({"top_k": 9}, [0.15, 0.5, 0.05, 0.3]),
        ({"min_p": 0.25}, [3 / 19, 10 / 19, 0, 6 / 19]),
        ({"min_p": 1.0}, [0, 1, 0, 0]),
        ({"top_k": 2, "top_p": 0.6}, [0, 1, 0, 0]),  # of the two that are left, 5/8 is enough
        ({"temperature": 0.5}, np.array([9, 100, 1, 36]) / 146),  # squares
        ({"temperature": 0.5, "top_p": 0.6}, [0, 1, 0, 0]),  # temperature comes first: 100/146 is enough
        ({"temperature": 0}, [0, 1, 0, 0]),
        ({"temperature": 1e-300}, [0, 1, 0, 0]),
        ({"temperature": 1e30}, [0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_each_option_keeps_what_a_hand_computes(options, probs):
    assert kept(**options) == pytest.approx(list(probs), abs=1e-6)


def test_ties_at_the_border_of_top_k_all_stay():
    logits = np.array([[1.0, 3.0, 1.0, 0.0, 1.0]], np.float32)
    assert (distribution(logits, SampleConfig(top_k=2))[0] > 0).tolist() == [True, True, True, False, True]


def test_of_equally_likely_tokens_temperature_zero_takes_the_first():
    logits = np.array([[0.0, 2.0, 2.0]], np.float32)
    assert distribution(logits, SampleConfig(temperature=0))[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"top_p": 0.9}, {"min_p": 0.1}, {"temperature": 0}])
def test_a_forbidden_token_has_no_probability_and_rows_sum_to_one(options):
    logits = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    logits[:, 2] = -np.inf
    probs = distribution(logits, SampleConfig(**options))
    assert (probs[:, 2] == 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1)


def test_every_row_is_cut_by_itself():
    logits = np.concatenate([LOGITS, LOGITS[:, ::-1]])
    probs = distribution(logits, SampleConfig(top_p=0.7))
    np.testing.assert_array_equal(probs[1], probs[0, ::-1])


def test_a_repetition_penalty_divides_positive_logits_and_multiplies_negative_ones_once():
    logits = np.array([[2.0, -2.0, 1.0], [2.0, -2.0, 1.0]], np.float32)
    penalize(logits, [np.array([0, 1, 1, 0]), np.array([2])], 2.0)
    assert logits.tolist() == [[1.0, -4.0, 1.0], [2.0, -2.0, 0.5]]


def test_a_repetition_penalty_leaves_the_line_break_that_nobody_wrote_and_every_other():
    logits = np.array([[2.0, -2.0, 1.0]], np.float32)
    penalize(logits, [np.array([0, 1, 0])], 2.0, newline_id=0)
    assert logits.tolist() == [[2.0, -4.0, 1.0]]


def test_a_penalty_does_not_make_lines_longer(make_engine):
    # The line break is the likeliest token, whatever came before it.
    changes = {"output.weight": np.zeros((3, 6), np.float32), "output.bias": np.array([5, 4, 3], np.float32)}
    options = {"context": NEWLINE, "temperature": 0, "length": 4, "repetition_penalty": 3.0}
    assert sample(make_engine(changes, vocab_size=3), newline_id=0, **options)[0].tolist() == [0, 0, 0, 0]
    assert sample(make_engine(changes, vocab_size=3), **options)[0].tolist()[0] == 1


def test_barred_ids_are_not_drawn_before_the_least_length(make_engine):
    engine = make_engine({"output.bias": np.array([9, 9, 0, 0, 0, 0, 0], np.float32)})
    asked = []

    def barred():
        asked.append(None)
        return [np.array([0, 1]), np.array([], np.int64), np.array([0])]

    ids = sample(engine, length=60, streams=range(3), min_length=40, barred=barred)
    assert len(asked) == 40
    assert ids[0, :40].min() == 2
    assert ids[2, :40].min() == 1
    assert set(ids[1, :40]) >= {0, 1}
    assert all({0, 1} <= set(row) for row in ids[:, 40:])


def test_the_tokens_that_are_not_barred_share_the_probability_in_proportion(make_engine):
    engine = make_engine()
    logits, _ = engine.forward(NEWLINE[None], engine.initial_state(1))
    masked = logits[:, 0].copy()
    masked[:, [1, 4]] = -np.inf
    probs = distribution(masked, SampleConfig())[0]
    n = 4000
    first = sample(engine, length=1, streams=range(n), min_length=1, barred=lambda: [np.array([1, 4])] * n)[:, 0]
    assert (np.abs(np.bincount(first, minlength=7) / n - probs) <= 4 * np.sqrt(probs * (1 - probs) / n)).all()


@pytest.mark.parametrize(("uniform", "id"), [(0.0, 1), (0.24, 1), (0.26, 3), (0.74, 3), (0.76, 4), (1 - 2**-53, 4)])
def test_a_number_between_0_and_1_falls_on_the_token_whose_share_it_is_in(uniform, id):
    probs = np.array([[0, 0.25, 0, 0.5, 0.25, 0]])
    assert draw(probs, np.array([uniform])).tolist() == [id]


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
def test_no_rounding_draws_a_token_of_probability_zero(uniform):
    generator = np.random.default_rng(0)
    probs = generator.random((5000, 9)) * (generator.random((5000, 9)) < 0.5)
    probs[:, 4] += 1e-9
    ids = draw(probs / probs.sum(axis=1, keepdims=True), np.full(5000, uniform))
    assert (probs[np.arange(5000), ids] > 0).all()


def test_drawn_frequencies_are_the_probabilities():
    n, probs = 40_000, np.array([0.15, 0.5, 0.05, 0.3])
    ids = draw(np.tile(probs, (n, 1)), np.random.default_rng(0).random(n))
    frequencies = np.bincount(ids, minlength=4) / n
    assert (np.abs(frequencies - probs) < 4 * np.sqrt(probs * (1 - probs) / n)).all()


def test_samples_have_the_frequencies_of_the_model_s_softmax(make_engine):
    engine = make_engine()
    logits, _ = engine.forward(NEWLINE[None], engine.initial_state(1))
    probs = distribution(logits[:, 0], SampleConfig())[0]
    n = 4000
    first = sample(engine, length=1, streams=range(n))[:, 0]
    assert (np.abs(np.bincount(first, minlength=7) / n - probs) < 4 * np.sqrt(probs * (1 - probs) / n)).all()


def test_the_same_seed_draws_the_same_ids_and_another_seed_others(make_engine):
    engine = make_engine()
    np.testing.assert_array_equal(sample(engine, seed=5), sample(engine, seed=5))
    assert (sample(engine, seed=5) != sample(engine, seed=6)).any()


@pytest.mark.parametrize("options", [{}, {"repetition_penalty": 1.5, "top_p": 0.9, "temperature": 0.8}])
def test_a_sample_does_not_depend_on_how_many_others_there_are(make_engine, options):
    engine = make_engine()
    together = sample(engine, length=600, streams=range(4), **options)
    alone = sample(engine, length=600, streams=[2], **options)
    np.testing.assert_array_equal(alone[0], together[2])
    assert (together[0] != together[1]).any()


def test_a_shorter_sample_is_the_begin_of_a_longer_one(make_engine):
    engine = make_engine()
    np.testing.assert_array_equal(sample(engine, length=10), sample(engine, length=30)[:, :10])


@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"temperature": 9.0, "repetition_penalty": 3.0}])
def test_never_ids_are_never_drawn(make_engine, options):
    bias = np.array([9, 9, 0, 0, 0, 0, 0], np.float32)  # the model itself would draw them nearly always
    ids = sample(make_engine({"output.bias": bias}), length=200, streams=range(3), never=(0, 1), **options)
    assert ids.min() >= 2


def test_temperature_zero_picks_the_most_likely_token(make_engine):
    engine = make_engine()
    context = np.array([0, 3, 1])
    ids = sample(engine, length=20, context=context, temperature=0)
    logits, _ = engine.forward(np.concatenate([context, ids[0]])[None], engine.initial_state(1))
    np.testing.assert_array_equal(ids[0], logits[0, 2:-1].argmax(axis=-1))


def test_drawn_logprobs_are_those_of_the_model_before_temperature_and_truncation(make_engine):
    engine = make_engine()
    config = SampleConfig(length=30, temperature=0.3, top_k=2, repetition_penalty=1.3)
    drawn = list(generate(engine, NEWLINE, config, streams=[0, 1], never=[0]))
    ids = np.stack([step.ids for step in drawn], axis=1)
    inputs = np.concatenate([np.zeros((2, 1), np.int64), ids[:, :-1]], axis=1)
    wanted, _ = engine.logprobs(inputs, ids, engine.initial_state(2))
    np.testing.assert_allclose(np.stack([step.logprobs for step in drawn], axis=1), wanted, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"ngram_order": 3}], ids=["plain", "n-grams"])
@pytest.mark.parametrize("length", [1, 256, 257, 700])
def test_a_context_of_any_length_is_read_to_its_end(make_engine, length, options):
    engine = make_engine(**options)
    context = np.random.default_rng(0).integers(7, size=length)
    drawn = list(generate(engine, context, SampleConfig(length=4, seed=1)))
    ids = np.concatenate([context, *(step.ids for step in drawn)])
    logits, _ = engine.forward(ids[None], engine.initial_state(1))
    for place, step in enumerate(drawn):
        np.testing.assert_allclose(step.logits[0], logits[0, length - 1 + place], atol=1e-5)


def test_a_strong_penalty_draws_every_token_before_one_comes_again(make_engine):
    engine = make_engine({"output.bias": np.full(7, 20, np.float32)})
    ids = sample(engine, length=6, temperature=0, repetition_penalty=1e6)
    assert sorted(ids[0].tolist()) == [1, 2, 3, 4, 5, 6]  # 0 is the context


def test_the_penalty_forgets_what_is_longer_ago_than_its_window(make_engine):
    changes = {"output.weight": np.zeros((3, 6), np.float32), "output.bias": np.array([1, 2, 3], np.float32)}
    engine = make_engine(changes, vocab_size=3)
    for n_since, id in ((PENALTY_WINDOW - 1, 1), (PENALTY_WINDOW, 2)):
        context = np.array([2, *[0] * n_since])
        assert sample(engine, length=1, context=context, temperature=0, repetition_penalty=100.0).item() == id


def test_a_length_of_zero_draws_nothing(make_engine):
    assert list(generate(make_engine(), NEWLINE, SampleConfig(length=0))) == []
