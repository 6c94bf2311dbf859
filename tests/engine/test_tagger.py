"""The tagger in numpy: its layers are those of torch.nn, and a sentence is tagged alike in any company."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import CELLS
from small_tokenizers import CONFIGS, build

from rnngen.config import ModelConfig
from rnngen.engine import tagger as tagger_module
from rnngen.engine.runner import from_both_sides, from_the_left, tagger_of
from rnngen.engine.tagger import Tagger
from rnngen.errors import ConfigError
from rnngen.text.tagged import TagVocabulary

CHAR = build(CONFIGS["char"])
KNOWN = TagVocabulary(("be", "to", "not"), ("PART", "VERB", "X"))
SENTENCES = [["to", "be"], [], ["or", "not", "to", "be", "question"], ["be"], ["that", "ï☃", "to"]]


@pytest.fixture(params=CELLS.values(), ids=CELLS.keys())
def make_tagger(request, random_weights):
    def make(num_layers=2):
        config = ModelConfig(
            vocab_size=CHAR.vocab_size, embedding_dim=5, hidden_size=4, num_layers=num_layers, bidirectional=True,
            n_words=3, n_tags=3, spelling_dim=6, **request.param,
        )  # fmt: skip
        weights = random_weights(config)
        return Tagger(config, weights, CHAR, KNOWN), weights

    return make


def in_plain_torch(config, weights, words):
    """Log-probabilities of the tags of a sentence, by torch.nn's own bidirectional layers."""
    modules = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
    more = {"nonlinearity": config.nonlinearity} if config.cell == "rnn" else {}
    tensors = {name: torch.from_numpy(weight) for name, weight in weights.items()}

    def layers(prefix, inputs, units, number):
        rnn = modules[config.cell](inputs, units, number, bidirectional=True, **more)
        rnn.load_state_dict({name[len(prefix) :]: one for name, one in tensors.items() if name.startswith(prefix)})
        return rnn

    S = config.spelling_dim
    spelling, rnn = layers("spelling.rnn.", S, S, 1), layers("rnn.", 5 + 2 * S, 4, config.num_layers)
    vectors = []
    for word in words:
        ids = torch.from_numpy(CHAR.encode(word).astype(np.int64))
        outputs, _ = spelling(tensors["spelling.embedding.weight"][ids])
        number = KNOWN.words.index(word) + 1 if word in KNOWN.words else 0
        vectors.append(torch.cat([tensors["embedding.weight"][number], outputs[-1, :S], outputs[0, S:]]))
    outputs, _ = rnn(torch.stack(vectors))
    return (outputs @ tensors["output.weight"].T + tensors["output.bias"]).log_softmax(-1).detach().numpy()


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("batch_words", [1, 8, 4096])
def test_the_log_probabilities_are_those_of_plain_torch(make_tagger, monkeypatch, num_layers, batch_words):
    monkeypatch.setattr(tagger_module, "BATCH_WORDS", batch_words)
    tagger, weights = make_tagger(num_layers)
    for words, found in zip(SENTENCES, tagger.logprobs(SENTENCES), strict=True):
        assert found.shape == (len(words), 3)
        if words:
            np.testing.assert_allclose(found, in_plain_torch(tagger.config, weights, words), atol=1e-5)


def test_known_words(make_tagger):
    tagger, _ = make_tagger()
    assert [tagger.knows(word) for word in ("to", "or", "")] == [True, False, False]


def test_a_tagger_is_no_other_model(make_tagger, make_engine):
    tagger, _ = make_tagger()
    assert tagger_of(tagger) is tagger
    for convert in (from_the_left, from_both_sides):
        with pytest.raises(
            ConfigError, match=r"^x is a tagger, which gives no probabilities to texts: use it with rnng"
        ):
            convert(tagger, "x")
    with pytest.raises(ConfigError, match=r"^x is no tagger: train one with rnngen train TAGS\.tsv --tags"):
        tagger_of(make_engine(), "x")


@pytest.mark.parametrize(
    "wrong",
    [{"n_tags": 0}, {"spelling_dim": 0}, {"bidirectional": False}, {"tie_weights": True, "embedding_dim": 4},
     {"n_words": -1}, {"ngram_order": 3}],
)  # fmt: skip
def test_sizes_that_are_no_tagger(wrong):
    sizes = {"vocab_size": 9, "embedding_dim": 5, "hidden_size": 4, "bidirectional": True, "n_words": 3, "n_tags": 3,
             "spelling_dim": 6}  # fmt: skip
    ModelConfig(**sizes)
    with pytest.raises(ConfigError):
        ModelConfig(**{**sizes, **wrong})
