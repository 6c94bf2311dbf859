"""Filling gaps: exact where all fillings are weighed, from both sides and from the left."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from small_tokenizers import CONFIGS, build

from rnngen.config import ModelConfig
from rnngen.engine.bidirectional import BidirectionalEngine, logprobs_of
from rnngen.engine.language_model import Engine
from rnngen.engine.scoring import score_lines
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate import filling
from rnngen.evaluate.filling import fill_lines
from rnngen.evaluate.gaps import GapLength

CHAR, WORD = build(CONFIGS["char"]), build(CONFIGS["word"])
ONE = GapLength(1, 1)


@pytest.fixture(params=[False, True], ids=["from the left", "from both sides"])
def runner_of(request, random_weights):
    def make(tokenizer, **options):
        config = ModelConfig(
            vocab_size=tokenizer.vocab_size, embedding_dim=4, hidden_size=8, bidirectional=request.param, **options
        )
        weights = {name: 2 * weight for name, weight in random_weights(config).items()}
        return (BidirectionalEngine if request.param else Engine)(config, weights)

    return make


def only(*arguments, **options):
    [found] = fill_lines(*arguments, **options)
    return found


@pytest.mark.parametrize(("line", "n_gaps"), [("to _e", 1), ("_", 1), ("_o b_", 2), ("__", 2)])
def test_fillings_are_those_of_all_that_can_be_weighed(monkeypatch, runner_of, line, n_gaps):
    runner = runner_of(CHAR)
    monkeypatch.setattr(filling, "BEAM", 10_000)
    found = only(runner, CHAR, [line + "\n"], mark="_", length=ONE, top=9)
    allowed = sorted(set(range(CHAR.vocab_size)) - {CHAR.newline_id, *CHAR.never_drawn})
    weights = {}
    for ids in itertools.product(allowed, repeat=n_gaps):
        texts = tuple(CHAR.decode([id]) for id in ids)
        parts = line.split("_")
        text = parts[0] + "".join(filler + part for filler, part in zip(texts, parts[1:], strict=True))
        sequence = CHAR.encode(text).astype(np.int64)
        if runner.config.bidirectional:
            whole = logprobs_of(runner, [np.concatenate([[CHAR.newline_id], sequence, [CHAR.newline_id]])])[0]
            places = [place for place, character in enumerate(line) if character == "_"]
            weights[texts] = whole[places].sum()
        else:
            weights[texts] = score_lines(runner, [sequence], CHAR.newline_id)[0].sum()
    total = 1.0 if runner.config.bidirectional and n_gaps == 1 else sum(map(math.exp, weights.values()))
    best = sorted(weights, key=lambda texts: -weights[texts])[:9]
    assert [one.fillers for one in found.fillings] == best
    for one in found.fillings:
        assert one.probability == pytest.approx(math.exp(weights[one.fillers]) / total, rel=1e-3)
    assert found.method == ("exact" if runner.config.bidirectional else "beam")


def test_gibbs_sampling_finds_the_best_of_all(monkeypatch, runner_of):
    runner = runner_of(CHAR)
    if not runner.config.bidirectional:
        pytest.skip("a model that reads from the left has the probability of a line")
    exact = only(runner, CHAR, ["t_ b_"], mark="_", length=ONE, top=1)
    monkeypatch.setattr(filling, "MOST_EXACT", 1)
    sampled = only(runner, CHAR, ["t_ b_"], mark="_", length=ONE, top=1, seed=1)
    assert (exact.method, sampled.method) == ("exact", "gibbs")
    assert sampled.fillings[0].fillers == exact.fillings[0].fillers
    assert sampled == only(runner, CHAR, ["t_ b_"], mark="_", length=ONE, top=1, seed=1)


def test_of_several_lengths_the_best_is_taken(runner_of):
    runner = runner_of(CHAR)
    found = only(runner, CHAR, ["to _"], mark="_", length=GapLength(1, 3), top=50)
    lengths = {len(one.fillers[0]) for one in found.fillings}
    if not runner.config.bidirectional:
        assert lengths <= {1, 2, 3}
        assert all(one.text == f"to {one.fillers[0]}" for one in found.fillings)
        return
    means = {}
    for length in (1, 2, 3):
        best = only(runner, CHAR, ["to _"], mark="_", length=GapLength(length, length), top=1).fillings[0].text
        sequence = np.concatenate([[CHAR.newline_id], CHAR.encode(best), [CHAR.newline_id]])
        means[length] = logprobs_of(runner, [sequence])[0].mean()
    assert lengths == {max(means, key=lambda length: means[length])}
    with pytest.raises(DataError, match="of several gaps in a line only one length can be tried"):
        only(runner, CHAR, ["_ _"], mark="_", length=GapLength(1, 3), top=1)


def test_words_stand_where_they_can_stand(runner_of):
    found = only(runner_of(WORD), WORD, ["to ___ , or"], top=100)
    fillers = [one.fillers[0] for one in found.fillings]
    assert "be" in fillers
    assert not {"￭,", ",", "\n", "", "<unk>"} & set(fillers)
    assert found.fillings[0].text == f"to {fillers[0]} , or"
    assert sorted((one.probability for one in found.fillings), reverse=True) == [
        one.probability for one in found.fillings
    ]


def test_counts_are_a_part_of_what_weighs(random_weights):
    config = ModelConfig(vocab_size=CHAR.vocab_size, embedding_dim=4, hidden_size=8, ngram_order=3)
    found = only(Engine(config, random_weights(config)), CHAR, ["to _e"], mark="_", length=ONE, top=2)
    assert len(found.fillings) == 2


def test_a_number_of_fillings_that_is_none(runner_of):
    with pytest.raises(ConfigError, match="top is 0"):
        only(runner_of(CHAR), CHAR, ["_"], mark="_", top=0)
