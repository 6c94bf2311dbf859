"""Training in both directions: the network is the engine's, the examples are the text, and a run learns."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from cells import CELLS
from small_runs import NAMES, PLAY, SMALL, follow, weights_of

import rnngen
from rnngen.config import ModelConfig, ModelOptions, TokenizerConfig, TrainConfig
from rnngen.engine.bidirectional import BidirectionalEngine
from rnngen.engine.sides import Piece, sides_of
from rnngen.runs.resume import resume
from rnngen.runs.train import training_events
from rnngen.training import network
from rnngen.training.bidirectional import BidirectionalNetwork, load_torch_bidirectional
from rnngen.training.both_sides import CONTEXT, line_stretches, text_stretches
from rnngen.training.bptt import IGNORED

OPTIONS = ModelOptions(hidden_size=16, bidirectional=True, dropout=0.1, weight_drop=0.1)


@pytest.mark.parametrize("options", CELLS.values(), ids=CELLS.keys())
@pytest.mark.parametrize(
    ("num_layers", "tie_weights", "large"), [(1, False, False), (3, True, False), (2, False, True)]
)
def test_the_torch_network_is_that_of_the_engine(random_weights, monkeypatch, options, num_layers, tie_weights, large):
    if large:
        monkeypatch.setattr(network, "LARGE_VOCABULARY", 1)
        monkeypatch.setattr("rnngen.training.bidirectional.LARGE_VOCABULARY", 1)
    config = ModelConfig(
        vocab_size=9, embedding_dim=6, hidden_size=6, num_layers=num_layers, tie_weights=tie_weights,
        bidirectional=True, **options,
    )  # fmt: skip
    weights = random_weights(config)
    engine, twin = BidirectionalEngine(config, weights), load_torch_bidirectional(config, weights, "cpu")
    ids = np.random.default_rng(0).integers(9, size=40)
    pieces = [Piece(ids, 5, 12, 3), Piece(ids, 20, 38, 2), Piece(ids, 1, 2, 9)]
    sides, targets = sides_of(pieces, 0), np.ones((3, 18), np.int64)
    np.testing.assert_allclose(twin.logits(sides), engine.logits(sides), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(twin.logprobs(sides, targets), engine.logprobs(sides, targets), rtol=1e-5, atol=1e-5)


def generator_of():
    return np.random.Generator(np.random.PCG64(3))


def sides_at(stretch, row, place):
    """The ids that are read for a place, from the left and from the right."""
    sides = stretch.sides
    left, right = sides.left[row, : sides.left_at[row, place] + 1], sides.right[row, : sides.right_at[row, place] + 1]
    return left.tolist(), right.tolist()


def test_stretches_of_a_text_are_all_of_it_with_their_surroundings():
    ids = np.arange(1000)
    stretches = list(islice(text_stretches(ids, 5, 20, generator_of()), 10))
    seen = np.concatenate([stretch.targets for stretch in stretches])
    assert sorted(seen.T.reshape(-1).tolist()) == ids.tolist()
    for stretch in stretches:
        for row, place in ((0, 0), (4, 19), (2, 7)):
            token = stretch.targets[place, row]
            left, right = sides_at(stretch, row, place)
            assert left == [(token - n) % 1000 for n in range(CONTEXT + 1 + place, 0, -1)]
            assert right == [(token + n) % 1000 for n in range(CONTEXT + 20 - place, 0, -1)]
    [later] = islice(text_stretches(ids, 5, 20, generator_of(), skip=7), 1)
    assert (later.targets == stretches[7].targets).all()
    assert (later.sides.left == stretches[7].sides.left).all()


def test_in_a_short_text_no_token_is_in_its_own_context():
    ids = np.arange(20)
    for stretch in islice(text_stretches(ids, 3, 17, generator_of()), 5):
        for place, row in np.ndindex(stretch.targets.shape):
            left, right = sides_at(stretch, row, place)
            assert stretch.targets[place, row] not in {*left, *right}


def test_stretches_of_lines_are_all_tokens_but_the_line_breaks():
    lines = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 11], [12, 13]]
    ids = np.array([token for line in lines for token in (*line, 0)])
    stretches = list(islice(line_stretches(ids, 0, 2, 4, generator_of()), 8))
    seen = []
    for stretch in stretches[: len(stretches) // 2]:
        assert stretch.n_tokens == (stretch.targets != IGNORED).sum()
        for place, row in zip(*(stretch.targets != IGNORED).nonzero(), strict=True):
            token = int(stretch.targets[place, row])
            [line] = [line for line in lines if token in line]
            at = line.index(token)
            assert sides_at(stretch, row, place) == ([0, *line[:at]], [0, *line[:at:-1]])
            seen.append(token)
    assert set(seen) <= set(range(1, 14))
    one_epoch = list(islice(line_stretches(ids, 0, 99, 99, generator_of()), 1))
    assert sorted(one_epoch[0].targets[one_epoch[0].targets != IGNORED].tolist()) == list(range(1, 14))
    again = list(islice(line_stretches(ids, 0, 2, 4, generator_of(), skip=3), 2))
    assert [stretch.targets.tolist() for stretch in again] == [stretch.targets.tolist() for stretch in stretches[3:5]]


def test_a_network_learns_each_letter_from_its_neighbours(tmp_path):
    model = rnngen.train(
        text="hello\n" * 100,
        model=ModelOptions(hidden_size=16, bidirectional=True, num_layers=2, dropout=0.0, weight_drop=0.0),
        training=TrainConfig(steps=150, learning_rate=0.02, threads=1),
    )
    assert model.training["valid_loss_nats"] < 0.1  # after the last line break stands another one, which is new to it
    [line] = model.score(["hello"])
    assert line.pseudo
    assert line.totals.n_tokens == 5
    assert line.totals.perplexity < 1.1


@pytest.mark.parametrize(
    ("text", "lines", "tokenizer"),
    [(PLAY, False, TokenizerConfig("char")), (NAMES, True, TokenizerConfig("char")),
     (PLAY, False, TokenizerConfig("word")), (PLAY, True, TokenizerConfig("subword", vocab_size=330))],
    ids=["text", "lines", "words", "lines of subwords"],
)  # fmt: skip
def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path, text, lines, tokenizer):
    def events(name, **settings):
        return training_events(
            text=text, output=tmp_path / name, tokenizer=tokenizer, model=OPTIONS, force=True,
            training=TrainConfig(lines=lines, **SMALL), **settings,
        )  # fmt: skip

    follow(lambda should_stop: events("whole", should_stop=should_stop))
    follow(lambda should_stop: events("cut", should_stop=should_stop), stop_after=11)
    assert list(tmp_path.glob("cut.resume*"))
    follow(lambda should_stop: resume(tmp_path / "cut", text=text, should_stop=should_stop))
    assert weights_of(tmp_path / "cut.safetensors") == weights_of(tmp_path / "whole.safetensors")


def test_layers_drop_in_training_only(make_dataset):
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=9, embedding_dim=6, hidden_size=16, bidirectional=True, dropout=0.5)
    module = BidirectionalNetwork(config)
    sides = sides_of([Piece(np.arange(9), 1, 8)], 0)
    assert not torch.equal(module.train()(sides), module(sides))
    assert torch.equal(module.eval()(sides), module(sides))
