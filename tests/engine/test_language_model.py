"""The engine's windows, rows, tables and states: different ways to compute the same logits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from cells import MODELS
from pairwise import every_pair

from rnngen.config import ModelConfig
from rnngen.engine import compiled, language_model, stack
from rnngen.engine.language_model import Engine, log_softmax_at, select_rows
from rnngen.errors import CheckpointError

B, T, V = 3, 13, 7
RECURRENCES = {"numpy": "numpy", "C": "C"}
LAYERS = {"one layer": 1, "three layers": 3}


@pytest.fixture(autouse=True, params=RECURRENCES)
def _recurrence(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(compiled, "LIBRARY", None)
    elif compiled.LIBRARY is None:
        pytest.skip(compiled.WHY_NOT)


@pytest.fixture
def ids():
    return np.random.default_rng(1).integers(V, size=(B, T))


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("_recurrence", "model_options", "num_layers", "cuts"),
    every_pair(RECURRENCES, MODELS, LAYERS, {"step by step": range(1, T), "in two": [4], "in four": [1, 2, 12]}),
    indirect=["_recurrence"],
)
def test_a_whole_sequence_is_any_split_of_it(make_engine, model_options, ids, num_layers, cuts):
    engine = make_engine(num_layers=num_layers, **model_options)
    whole, last = engine.forward(ids, engine.initial_state(B))
    state, parts = engine.initial_state(B), []
    for part in np.split(ids, cuts, axis=1):
        logits, state = engine.forward(part, state)
        parts.append(logits)
    assert_close(np.concatenate(parts, axis=1), whole)
    for found, wanted in zip(state, last, strict=True):
        assert_close(found, wanted)


@pytest.mark.parametrize(
    ("_recurrence", "model_options", "num_layers", "rows"),
    every_pair(RECURRENCES, MODELS, LAYERS, {"a row": 1, "rows": B}),
    indirect=["_recurrence"],
)
def test_a_stepper_gives_the_logits_of_the_whole_sequence_and_leaves_the_state(
    make_engine, model_options, ids, num_layers, rows
):
    engine, ids = make_engine(num_layers=num_layers, **model_options), ids[:rows]
    _, start = engine.forward(ids[:, :4], engine.initial_state(rows))
    before = [part.copy() for part in start]
    whole, _ = engine.forward(ids[:, 4:], start)
    step = engine.stepper(start)
    steps = [step(column) for column in ids[:, 4:].T]  # kept: a step must not overwrite the last one's logits
    assert_close(np.stack(steps, axis=1), whole)
    for part, kept in zip(start, before, strict=True):
        np.testing.assert_array_equal(part, kept)


def test_a_row_of_a_batch_is_that_row_alone(make_engine, model_options, ids):
    engine = make_engine(num_layers=2, **model_options)
    logits, _ = engine.forward(ids, engine.initial_state(B))
    assert logits.shape == (B, T, V)
    for row in range(B):
        alone, _ = engine.forward(ids[row : row + 1], engine.initial_state(1))
        assert_close(alone[0], logits[row])


def test_logprobs_are_the_log_softmax_of_the_logits(make_engine, model_options, ids):
    engine = make_engine(**model_options)
    logits, _ = engine.forward(ids, engine.initial_state(B))
    targets = np.roll(ids, -1, axis=1)
    logprobs, _ = engine.logprobs(ids, targets, engine.initial_state(B))
    for b in range(B):
        for t in range(T):
            row = [float(logit) for logit in logits[b, t]]
            wanted = row[targets[b, t]] - math.log(sum(map(math.exp, row)))
            assert logprobs[b, t] == pytest.approx(wanted, abs=1e-5)


def test_the_logprobs_of_all_tokens_are_a_distribution(make_engine, ids):
    engine = make_engine()
    chances = [np.exp(engine.logprobs(ids, np.full_like(ids, v), engine.initial_state(B))[0]) for v in range(V)]
    np.testing.assert_allclose(sum(chances), 1, atol=1e-5)


@pytest.mark.filterwarnings("error")
def test_large_logits_do_not_overflow_the_softmax():
    logits = np.array([[[1e30, -1e30, 0.0]]], np.float32)
    assert log_softmax_at(logits, np.array([[0]])).item() == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "changes",
    [{"rnn.weight_hh_l0": np.full((6, 6), 1e30, np.float32)}, {"output.bias": np.full(V, np.inf, np.float32)}],
)
def test_logits_that_are_not_finite_are_an_error(make_engine, ids, changes):
    engine = make_engine(changes, cell="rnn", nonlinearity="relu")
    with pytest.raises(CheckpointError, match="weights are too large"):
        engine.logprobs(ids, ids, engine.initial_state(B))


@pytest.mark.parametrize(
    ("_recurrence", "model_options", "limit"),
    every_pair(
        RECURRENCES, MODELS, {"table": (stack, "LARGEST_TABLE"), "logits": (language_model, "LOGITS_AT_A_TIME")}
    ),
    indirect=["_recurrence"],
)
def test_saving_memory_changes_no_number(make_engine, monkeypatch, model_options, ids, limit):
    roomy = make_engine(num_layers=2, **model_options)
    wanted, last = roomy.logprobs(ids, ids, roomy.initial_state(B))
    monkeypatch.setattr(*limit, 1)
    thrifty = make_engine(num_layers=2, **model_options)
    found, state = thrifty.logprobs(ids, ids, thrifty.initial_state(B))
    assert_close(found, wanted)
    assert_close(state[0], last[0])


def test_tied_weights_use_the_embedding_for_the_softmax(random_weights, ids):
    tied = ModelConfig(vocab_size=V, embedding_dim=6, hidden_size=6, tie_weights=True)
    weights = random_weights(tied)
    twins = [
        Engine(tied, weights),
        Engine(replace(tied, tie_weights=False), weights | {"output.weight": weights["embedding.weight"]}),
    ]
    one, other = (engine.forward(ids, engine.initial_state(B))[0] for engine in twins)
    np.testing.assert_array_equal(one, other)


def test_the_state_before_any_text_is_zeros_and_no_ids_with_the_batch_on_axis_one(make_engine, model_options):
    state = make_engine(num_layers=3, **model_options).initial_state(5)
    order = model_options.get("ngram_order", 0)
    shapes = [(3, 5, 6)] * (2 if model_options["cell"] == "lstm" else 1) + [(max(0, order - 2), 5)] * (order > 0)
    assert [part.shape for part in state] == shapes
    assert not any(part.any() for part in state if part.dtype == np.float32)
    assert all((part == -1).all() for part in state if part.dtype == np.int64)


def test_a_state_can_be_used_twice(make_engine, model_options, ids):
    engine = make_engine(**model_options)
    _, state = engine.forward(ids, engine.initial_state(B))
    once, _ = engine.forward(ids, state)
    twice, _ = engine.forward(ids, state)
    np.testing.assert_array_equal(once, twice)


def test_rows_of_a_state_can_be_taken(make_engine, ids):
    engine = make_engine(cell="lstm", num_layers=2)
    _, state = engine.forward(ids, engine.initial_state(B))
    for found, wanted in zip(select_rows(state, np.array([2, 0])), state, strict=True):
        np.testing.assert_array_equal(found, wanted[:, [2, 0]])


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32])
def test_ids_may_have_any_integer_type(make_engine, ids, dtype):
    engine = make_engine()
    wanted, _ = engine.logprobs(ids, ids, engine.initial_state(B))
    found, _ = engine.logprobs(ids.astype(dtype), ids.astype(dtype), engine.initial_state(B))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("_recurrence", "model_options", "rows"),
    every_pair(RECURRENCES, MODELS, {f"{rows} at a time": rows for rows in (1, 2, 3, 100)}),
    indirect=["_recurrence"],
)
def test_log_probabilities_are_the_same_with_few_rows_at_a_time(make_engine, model_options, monkeypatch, rows):
    engine = make_engine(**model_options)
    ids = np.random.default_rng(0).integers(7, size=(5, 4))
    wanted, wanted_state = engine.logprobs(ids, ids, engine.initial_state(5))
    monkeypatch.setattr(language_model, "LOGITS_AT_A_TIME", 7 * rows)
    found, state = engine.logprobs(ids, ids, engine.initial_state(5))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    for part, twin in zip(state, wanted_state, strict=True):
        np.testing.assert_allclose(part, twin, atol=1e-6)
