"""Predictors that adapt to the text, with settings that are tuned on another text or not."""

from __future__ import annotations

import numpy as np
import pytest
from chunks import Chunks

from rnngen.config import ModelConfig
from rnngen.engine.language_model import Engine
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate import adaptation
from rnngen.evaluate.adaptation import cache_predictor, dynamic_predictor, read_tuning_ids
from rnngen.evaluate.predictors import measure, network_predictor
from rnngen.tokenizers.char import CharTokenizer

SONG = "Haul gently, lads.\n"
TOKENIZER = CharTokenizer("".join(sorted(set(SONG) - {"\n"})))


class Adaptive:
    """A network of random weights, and what adapts it."""

    def __init__(self, random_weights):
        self.config = ModelConfig(vocab_size=TOKENIZER.vocab_size, embedding_dim=4, hidden_size=6, ngram_order=3)
        self.weights = random_weights(self.config)
        self.network = Engine(self.config, self.weights)
        self.static = network_predictor("net", self.network, TOKENIZER)
        self.notes = []

    def cache(self, ids=None):
        return cache_predictor(self.static, self.network, ids, self.notes.append)

    def dynamic(self, ids=None):
        return dynamic_predictor(self.static, self.config, self.weights, ids, self.notes.append)

    def losses(self, *predictors, text=SONG * 12):
        return [one.estimate("loss_nats").value for one in measure([self.static, *predictors], Chunks(text))]


@pytest.fixture
def adaptive(random_weights):
    return Adaptive(random_weights)


def test_a_text_that_repeats_itself_is_likelier_to_what_follows_it(adaptive):
    before = {name: weight.copy() for name, weight in adaptive.weights.items()}
    static, cache, dynamic = adaptive.losses(adaptive.cache(), adaptive.dynamic(), text=SONG * 100)
    assert cache < static - 0.1
    assert dynamic < static - 0.02
    assert all(np.array_equal(adaptive.weights[name], weight) for name, weight in before.items())


def test_the_labels_say_the_settings(adaptive):
    assert adaptive.cache().label == "net, cache (adaptive; theta 16.7, weight 0.05, size 2000)"
    assert adaptive.dynamic().label == "net, dynamic (adaptive; lr 0.01, decay 0.001, bptt 20)"


def test_tuned_settings_are_no_worse_than_the_static_model_on_the_text_tuned_on(adaptive):
    ids = TOKENIZER.encode(SONG * 12)
    static, *tuned = adaptive.losses(adaptive.cache(ids), adaptive.dynamic(ids))
    assert max(tuned) < static
    assert [note for note in adaptive.notes if "tuned" in note] == [
        f"{what}: tuned on the first {len(ids)} tokens of the text to tune on, "
        f"{static:.4f} nats a token without, {loss:.4f} with"
        for what, loss in zip(("cache", "dynamic"), tuned, strict=True)
    ]


def test_where_nothing_helps_adaptation_is_left_off_and_that_is_said(adaptive):
    ids = TOKENIZER.encode("H")
    cache, dynamic = adaptive.cache(ids), adaptive.dynamic(ids)
    assert "weight 0," in cache.label
    assert "lr 0," in dynamic.label
    assert sum("the first 1 token of" in note and "left off" in note for note in adaptive.notes) == 2
    static, *others = adaptive.losses(cache, dynamic)
    assert others == pytest.approx([static, static], abs=1e-5)


def test_only_the_start_of_a_long_text_is_tuned_on(adaptive, monkeypatch):
    monkeypatch.setattr(adaptation, "CACHE_TOKENS", 60)
    monkeypatch.setattr(adaptation, "DYNAMIC_TOKENS", 40)
    ids = read_tuning_ids(TOKENIZER, Chunks(SONG * 30), "unk", adaptive.notes.append)
    adaptive.cache(ids)
    adaptive.dynamic(ids)
    assert ["tuned on the first 60 tokens" in note for note in adaptive.notes] == [True, False, False]
    assert "tuned on the first 40 tokens" in adaptive.notes[2]


def test_no_more_of_the_text_is_read_than_can_be_tuned_on(monkeypatch):
    monkeypatch.setattr(adaptation, "CACHE_TOKENS", 2 * len(SONG))

    class Endless:
        def chunks(self):
            while True:
                yield SONG

    assert len(read_tuning_ids(TOKENIZER, Endless(), "unk", print)) == 2 * len(SONG)


def test_unknown_symbols_of_the_text_to_tune_on_are_told(adaptive):
    ids = read_tuning_ids(TOKENIZER, Chunks(SONG + "☃\n"), "skip", adaptive.notes.append)
    assert len(ids) == len(SONG) + 1
    [note] = adaptive.notes
    assert "the text to tune on, as far as it was read, has 1 unknown symbol, left out" in note


@pytest.mark.parametrize(("content", "words"), [("", "is empty"), ("☃", "has unknown symbols only, all left out")])
def test_a_text_to_tune_on_with_nothing_in_it_is_refused(content, words):
    with pytest.raises(DataError, match=f"the text to tune on {words}: name another with --tune"):
        read_tuning_ids(TOKENIZER, Chunks(content), "skip", print)


def test_what_adapts_needs_the_state_carried(adaptive):
    adaptive.static = network_predictor("net", adaptive.network, TOKENIZER, "reset")
    for make in (adaptive.cache, adaptive.dynamic):
        with pytest.raises(ConfigError, match="it needs the state carried"):
            make()
