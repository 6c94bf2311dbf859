"""Predictors of one text, side by side: what each makes of it, and that nothing is computed twice."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
from chunks import Chunks

from rnngen.engine import scoring
from rnngen.engine.scoring import score_lines, score_text
from rnngen.errors import DataError, TokenizerError
from rnngen.evaluate.interpolation import Mixture, mix
from rnngen.evaluate.neural_cache import cached_scorer
from rnngen.evaluate.predictors import Predictor, measure, measure_text, network_predictor, tune_mixture
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer

TEXT = "ab ca\n\nbac\n c\nabba ab\ncab\n"


class CountingTokenizer(CharTokenizer):
    """Counts the characters that it encodes."""

    def __init__(self):
        super().__init__(" abc")
        self.n_encoded = 0

    def encode(self, text):
        self.n_encoded += len(text)
        return super().encode(text)


class CountingNetwork:
    """Counts the tokens that it predicts."""

    def __init__(self, engine):
        self.engine = engine
        self.n_predicted = 0

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def logprobs(self, ids, targets, state):
        self.n_predicted += targets.size
        return self.engine.logprobs(ids, targets, state)


class CountingReader:
    """An n-gram model that finds every token equally likely, and counts the tokens that it reads."""

    def __init__(self, prob=1 / 3):
        self.prob = prob
        self.n_read = 0

    def __call__(self):
        return self._read

    def _read(self, ids):
        self.n_read += len(ids)
        return np.full(len(ids), math.log(self.prob))


@pytest.fixture
def tokenizer():
    return CountingTokenizer()


@pytest.fixture
def network(make_engine, tokenizer):
    return CountingNetwork(make_engine(vocab_size=tokenizer.vocab_size))


def nats(measured):
    return measured.sums.units("nats").tolist()


def mixtures(static, reader):
    return [replace(static, mixture=Mixture(weight, reader)) for weight in (1.0, 0.3)]


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_a_network_and_its_mixtures_cost_one_run_of_the_network_and_one_of_the_other_model(tokenizer, network, state):
    static, reader = network_predictor("net", network, tokenizer, state), CountingReader()
    measure([static], Chunks(TEXT, TEXT))
    n_alone, network.n_predicted = network.n_predicted, 0
    measured = measure([static, *mixtures(static, reader)], Chunks(TEXT, TEXT))
    assert network.n_predicted == n_alone
    assert [one.sums.count("n_tokens") for one in measured] == [2 * len(TEXT)] * 3
    assert reader.n_read == 2 * len(TEXT)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_a_text_is_encoded_once_for_all_predictors_of_the_same_tokens(make_engine, tokenizer, network, state):
    static = network_predictor("net", network, tokenizer, state)
    other = network_predictor("other", make_engine(vocab_size=tokenizer.vocab_size), CharTokenizer(" abc"), state)
    predictors = [static, other, *mixtures(static, CountingReader())]
    if state == "carry":
        predictors.append(replace(static, scorer=cached_scorer(network.engine, 1.0, 0.1, 20)))
    unknown = "☃ a☃"
    text = TEXT + unknown + "\n"
    for on_unknown in ("unk", "skip"):
        tokenizer.n_encoded = 0
        measure(predictors, Chunks(text, text), on_unknown)
        # Line breaks are not encoded with a line that stands alone. The first unknown symbol is looked for once.
        expected = 3 * len(text) if state == "carry" else 2 * (len(text) - text.count("\n")) + len(unknown)
        assert tokenizer.n_encoded == expected


def test_only_a_few_parts_of_a_long_text_are_kept_in_memory(tokenizer, network):
    kept, most = [], 0

    class Watched(CharTokenizer):
        def encode(self, text):
            nonlocal kept, most
            ids = super().encode(text)
            kept = [*(one for one in kept if one() is not None), weakref.ref(ids)]
            most = max(most, len(kept))
            return ids

    static = network_predictor("net", network, Watched(" abc"))
    cached = replace(static, scorer=cached_scorer(network.engine, 1.0, 0.1, 20))
    measure([static, cached, *mixtures(static, CountingReader())], Chunks(*[TEXT] * 100))
    assert most < 20  # the cache takes 256 tokens at a time


def test_predictors_of_other_tokens_have_their_own(make_engine, tokenizer, network):
    byte = ByteTokenizer()
    predictors = [
        network_predictor("byte", make_engine(vocab_size=byte.vocab_size), byte),
        network_predictor("char", network, tokenizer),
    ]
    text = Chunks("a☃ ü\n")
    first, second = measure(predictors, text)
    assert (first.sums.count("n_tokens"), second.sums.count("n_tokens")) == (8, 5)
    assert (first.tokenizer, second.tokenizer) == (byte, tokenizer)
    assert nats(second) == nats(measure_text(network, tokenizer, text))


def test_with_the_state_carried_the_numbers_are_those_of_the_whole_text(tokenizer, network):
    measured = measure_text(network, tokenizer, Chunks(TEXT[:9], TEXT[9:]))
    logprobs = np.concatenate(list(score_text(network, tokenizer.encode(TEXT), tokenizer.newline_id)))
    assert measured.sums.units("nats").sum() == pytest.approx(-logprobs.sum())
    assert measured.state == "carry"


def test_with_the_state_reset_they_are_those_of_the_lines(tokenizer, network):
    measured = measure_text(network, tokenizer, Chunks(TEXT[:9], TEXT[9:-1]), state="reset")
    lines = [tokenizer.encode(line) for line in TEXT.split("\n")[:-1]]
    scored = score_lines(network, lines, tokenizer.newline_id)
    assert nats(measured) == pytest.approx([-logprobs.sum() for logprobs in scored], rel=1e-5)
    assert measured.sums.count("n_line_ends") == len(lines)  # the last one, too
    assert measured.state == "reset"


@pytest.mark.parametrize("window", [1, 16, 4096])
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_a_mixture_is_that_of_the_log_probabilities(tokenizer, network, monkeypatch, window, state):
    monkeypatch.setattr(scoring, "WINDOW_TOKENS", window)
    static = network_predictor("net", network, tokenizer, state)
    alone, mixed = measure(mixtures(static, CountingReader(1 / 4)), Chunks(TEXT))
    assert alone.sums.units("nats").sum() == pytest.approx(len(TEXT) * math.log(4))
    if state == "carry":
        logprobs = np.concatenate(list(score_text(network, tokenizer.encode(TEXT), tokenizer.newline_id)))
    else:
        lines = [tokenizer.encode(line) for line in TEXT.split("\n")[:-1]]
        logprobs = np.concatenate(score_lines(network, lines, tokenizer.newline_id))
    expected = -mix(logprobs, np.full(len(TEXT), -math.log(4)), 0.3).sum()
    assert mixed.sums.units("nats").sum() == pytest.approx(expected)


def test_each_text_starts_anew(tokenizer, network):
    static = network_predictor("net", network, tokenizer)
    first, second = (measure([static, *mixtures(static, CountingReader())], Chunks(TEXT)) for _ in range(2))
    assert list(map(nats, first)) == list(map(nats, second))


def test_a_predictor_may_have_a_scorer_of_its_own(tokenizer, network):
    def uniform(arrays, newline_id):
        for ids in arrays:
            yield np.full(len(ids), -1.0)

    own = Predictor(label="own", tokenizer=tokenizer, scorer=uniform)
    static, measured = measure([network_predictor("net", network, tokenizer), own], Chunks(TEXT))
    assert nats(measured) == [len(line) + 1 for line in TEXT.split("\n")[:-1]]
    assert nats(static) != nats(measured)


def test_a_scorer_that_stops_early_is_found_out(tokenizer):
    own = Predictor(label="own", tokenizer=tokenizer, scorer=lambda arrays, newline_id: iter(()))
    with pytest.raises(ValueError, match="fewer log-probabilities"):
        measure([own], Chunks("ab\n"))


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_unknown_symbols_are_counted_and_left_out_when_asked(tokenizer, network, state):
    text = Chunks("a☃ b\n", "b☃☃\n")
    kept, left_out = (measure_text(network, tokenizer, text, state=state, on_unknown=how) for how in ("unk", "skip"))
    assert (kept.unknowns.count, left_out.unknowns.count) == (3, 3)
    assert "U+2603 SNOWMAN" in kept.unknowns.note("the text", "unk")
    assert (kept.sums.count("n_tokens"), left_out.sums.count("n_tokens")) == (9, 6)
    assert (kept.sums.count("n_chars"), left_out.sums.count("n_chars")) == (9, 6)
    with pytest.raises(TokenizerError, match="SNOWMAN"):
        measure_text(network, tokenizer, text, state=state, on_unknown="error")


@pytest.mark.parametrize(("chunks", "words"), [((), "is empty"), (("☃",), "has unknown symbols only, all left out")])
def test_a_text_without_tokens_is_refused(tokenizer, network, chunks, words):
    with pytest.raises(DataError, match=f"the text {words}: there is nothing to measure"):
        measure_text(network, tokenizer, Chunks(*chunks), on_unknown="skip")


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_the_tuned_weight_is_the_best_on_the_text(tokenizer, network, state):
    static, mixture = network_predictor("net", network, tokenizer, state), Mixture(1.0, CountingReader(1 / 4))
    tuned = tune_mixture(static, mixture, Chunks(TEXT[:9], TEXT[9:]))
    weights = [tuned.weight, 0.0, 0.25, 0.5, 0.75, 1.0]
    losses = [
        one.estimate("perplexity").value
        for one in measure([replace(static, mixture=replace(mixture, weight=w)) for w in weights], Chunks(TEXT))
    ]
    assert tuned.perplexity == pytest.approx((losses[1], losses[5], losses[0]), rel=1e-5)
    assert min(losses) == pytest.approx(losses[0], rel=1e-5)


def test_a_text_to_tune_on_without_tokens_is_refused(tokenizer, network):
    with pytest.raises(DataError, match="the text to tune on is empty"):
        tune_mixture(network_predictor("net", network, tokenizer), Mixture(1.0, CountingReader()), Chunks())
