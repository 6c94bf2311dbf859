"""Dynamic evaluation: the static model at rate 0, one step by hand, no look ahead, and a text that repeats itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from rnngen.config import ModelConfig
from rnngen.engine.language_model import Engine
from rnngen.engine.scoring import score_text
from rnngen.errors import ConfigError, TrainingError
from rnngen.training.dynamic_evaluation import DECAYS, LEARNING_RATES, dynamic_scorer, tune_dynamic

NEWLINE, V = 0, 7


def random_ids(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(V, size=n).astype(np.uint16)


@pytest.fixture
def make_model(random_weights):
    """A function: options of a ModelConfig to a config and random weights."""

    def make(**options):
        config = ModelConfig(**{"vocab_size": V, "embedding_dim": 6, "hidden_size": 6, **options})
        return config, random_weights(config)

    return make


def whole(scorer, ids) -> np.ndarray:
    return np.concatenate(list(scorer([np.asarray(ids)], NEWLINE)))


def static(config, weights, ids) -> np.ndarray:
    return np.concatenate(list(score_text(Engine(config, weights), ids, NEWLINE)))


def loss(logprobs) -> float:
    return -float(np.mean(logprobs))


@pytest.mark.parametrize("tie_weights", [False, True], ids=["untied", "tied"])
def test_with_learning_rate_0_it_is_the_static_model(make_model, model_options, tie_weights):
    config, weights = make_model(num_layers=2, tie_weights=tie_weights, dropout=0.5, **model_options)
    ids = random_ids(103)
    found = whole(dynamic_scorer(config, weights, 0.0, 0.5, bptt=20), ids)
    np.testing.assert_allclose(found, static(config, weights, ids), atol=1e-5)


def test_the_second_segment_is_scored_after_one_step_on_the_first(make_model):
    # Weights of zero: only the output's bias is of use.
    config, weights = make_model()
    weights = {name: np.zeros_like(weight) for name, weight in weights.items()}
    found = np.exp(whole(dynamic_scorer(config, weights, 0.003, 0.0, bptt=1), [3, 3, 3]))
    uniform = 1 / V
    bias = {token: 0.003 * ((token == 3) - uniform) for token in range(V)}
    after_one = math.exp(bias[3]) / sum(map(math.exp, bias.values()))
    gradient = {token: (token == 3) - math.exp(bias[token]) / sum(map(math.exp, bias.values())) for token in range(V)}
    logits = {token: bias[token] + 0.003 * gradient[token] for token in range(V)}
    after_two = math.exp(logits[3]) / sum(map(math.exp, logits.values()))
    assert found.tolist() == pytest.approx([uniform, after_one, after_two], rel=1e-5)


def test_a_decay_of_1_goes_all_the_way_back(make_model):
    (config, weights), ids = make_model(), random_ids(60)
    found = whole(dynamic_scorer(config, weights, 0.5, 1.0, bptt=10), ids)
    np.testing.assert_allclose(found, static(config, weights, ids), atol=1e-5)


def test_the_steps_are_those_of_gradient_descent_through_torch_nn(make_model):
    (config, weights), ids = make_model(cell="gru"), random_ids(12)
    embedding, rnn, output = torch.nn.Embedding(V, 6), torch.nn.GRU(6, 6), torch.nn.Linear(6, V)
    network = torch.nn.ModuleDict({"embedding": embedding, "rnn": rnn, "output": output})
    network.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    inputs, targets = torch.tensor([NEWLINE, *ids[:-1].tolist()]), torch.from_numpy(ids.astype(np.int64))
    state, wanted = torch.zeros(1, 6), []
    for segment in (slice(0, 5), slice(5, 10), slice(10, 12)):
        outputs, state = rnn(embedding(inputs[segment]), state.detach())
        losses = functional.cross_entropy(output(outputs), targets[segment], reduction="none")
        wanted.append(-losses.detach())
        for weight, gradient in zip(
            network.parameters(), torch.autograd.grad(losses.mean(), list(network.parameters())), strict=True
        ):
            weight.data -= 0.3 * gradient
    found = list(dynamic_scorer(config, weights, 0.3, 0.0, bptt=5)([ids], NEWLINE))
    assert [len(part) for part in found] == [5, 5, 2]
    np.testing.assert_allclose(np.concatenate(found), torch.cat(wanted), atol=1e-5)


def test_a_later_token_changes_nothing_before_it_nor_in_its_segment(make_model):
    (config, weights), ids = make_model(ngram_order=3), random_ids(40)
    scorer = dynamic_scorer(config, weights, 0.1, 0.01, bptt=10)
    changed = ids.copy()
    changed[25] = (changed[25] + 1) % V
    before, after = whole(scorer, ids), whole(scorer, changed)
    np.testing.assert_allclose(before[:25], after[:25], rtol=1e-6)
    assert (before[26:] != after[26:]).any()


def test_probabilities_over_the_vocabulary_sum_to_1(make_model):
    (config, weights), before = make_model(ngram_order=3), random_ids(30)
    scorer = dynamic_scorer(config, weights, 0.1, 0.01, bptt=8)
    total = sum(math.exp(whole(scorer, np.append(before, token))[-1]) for token in range(V))
    assert total == pytest.approx(1, abs=1e-5)


def test_it_begins_anew_with_every_text_and_leaves_the_weights_alone(make_model, model_options):
    (config, weights), ids = make_model(**model_options), random_ids(60)
    before = {name: weight.copy() for name, weight in weights.items()}
    scorer = dynamic_scorer(config, weights, 0.1, 0.01, bptt=10)
    assert np.array_equal(whole(scorer, ids), whole(scorer, ids))
    for name, weight in weights.items():
        assert np.array_equal(weight, before[name])


def test_a_text_that_repeats_itself_is_likelier(make_model, model_options):
    (config, weights), ids = make_model(**model_options), np.tile(random_ids(20), 20)
    scorer = dynamic_scorer(config, weights, 0.1, 0.0, bptt=10)
    assert loss(whole(scorer, ids)) < loss(static(config, weights, ids)) - 0.05


def test_an_empty_text_yields_nothing(make_model):
    assert list(dynamic_scorer(*make_model(), 0.1, 0.0, 5)([random_ids(0)], NEWLINE)) == []


def test_tuning_finds_the_settings_that_score_best(make_model):
    (config, weights), ids = make_model(), np.tile(random_ids(20), 10)
    tuning = tune_dynamic(config, weights, ids, NEWLINE)
    found = tuning.settings
    assert found.learning_rate in LEARNING_RATES
    assert found.decay in (0.0, *DECAYS)
    scorer = dynamic_scorer(config, weights, found.learning_rate, found.decay, found.bptt)
    assert loss(whole(scorer, ids)) == pytest.approx(tuning.loss_nats, abs=1e-6)
    assert tuning.loss_nats < tuning.static_loss_nats


def test_where_no_step_helps_the_learning_rate_is_0(make_model):
    config, weights = make_model()
    weights = {name: np.zeros_like(weight) for name, weight in weights.items()}
    # What the first segment teaches is wrong for the second.
    ids = np.array([1, 2, 3, 4] * 5 + [5, 6] * 10)
    tuning = tune_dynamic(config, weights, ids, NEWLINE)
    assert tuning.settings.learning_rate == 0
    assert tuning.loss_nats == tuning.static_loss_nats == pytest.approx(math.log(V))


def test_steps_that_are_too_long_are_told(make_model):
    config, weights = make_model(cell="rnn", nonlinearity="relu")
    with pytest.raises(TrainingError, match=r"learning_rate is 1e\+30, too high for this model"):
        whole(dynamic_scorer(config, weights, 1e30, 0.0, 5), random_ids(100))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": -0.1}, "learning_rate is -0.1: it must be a number from 0 to 1e\\+30"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"decay": 1.5}, "decay is 1.5: it must be a number from 0 to 1"),
        ({"bptt": 0}, "bptt is 0: it must be a whole number from 1 to "),
    ],
)
def test_values_out_of_range_are_refused(make_model, changes, words):
    settings = {"learning_rate": 0.1, "decay": 0.0, "bptt": 5} | changes
    with pytest.raises(ConfigError, match=words):
        dynamic_scorer(*make_model(), **settings)
