"""A word model mixed with an ARPA file: one distribution, a weight that suits the text, and what is refused."""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from small_arpa import BackOff, bigram_arpa

import rnngen
from rnngen import models as checkpoints
from rnngen.cli.app import run
from rnngen.cli.mixing import mixture_of
from rnngen.cli.output import Console
from rnngen.engine.scoring import score_lines, score_text
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.interpolation import TOLERANCE_NATS, mix, mixed_scorer
from rnngen.text.corpus import FileText

PLAY = (Path(rnngen.__file__).parents[1] / "corpora" / "marrowmere.txt").read_text("utf-8")[:8000]
HELD_OUT = "Haul gently, lads\n\nand let the windlass breathe.\nShe is no load of hay\n" + PLAY[3000:3600]


@pytest.fixture(scope="module")
def word_model(tmp_path_factory):
    """The path of a small model of split text that does not know all of its words."""
    folder = tmp_path_factory.mktemp("word")
    (folder / "play.txt").write_text(PLAY, "utf-8")
    path = folder / "split.safetensors"
    (folder / "valid.txt").write_text(HELD_OUT, "utf-8")
    options = ["--level", "word", "--split", "whitespace", "--vocab-size", "300", "--valid", str(folder / "valid.txt"),
               "--hidden-size", "24", "--lr", "0.02", "--steps", "40", "--threads", "1", "-q"]  # fmt: skip
    assert run(["train", str(folder / "play.txt"), "-o", str(path), *options]) == 0
    return path


@pytest.fixture
def loaded(word_model):
    return checkpoints.load(str(word_model), "cpu", Console(True))


@pytest.fixture
def arpa_path(rnngen, word_model, tmp_path):
    """An ARPA file estimated on the text as `rnngen tokenize` prints it."""
    pytest.importorskip("kenlm")
    (tmp_path / "play.txt").write_text(PLAY, "utf-8")
    lines = [line.split() for line in rnngen("tokenize", "play.txt", "-m", word_model, "-q").out.split("\n")[:-1]]
    words = sorted({word for line in lines for word in line} - {"<unk>"})
    (tmp_path / "lm.arpa").write_text(bigram_arpa(lines, words), "utf-8")
    return tmp_path / "lm.arpa"


@pytest.fixture
def mixed(loaded, arpa_path):
    """mixture_of with that model and ARPA file."""

    def call(weight=None, tune=None, state="carry", on_unknown="unk", console=None):
        return mixture_of(loaded, arpa_path, weight, tune, state, on_unknown, console or Console(True))

    return call


@pytest.fixture
def held_out(tmp_path):
    (tmp_path / "held-out.txt").write_text(HELD_OUT, "utf-8")
    return FileText([str(tmp_path / "held-out.txt")])


def log_likelihoods(loaded, transform, before):
    """Of every token of the vocabulary after the ids `before`."""
    V, newline_id = loaded.tokenizer.vocab_size, loaded.tokenizer.newline_id
    return [
        transform()(ids, np.concatenate(list(score_text(loaded.network, ids, newline_id))))[-1]
        for ids in (np.array([*before, id]) for id in range(V))
    ]


@pytest.mark.parametrize("before", [[], [0], [5, 0, 9], [5, 1], [7, 1, 2, 3]])
def test_the_probabilities_of_all_tokens_sum_to_one(loaded, mixed, before):
    found = np.exp(log_likelihoods(loaded, mixed(0.4).transformation, before))
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_the_mixture_is_that_of_the_back_off_formula(loaded, mixed, arpa_path):
    tokenizer = loaded.tokenizer
    ids = tokenizer.encode(HELD_OUT)
    words = ["<unk>", "</s>", *tokenizer.words[2:]]
    other = BackOff(arpa_path.read_text("utf-8")).logprobs([words[id] for id in ids])
    alone = np.concatenate(list(score_text(loaded.network, ids, tokenizer.newline_id)))
    score = mixed_scorer(partial(score_text, loaded.network), mixed(0.3))
    found = np.concatenate(list(score(ids, tokenizer.newline_id)))
    assert 0 in ids
    np.testing.assert_allclose(found, mix(alone, np.array(other), 0.3), rtol=1e-5)


