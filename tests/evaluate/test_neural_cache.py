"""The neural cache: two places by hand, the model alone at weight 0, no look ahead, and a text that repeats itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnngen.engine.scoring import score_text
from rnngen.errors import ConfigError
from rnngen.evaluate import neural_cache
from rnngen.evaluate.neural_cache import SIZES, THETAS_TIMES_H, WEIGHTS, cached_scorer, default_settings, tune_cache
from rnngen.training.torch_model import load_torch_model

NEWLINE, V = 0, 7


def random_ids(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(V, size=n).astype(np.uint16)


def whole(scorer, ids) -> np.ndarray:
    return np.concatenate(list(scorer([np.asarray(ids)], NEWLINE)))


def loss(logprobs) -> float:
    return -float(np.mean(logprobs))


def test_a_cache_of_two_places_is_what_the_formula_says(make_engine):
    engine, ids = make_engine(), [3, 5, 3, 5]
    theta, weight = 0.7, 0.25
    outputs, _ = engine.outputs(np.array([[NEWLINE, 3, 5, 3]]), engine.initial_state(1))
    h = outputs[0].tolist()
    alone = np.exp(np.concatenate(list(score_text(engine, np.array(ids), NEWLINE)))).tolist()

    def vote(t: int, i: int) -> float:
        return math.exp(theta * sum(a * b for a, b in zip(h[t], h[i], strict=True)))

    wanted = [
        alone[0],  # nothing to remember
        (1 - weight) * alone[1] + weight * 0.0,  # place 0 was followed by 3, not by 5
        (1 - weight) * alone[2] + weight * vote(2, 0) / (vote(2, 0) + vote(2, 1)),
        (1 - weight) * alone[3] + weight * vote(3, 1) / (vote(3, 1) + vote(3, 2)),  # place 0 is forgotten
    ]
    found = np.exp(whole(cached_scorer(engine, theta, weight, size=2), ids))
    assert found.tolist() == pytest.approx(wanted, rel=1e-5)


def test_with_theta_0_the_cache_counts_the_last_tokens(uniform_engine):
    found = whole(cached_scorer(uniform_engine(4), theta=0, weight=0.5, size=3), [1, 1, 2, 1, 3])
    shares = [None, 1, 0, 2 / 3, 0]  # of 1; 1; 1 1; 1 1 2; 1 2 1
    wanted = [0.25 if share is None else 0.5 * 0.25 + 0.5 * share for share in shares]
    assert np.exp(found).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("n_windows", [1, 3])
def test_probabilities_over_the_vocabulary_sum_to_1(make_engine, model_options, monkeypatch, n_windows):
    monkeypatch.setattr(neural_cache, "WINDOW_TOKENS", 40 // n_windows)
    scorer = cached_scorer(make_engine(**model_options), theta=2.0, weight=0.3, size=9)
    before = random_ids(30)
    total = sum(math.exp(whole(scorer, np.append(before, token))[-1]) for token in range(V))
    assert total == pytest.approx(1, abs=1e-5)


def test_with_weight_0_it_is_the_model_alone_to_the_bit(make_engine, model_options):
    engine, ids = make_engine(**model_options), random_ids(600)
    static = np.concatenate(list(score_text(engine, ids, NEWLINE)))
    assert np.array_equal(whole(cached_scorer(engine, 0.3, 0.0, 500), ids), static)


def test_a_weight_near_0_is_near_the_model_alone(make_engine, model_options):
    engine, ids = make_engine(num_layers=2, **model_options), random_ids(600)
    static = np.concatenate(list(score_text(engine, ids, NEWLINE)))
    np.testing.assert_allclose(whole(cached_scorer(engine, 0.3, 1e-7, 500), ids), static, atol=2e-5)


def test_a_later_token_changes_nothing_before_it(make_engine):
    scorer, ids = cached_scorer(make_engine(), theta=1.0, weight=0.5, size=20), random_ids(50)
    changed = ids.copy()
    changed[30] = (changed[30] + 1) % V
    before, after = whole(scorer, ids), whole(scorer, changed)
    np.testing.assert_allclose(before[:30], after[:30], rtol=1e-6)
    assert (before[31:] != after[31:]).any()


@pytest.mark.parametrize("size", [1, 7, 500])
@pytest.mark.parametrize("window", [1, 5, 16])
def test_any_cut_into_windows_gives_the_same(make_engine, monkeypatch, window, size):
    scorer, ids = cached_scorer(make_engine(), theta=1.0, weight=0.5, size=size), random_ids(50)
    at_once = whole(scorer, ids)
    monkeypatch.setattr(neural_cache, "WINDOW_TOKENS", window)
    parts = list(scorer([ids], NEWLINE))
    assert [len(part) for part in parts[:-1]] == [window] * (len(parts) - 1)
    np.testing.assert_allclose(np.concatenate(parts), at_once, atol=1e-5)


def test_likeness_far_beyond_the_range_of_exp_is_no_trouble(make_engine):
    found = whole(cached_scorer(make_engine(), theta=1e6, weight=0.5, size=20), random_ids(50))
    assert np.isfinite(found).all()


def test_a_text_that_repeats_itself_is_likelier_with_the_cache(make_engine):
    engine, ids = make_engine(), np.tile(random_ids(40), 5)
    assert loss(whole(cached_scorer(engine, 1.0, 0.3, 100), ids)) < loss(whole(cached_scorer(engine, 1.0, 0, 100), ids))


def test_an_empty_text_yields_nothing(make_engine):
    assert list(cached_scorer(make_engine(), 1.0, 0.3, 100)([random_ids(0)], NEWLINE)) == []


def test_tuning_finds_the_settings_that_score_best(make_engine):
    engine, ids = make_engine(), np.tile(random_ids(30), 4)
    tuning = tune_cache(engine, ids, NEWLINE)
    found = tuning.settings
    assert found.weight > 0
    assert found.theta * 6 in THETAS_TIMES_H
    assert found.size in SIZES
    scorer = cached_scorer(engine, found.theta, found.weight, found.size)
    assert loss(whole(scorer, ids)) == pytest.approx(tuning.loss_nats, abs=1e-6)
    for weight in WEIGHTS:
        assert loss(whole(cached_scorer(engine, found.theta, weight, found.size), ids)) >= tuning.loss_nats - 1e-6


def test_where_no_cache_helps_the_weight_is_0(uniform_engine):
    ids = np.arange(V)  # nothing comes twice
    tuning = tune_cache(uniform_engine(V), ids, NEWLINE)
    assert tuning.settings.weight == 0
    assert tuning.loss_nats == tuning.static_loss_nats == pytest.approx(math.log(V))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight": 1.0}, "weight is 1.0: it must be at least 0 and below 1"),
        ({"weight": math.nan}, "weight is nan"),
        ({"theta": -1.0}, "theta is -1.0: it must be a number from 0 to 1e\\+30"),
        ({"size": 0}, "size is 0: it must be a whole number from 1 to "),
    ],
)
def test_values_out_of_range_are_refused(make_engine, changes, words):
    settings = {"theta": 1.0, "weight": 0.1, "size": 10} | changes
    with pytest.raises(ConfigError, match=words):
        cached_scorer(make_engine(), **settings)


def test_a_model_that_keeps_its_outputs_to_itself_is_refused(make_engine, random_weights):
    config = make_engine().config
    model = load_torch_model(config, random_weights(config), "cpu")
    defaults = default_settings(config)
    with pytest.raises(ConfigError, match="leave out --device cuda"):
        cached_scorer(model, defaults.theta, defaults.weight, defaults.size)
    with pytest.raises(ConfigError, match="leave out --device cuda"):
        tune_cache(model, random_ids(10), NEWLINE)
