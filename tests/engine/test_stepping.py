"""A model read one symbol at a time: its distributions, its hidden state, copies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cells import MODELS
from pairwise import every_pair

from rnngen.config import ModelConfig, TokenizerConfig
from rnngen.engine.language_model import Engine
from rnngen.engine.layers import softmax
from rnngen.engine.stepping import Stepper, Symbols, next_token
from rnngen.errors import CheckpointError, TokenizerError
from rnngen.text.tokens import build_tokenizer
from rnngen.training.torch_model import load_torch_model

TEXT = "abcde"  # with <unk> and the line break seven symbols
TOKENIZER = build_tokenizer(text=TEXT)
IDS = np.random.default_rng(2).integers(TOKENIZER.vocab_size, size=9)


def make_config(**options):
    return ModelConfig(vocab_size=TOKENIZER.vocab_size, embedding_dim=4, hidden_size=6, **options)


@pytest.fixture
def stepper(random_weights):
    config = make_config()
    return Stepper(Engine(config, random_weights(config)), Symbols(TOKENIZER))


def in_numpy(config, weights):
    return Engine(config, weights)


def in_torch(config, weights):
    return load_torch_model(config, weights, "cpu")


@pytest.mark.parametrize(
    ("model_options", "num_layers", "network_of"),
    every_pair(MODELS, {"one layer": 1, "two layers": 2}, {"numpy": in_numpy, "torch": in_torch}),
    indirect=["model_options"],
)
def test_steps_give_the_probabilities_and_the_state_of_the_whole_sequence(
    random_weights, model_options, num_layers, network_of
):
    config = make_config(num_layers=num_layers, **model_options)
    weights = random_weights(config)
    engine = Engine(config, weights)
    stepper = Stepper(network_of(config, weights), Symbols(TOKENIZER))
    logits, _ = engine.forward(IDS[None], engine.initial_state(1))
    for place, (id, wanted) in enumerate(zip(IDS.tolist(), logits[0], strict=True)):
        if place == 5:
            stepper = stepper.copy()
        np.testing.assert_allclose(stepper.step(id).probs, softmax(wanted), rtol=1e-4, atol=1e-6)
        _, state = engine.forward(IDS[None, : place + 1], engine.initial_state(1))
        np.testing.assert_allclose(stepper.hidden, state[0][:, 0], rtol=1e-4, atol=1e-5)
        if config.cell == "lstm":
            np.testing.assert_allclose(stepper.cell_state, state[1][:, 0], rtol=1e-4, atol=1e-5)
        else:
            assert stepper.cell_state == []


def test_a_symbol_is_its_id(stepper):
    twin = stepper.copy()
    assert stepper.step("c").logprobs.tolist() == twin.step(int(TOKENIZER.encode("c")[0])).logprobs.tolist()


def test_a_copy_reads_on_by_itself_and_shown_states_are_kept(stepper):
    stepper.step("a")
    [shown] = stepper.hidden
    kept, twin = shown.copy(), stepper.copy()
    stepper.step("b")
    np.testing.assert_array_equal(shown, kept)
    np.testing.assert_array_equal(twin.hidden[0], kept)
    twin.step("b")
    np.testing.assert_array_equal(twin.hidden[0], stepper.hidden[0])


def test_reset_forgets_everything(stepper):
    first = stepper.step("a").probs.tolist()
    assert stepper.step("a").probs.tolist() != first
    stepper.reset()
    assert not stepper.hidden[0].any()
    assert stepper.step("a").probs.tolist() == first


def test_a_distribution_counts_in_nats_and_bits(stepper):
    found = stepper.step("a")
    probs = found.probs
    assert probs.sum() == pytest.approx(1)
    assert found["b"] == pytest.approx(probs[TOKENIZER.encode("b")[0]])
    assert found.logprob_nats("b") == pytest.approx(math.log(found["b"]))
    assert found.surprisal_bits("b") == pytest.approx(-math.log2(found["b"]))
    assert found.entropy_bits == pytest.approx(sum(-p * math.log2(p) for p in probs.tolist()))
    likely = found.most_likely(3)
    assert [prob for _, prob in likely] == sorted(probs.tolist(), reverse=True)[:3]
    assert all(found[symbol] == pytest.approx(prob) for symbol, prob in likely)
    assert len(found.most_likely(99)) == TOKENIZER.vocab_size
    assert found.most_likely(0) == found.most_likely(-1) == []


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("x", "no symbol 'x'"),
        ("ab", "no symbol 'ab'"),
        ("", "no symbol ''"),
        (-1, "the id is -1"),
        (7, "has 0 to 6"),
        (1.5, "the symbol is 1.5: it must be a string or an id"),
        (None, "the symbol is None"),
    ],
)
def test_a_symbol_that_does_not_exist_is_refused_and_nothing_is_read(stepper, symbol, message):
    with pytest.raises(TokenizerError, match=message):
        stepper.step(symbol)
    assert not stepper.hidden[0].any()
    with pytest.raises(TokenizerError, match=message):
        _ = stepper.step("a")[symbol]


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_symbols_are_named_as_the_tokenizer_names_them(level):
    tokenizer = build_tokenizer(text="the bee, the bee\n" * 3, config=TokenizerConfig(level))
    symbols = Symbols(tokenizer)
    assert [symbols.id(tokenizer.token(id)) for id in range(tokenizer.vocab_size)] == list(range(tokenizer.vocab_size))


@pytest.mark.filterwarnings("error")
def test_logits_that_are_not_finite_are_an_error(random_weights):
    config = make_config()
    weights = random_weights(config)
    weights["output.bias"] = np.full_like(weights["output.bias"], np.inf)
    with pytest.raises(CheckpointError, match="not finite"):
        Stepper(Engine(config, weights), Symbols(TOKENIZER)).step("a")


@pytest.mark.parametrize("length", [1, 300])
def test_the_next_token_after_a_context_is_what_steps_through_it_find(stepper, random_weights, length):
    config = make_config()
    ids = np.random.default_rng(3).integers(TOKENIZER.vocab_size, size=length).tolist()
    *_, stepped = map(stepper.step, ids)
    found = next_token(Engine(config, random_weights(config)), Symbols(TOKENIZER), ids)
    np.testing.assert_allclose(found.logprobs, stepped.logprobs, atol=1e-5)
    assert found.most_likely(7) == [(found.token(id), found[id]) for id in np.argsort(-found.probs).tolist()]
    assert found.most_likely_ids(2) == np.argsort(-found.probs)[:2].tolist()
