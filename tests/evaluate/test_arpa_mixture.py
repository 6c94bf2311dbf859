"""A word model mixed with an ARPA file: one distribution, a weight that suits the text, and what is refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from chunks import Chunks
from small_arpa import BackOff, bigram_arpa

from rnngen.engine.scoring import score_text
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.arpa_mixture import arpa_predictors
from rnngen.evaluate.interpolation import TOLERANCE_NATS, mix
from rnngen.evaluate.predictors import measure, network_predictor
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.word import WordTokenizer

WORDS = ["the", "bell", "shall", "ring", "again", "hay"]
TOKENIZER = WordTokenizer(WORDS, "whitespace")
LEARNT = ["the bell shall ring again", "ring again the bell", "shall the bell ring"]
HELD_OUT = "the bell shall\n\nring the sooner again\nbell bell hay\n"


@pytest.fixture
def network(make_engine):
    return make_engine(vocab_size=TOKENIZER.vocab_size)


@pytest.fixture
def arpa_path(tmp_path):
    pytest.importorskip("kenlm")
    (tmp_path / "lm.arpa").write_text(bigram_arpa([line.split() for line in LEARNT], WORDS), "utf-8")
    return tmp_path / "lm.arpa"


@pytest.fixture
def predictors(network, arpa_path):
    """The ARPA file alone and mixed; the arguments are those of `arpa_predictors`."""

    def call(*arguments, state="carry", **options):
        return arpa_predictors(network_predictor("net", network, TOKENIZER, state), arpa_path, *arguments, **options)

    return call


def logprobs_of(network, ids):
    return np.concatenate(list(score_text(network, ids, TOKENIZER.newline_id)))


@pytest.mark.parametrize("before", [[], [0], [5, 0, 7], [5, 1], [7, 1, 2, 3]])
def test_the_probabilities_of_all_tokens_sum_to_one(network, predictors, before):
    mixture = predictors(0.4)[1].mixture
    texts = [np.array([*before, id]) for id in range(TOKENIZER.vocab_size)]
    found = [mix(logprobs_of(network, ids), mixture.reader()(ids), mixture.weight)[-1] for ids in texts]
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)


def test_the_mixture_is_that_of_the_back_off_formula(network, predictors, arpa_path):
    ids = TOKENIZER.encode(HELD_OUT)
    words = ["<unk>", "</s>", *TOKENIZER.words[2:]]
    other = np.array(BackOff(arpa_path.read_text("utf-8")).logprobs([words[id] for id in ids]))
    alone, mixed = measure(predictors(0.3), Chunks(HELD_OUT))
    assert alone.unknowns.count == 1
    expected = mix(logprobs_of(network, ids), other, 0.3)
    for measured, logprobs in ((alone, other), (mixed, expected)):
        assert measured.sums.units("nats").sum() == pytest.approx(-logprobs.sum(), rel=1e-5)


def test_an_arpa_file_sees_the_same_text_whether_the_state_is_carried_or_reset(predictors):
    carried, reset = (measure(predictors(0.5, state=state), Chunks(HELD_OUT))[0] for state in ("carry", "reset"))
    assert carried.sums.units("nats").tolist() == reset.sums.units("nats").tolist()


def test_the_labels_name_the_file_and_its_weight(predictors, arpa_path):
    assert [one.label for one in predictors(0.25)] == [
        str(arpa_path), f"net, mixed with 0.2500 of {arpa_path}",
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_on_the_text_it_is_tuned_on_the_mixture_is_no_worse_than_either(network, predictors, state):
    notes = []
    found = predictors(tune=Chunks(HELD_OUT), state=state, say=notes.append)
    form = (
        r"tuned: weight (\S+) of the ARPA file after (\d+) iterations? of EM; perplexity on that text (\S+) of the "
        r"model, (\S+) of the ARPA file, (\S+) of the mixture"
    )
    weight, n_iterations, model, arpa, both = map(float, re.fullmatch(form, notes[0]).groups())
    assert weight == pytest.approx(found[1].mixture.weight, abs=1e-4)
    assert n_iterations > 1
    assert both <= min(model, arpa) * np.exp(TOLERANCE_NATS) + 1e-4
    assert 0 < weight < 1
    measured = measure([network_predictor("net", network, TOKENIZER, state), *found], Chunks(HELD_OUT))
    assert [one.estimate("perplexity").value for one in measured] == pytest.approx([model, arpa, both], abs=1e-4)


def test_unknown_words_that_are_left_out_are_left_out_of_both(predictors):
    kept, left_out = (predictors(tune=Chunks(HELD_OUT), on_unknown=how)[1] for how in ("unk", "skip"))
    assert kept.mixture.weight != left_out.mixture.weight


def test_without_a_weight_it_is_one_half_and_that_is_said(predictors):
    notes = []
    assert predictors(say=notes.append)[1].mixture.weight == 0.5
    assert "has the weight 0.5; --lambda L sets it, --tune FILE looks for the best one" in notes[0]
    assert predictors(0.25, say=notes.append)[1].mixture.weight == 0.25
    assert len(notes) == 1


@pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan")])
def test_a_weight_out_of_range_is_refused(network, weight):
    with pytest.raises(ConfigError, match=f"lambda is {weight}: it must be a number from 0 to 1"):
        arpa_predictors(network_predictor("net", network, TOKENIZER), Path("lm.arpa"), weight)


def test_a_weight_and_a_text_to_tune_it_on_exclude_each_other(network):
    with pytest.raises(ConfigError, match="exclude each other"):
        arpa_predictors(network_predictor("net", network, TOKENIZER), Path("lm.arpa"), 0.5, tune=Chunks(HELD_OUT))


@pytest.mark.parametrize(
    ("tokenizer", "level"),
    [
        (CharTokenizer("abc"), "--level char"),
        (WordTokenizer(WORDS, "punctuation"), "--level word --split punctuation"),
        (ByteTokenizer(), "--level byte"),
    ],
)
def test_models_of_anything_but_split_words_are_refused(network, tokenizer, level):
    with pytest.raises(ConfigError) as caught:
        arpa_predictors(network_predictor("net", network, tokenizer), Path("lm.arpa"))
    assert f"net is of {level}; train one with --level word --split whitespace" in str(caught.value)


def test_an_arpa_file_of_other_words_is_refused_before_any_text_is_read(predictors, arpa_path):
    arpa_path.write_text(bigram_arpa([WORDS[:3]], WORDS[:-2]))
    with pytest.raises(ConfigError, match="lacks 2 words of the model, the first"):
        predictors(0.5)
    arpa_path.write_text(bigram_arpa([WORDS[:3]], [*WORDS, "windlass-breath"]))
    with pytest.raises(ConfigError, match="has 1 word that the model lacks, the first 'windlass-breath'"):
        predictors(0.5)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_an_empty_text_to_tune_on_is_refused(predictors, state):
    with pytest.raises(DataError, match="the text to tune on is empty"):
        predictors(tune=Chunks(""), state=state)


def test_without_kenlm_it_says_what_to_install(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "kenlm", None)  # as if it were not installed: the import fails
    with pytest.raises(ConfigError, match=r"pip install 'rnngen\[arpa\]'"):
        arpa_predictors(network_predictor("net", network, TOKENIZER), Path("lm.arpa"))