def test_lines_by_themselves_and_a_carried_text_see_the_same_arpa_probabilities(loaded, mixed):
    tokenizer = loaded.tokenizer
    lines = [tokenizer.encode(line) for line in HELD_OUT.split("\n")]
    whole, by_lines = (mixed(1.0).transformation() for _ in range(2))
    ids = np.concatenate([np.append(line, tokenizer.newline_id) for line in lines])
    expected = whole(ids, np.zeros(len(ids)))
    scored = score_lines(loaded.network, lines, tokenizer.newline_id)
    found = [
        by_lines(np.append(line, tokenizer.newline_id), logprobs)
        for line, logprobs in zip(lines, scored, strict=True)
    ]  # fmt: skip
    np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_on_the_text_it_is_tuned_on_the_mixture_is_no_worse_than_either(mixed, held_out, capsys, state):
    mixture = mixed(tune=held_out, state=state, console=Console(False))
    note = capsys.readouterr().err
    form = (
        r"tuned: weight (\S+) of the ARPA file after (\d+) iterations? of EM; perplexity on that text (\S+) of the "
        r"model, (\S+) of the ARPA file, (\S+) of the mixture\n"
    )
    weight, n_iterations, model, arpa, both = map(float, re.fullmatch(form, note).groups())
    assert weight == pytest.approx(mixture.weight, abs=1e-4)
    assert n_iterations > 1
    assert both <= min(model, arpa) * np.exp(TOLERANCE_NATS) + 1e-4
    assert 0 < weight < 1
    assert both < min(model, arpa)  # an inner weight: both models have something to say


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_the_perplexities_of_the_tuning_are_those_of_the_scorers(loaded, mixed, held_out, capsys, state):
    mixture = mixed(tune=held_out, state=state, console=Console(False))
    note = capsys.readouterr().err
    tokenizer = loaded.tokenizer
    if state == "carry":
        score = mixed_scorer(partial(score_text, loaded.network), mixture)
        found = np.concatenate(list(score(tokenizer.encode(HELD_OUT), tokenizer.newline_id)))
    else:
        transform = mixture.transformation()
        lines = [tokenizer.encode(line) for line in HELD_OUT.split("\n")]
        scored = score_lines(loaded.network, lines, tokenizer.newline_id)
        ended = [np.append(line, tokenizer.newline_id) for line in lines]
        found = np.concatenate([transform(ids, logprobs) for ids, logprobs in zip(ended, scored, strict=True)])
    perplexity = float(re.search(r"(\S+) of the mixture", note)[1])
    assert perplexity == pytest.approx(np.exp(-found.mean()), rel=1e-4)


def test_unknown_words_that_are_left_out_are_left_out_of_both(mixed, held_out):
    kept, left_out = mixed(tune=held_out).weight, mixed(tune=held_out, on_unknown="skip").weight
    assert kept != left_out


def test_without_a_weight_it_is_one_half_and_that_is_said(mixed, capsys):
    assert mixed(console=Console(False)).weight == 0.5
    assert "has the weight 0.5; --lambda L sets it, --tune FILE looks for the best one" in capsys.readouterr().err
    assert mixed(0.25, console=Console(False)).weight == 0.25
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan")])
def test_a_weight_out_of_range_is_refused(loaded, weight):
    with pytest.raises(ConfigError, match=f"lambda is {weight}: the weight of the ARPA file must be 0 to 1"):
        mixture_of(loaded, Path("lm.arpa"), weight, None, "carry", "unk", Console(True))


def test_a_weight_and_a_text_to_tune_it_on_exclude_each_other(loaded, held_out):
    with pytest.raises(ConfigError, match="--lambda and --tune exclude each other"):
        mixture_of(loaded, Path("lm.arpa"), 0.5, held_out, "carry", "unk", Console(True))


@pytest.mark.parametrize(
    ("name", "level"),
    [("char", "--level char"), ("word", "--level word --split punctuation"), ("byte", "--level byte")],
)
def test_models_of_anything_but_split_words_are_refused(models, name, level):
    other = checkpoints.load(models[name], "cpu", Console(True))
    with pytest.raises(ConfigError) as caught:
        mixture_of(other, Path("lm.arpa"), None, None, "carry", "unk", Console(True))
    assert f"is of {level}; train one with --level word --split whitespace" in str(caught.value)


def test_an_arpa_file_of_other_words_is_refused_before_any_text_is_read(loaded, mixed, arpa_path):
    words = loaded.tokenizer.words[2:]
    arpa_path.write_text(bigram_arpa([words[:3]], words[:-2]))
    with pytest.raises(ConfigError, match="lacks of the model's words 2, the first"):
        mixed(0.5)
    arpa_path.write_text(bigram_arpa([words[:3]], [*words, "windlass-breath"]))
    with pytest.raises(ConfigError, match="has beside the model's words 1, the first 'windlass-breath'"):
        mixed(0.5)


def test_an_empty_text_to_tune_on_is_refused(mixed, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    for state in ("carry", "reset"):
        with pytest.raises(DataError, match="the text to tune on is empty"):
            mixed(tune=FileText([str(tmp_path / "empty.txt")]), state=state)


def test_without_kenlm_it_says_what_to_install(loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "kenlm", None)  # as if it were not installed: the import fails
    with pytest.raises(ConfigError, match=r"pip install 'rnngen\[arpa\]'"):
        mixture_of(loaded, Path("lm.arpa"), None, None, "carry", "unk", Console(True))
