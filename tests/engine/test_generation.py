"""Samples as text: streamed and side by side, at every level, with stop strings."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from rnngen.config import ModelConfig, SampleConfig, TokenizerConfig
from rnngen.engine import generation
from rnngen.engine.generation import Newness, Sample, draw_samples, stream_text
from rnngen.engine.language_model import Engine
from rnngen.errors import ConfigError, DataError
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


def test_the_stop_string_that_matched_is_named_and_may_be_kept(model):
    whole = "".join(stream_text(*model, after(model), SampleConfig(length=200, seed=1)))
    stop = whole[20:22]
    config = SampleConfig(length=200, seed=1, stop=("no such string", stop), keep_stop=True)
    [sample] = draw_samples(*model, after(model), config)
    assert sample.text == whole[: whole.index(stop)] + stop == "".join(stream_text(*model, after(model), config))
    assert (sample.stopped_by, sample.stop) == ("stop", stop)
    [endless] = draw_samples(*model, after(model), SampleConfig(length=5, stop=("no such string",), keep_stop=True))
    assert (endless.stopped_by, endless.stop) == ("length", None)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_no_stop_string_is_complete_within_the_least_length_and_one_may_be_right_after_it(model, size):
    stop = "".join(stream_text(*model, after(model), SampleConfig(length=30, seed=3)))[4 : 4 + size]
    early = SampleConfig(length=40, num_samples=40, seed=3, stop=(stop,), keep_stop=True)
    assert min(sample.n_tokens for sample in draw_samples(*model, after(model), early)) <= 20
    late = replace(early, min_length=20)
    samples = list(draw_samples(*model, after(model), late))
    assert min(sample.n_tokens for sample in samples) > 20
    assert not any(stop in sample.text.removesuffix(stop) for sample in samples)
    streams = ["".join(stream_text(*model, after(model), late, number)) for number in range(3)]
    assert streams == [sample.text for sample in samples[:3]]


def test_a_least_length_that_no_token_allows_is_refused(random_weights):
    tokenizer = build_tokenizer(text="abab", config=LEVELS["char"])
    sizes = ModelConfig(vocab_size=tokenizer.vocab_size, embedding_dim=4, hidden_size=6)
    network = Engine(sizes, random_weights(sizes))
    prompt, config = encode_prompt(tokenizer, "", "error"), SampleConfig(min_length=3, stop=("a", "b", "\n"))
    with pytest.raises(ConfigError, match="min_length is 3, and every token completes a stop string: lower it"):
        next(draw_samples(network, tokenizer, prompt, config))


@pytest.mark.parametrize("model", [LEVELS["word"], LEVELS["subword"]], ids=["word", "subword"], indirect=True)
def test_after_a_space_the_first_token_of_the_least_length_is_one_that_starts_with_a_space(model):
    prompt = after(model, "the ")
    starts = [prompt.decoder().peek(id).removeprefix(" ") for id in prompt.first_ids.tolist()]
    assert "bee," in starts or "b" in starts or len(starts) > 1
    stops = tuple(start for start in starts if start)
    if "" not in starts:
        with pytest.raises(ConfigError, match="every token completes a stop string"):
            next(draw_samples(*model, prompt, SampleConfig(length=3, min_length=1, stop=stops)))
    kept = max(stops, key=len)
    stops = tuple(stop for stop in stops if stop not in kept)
    samples = draw_samples(*model, prompt, SampleConfig(length=1, min_length=1, num_samples=20, stop=stops))
    assert {sample.text for sample in samples} <= {kept, ""}


def test_zero_samples_are_an_endless_stream_of_the_same_samples(model):
    config = SampleConfig(length=3, seed=2, num_samples=150)
    endless = draw_samples(*model, after(model), SampleConfig(length=3, seed=2, num_samples=0))
    assert [sample.text for sample in itertools.islice(endless, 150)] == [
        s.text for s in draw_samples(*model, after(model), config)
    ]


@pytest.mark.parametrize("streams", [1, 5, 64])
def test_unique_samples_are_the_first_of_each_text_in_order_however_many_run_side_by_side(model, streams, monkeypatch):
    monkeypatch.setattr(generation, "STREAMS_AT_A_TIME", streams)
    texts = [s.text for s in draw_samples(*model, after(model), SampleConfig(length=1, seed=2, num_samples=200))]
    config = SampleConfig(length=1, seed=2, num_samples=6)
    found = [s.text for s in draw_samples(*model, after(model), config, is_new=Newness("", unique=True).is_new)]
    assert found == list(dict.fromkeys(texts))[:6]


def test_samples_that_are_lines_of_a_list_are_left_out_and_those_that_come_again_are_not(model):
    texts = [s.text for s in draw_samples(*model, after(model), SampleConfig(length=1, seed=2, num_samples=200))]
    known = {*texts[:2], ""}
    is_new = Newness("", unique=False, known=[texts[0] + "\n", texts[1], ""]).is_new
    config = SampleConfig(length=1, seed=2, num_samples=20)
    found = [s.text for s in draw_samples(*model, after(model), config, is_new=is_new)]
    assert found == [text for text in texts if text.removesuffix("\n") not in known][:20]


def a_sample(text: str, stop: str | None = None) -> Sample:
    return Sample(text=text, n_tokens=1, logprob_nats=-1.0, stopped_by="stop" if stop else "length", stop=stop)


def test_what_is_compared_is_the_last_line_of_the_prompt_with_the_text_and_no_line_end():
    newness = Newness("first\nAn", unique=True, known=["Anna\n", "Bela"])
    assert [newness.is_new(a_sample(text)) for text in ("na", "na\n", "drea", "drea", "nas", "Bela")] == [
        False, False, True, False, True, True
    ]  # fmt: skip
    assert not newness.is_new(a_sample("na\n", stop="\n"))
    assert not newness.is_new(a_sample("naEND", stop="END"))
    with pytest.raises(ConfigError, match="not_in is one string"):
        Newness("", unique=False, known="Anna")


@pytest.mark.parametrize(("n", "asked"), [(0, ""), (9, " of 9")])
def test_a_search_in_which_nothing_new_comes_ends_with_one_clear_line(model, n, asked, monkeypatch):
    monkeypatch.setattr(generation, "MOST_IN_VAIN", 70)
    seen = []

    def is_new(sample):
        seen.append(sample)
        return len(seen) <= 4

    samples = draw_samples(*model, after(model), SampleConfig(length=1, num_samples=n), is_new=is_new)
    with pytest.raises(DataError, match=f"^no new sample among the last 70, after 4{asked}: raise --temp"):
        list(samples)
    assert len(seen) == 74


def test_at_temperature_zero_a_second_sample_is_never_new(model):
    config = SampleConfig(length=3, num_samples=2, temperature=0)
    samples = draw_samples(*model, after(model), config, is_new=Newness("", unique=True).is_new)
    assert next(samples).n_tokens == 3
    with pytest.raises(DataError, match=r"^no new sample at --temp 0, where all are the same, after 1 of 2"):
        next(samples)
