"""Samples as text: streamed and side by side, at every level, with stop strings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnngen.config import ModelConfig, SampleConfig, TokenizerConfig
from rnngen.engine import generation
from rnngen.engine.generation import draw_samples, stream_text
from rnngen.engine.language_model import Engine
from rnngen.text.tokens import build_tokenizer
from rnngen.tokenizers.prompts import encode_prompt

TEXT = "the bee, the sea; 😀 so be it\n" * 20
LEVELS = {
    "char": TokenizerConfig("char"),
    "byte": TokenizerConfig("byte"),
    "word": TokenizerConfig("word"),
    "subword": TokenizerConfig("subword", vocab_size=290),
}


@pytest.fixture(params=LEVELS.values(), ids=LEVELS.keys())
def model(request, random_weights):
    """A network with random weights and its tokenizer."""
    tokenizer = build_tokenizer(text=TEXT, config=request.param)
    config = ModelConfig(vocab_size=tokenizer.vocab_size, embedding_dim=4, hidden_size=6)
    return Engine(config, random_weights(config)), tokenizer


def after(model, text=""):
    """The start of a sample of a model, after a prompt."""
    return encode_prompt(model[1], text, "error")


def test_a_stream_is_the_sample_of_its_number(model):
    config = SampleConfig(length=30, num_samples=3, seed=4, temperature=1.5)
    prompt = after(model, "the")
    samples = list(draw_samples(*model, prompt, config))
    streams = ["".join(stream_text(*model, prompt, config, number)) for number in range(3)]
    assert streams == [sample.text for sample in samples]
    assert len(set(streams)) == 3
    assert [sample.n_tokens for sample in samples] == [30] * 3


def test_no_piece_of_a_stream_is_empty_and_no_character_is_cut(model):
    pieces = list(stream_text(*model, after(model), SampleConfig(length=200, seed=1)))
    assert all(pieces)
    assert len(pieces) > 10
    "".join(pieces).encode()  # raises an error for half a character


def test_a_stop_string_ends_both_before_it(model):
    config = SampleConfig(length=200, seed=1)
    whole = "".join(stream_text(*model, after(model), config))
    stop = whole[20:22]
    stopping = SampleConfig(length=200, seed=1, stop=(stop, "no such string"))
    [sample] = draw_samples(*model, after(model), stopping)
    assert sample.text == whole[: whole.index(stop)]
    assert (sample.stopped_by, "".join(stream_text(*model, after(model), stopping))) == ("stop", sample.text)
    assert sample.n_tokens < 200


@pytest.mark.parametrize("model", [LEVELS["char"], LEVELS["word"]], ids=["char", "word"], indirect=True)
def test_the_log_probability_is_that_of_the_drawn_tokens_under_the_model_itself(model):
    network, tokenizer = model
    [sample] = draw_samples(network, tokenizer, after(model), SampleConfig(length=12, seed=3, temperature=0.3, top_k=5))
    ids = tokenizer.encode(sample.text)
    assert len(ids) == 12
    inputs = np.concatenate([[tokenizer.newline_id], ids[:-1]])[None]
    logprobs, _ = network.logprobs(inputs, ids[None], network.initial_state(1))
    assert sample.logprob_nats == pytest.approx(logprobs.sum(), abs=1e-4)


def test_samples_come_in_order_however_many_run_side_by_side(model, monkeypatch):
    config = SampleConfig(length=8, num_samples=5, seed=2)
    together = [sample.text for sample in draw_samples(*model, after(model), config)]
    monkeypatch.setattr(generation, "STREAMS_AT_A_TIME", 2)
    assert [sample.text for sample in draw_samples(*model, after(model), config)] == together


def test_length_zero_is_an_empty_sample(model):
    [sample] = draw_samples(*model, after(model), SampleConfig(length=0))
    assert (sample.text, sample.n_tokens, sample.logprob_nats, sample.stopped_by) == ("", 0, 0.0, "length")
    assert list(stream_text(*model, after(model), SampleConfig(length=0))) == []


def test_log_probabilities_are_computed_only_where_they_are_asked_for(model):
    config = SampleConfig(length=5, seed=1)
    [with_them], [without] = (list(draw_samples(*model, after(model), config, asked)) for asked in (True, False))
    assert with_them.text == without.text
    assert math.isfinite(with_them.logprob_nats)
    assert math.isnan(without.logprob_nats)


@pytest.mark.parametrize("model", [LEVELS["word"], LEVELS["subword"]], ids=["word", "subword"], indirect=True)
def test_the_first_token_after_a_space_has_its_probability_among_those_that_start_with_one(model):
    network, tokenizer = model
    prompt = after(model, "the ")
    assert prompt.owed == " "
    [sample] = draw_samples(*model, prompt, SampleConfig(length=1, seed=6))
    logits, _ = network.forward(np.array([[tokenizer.newline_id, *tokenizer.encode("the")]]), network.initial_state(1))
    among = logits[0, -1, prompt.first_ids].astype(float)
    logprobs = among - np.log(np.exp(among).sum())
    drawn = [prompt.decoder().peek(id) for id in prompt.first_ids.tolist()].index(" " + sample.text)
    assert sample.logprob_nats == pytest.approx(logprobs[drawn], abs=1e-5)
