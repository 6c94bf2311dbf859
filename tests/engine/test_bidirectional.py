"""The bidirectional engine: it never sees the token that it predicts, and long texts are predicted in pieces."""

from __future__ import annotations

import numpy as np
import pytest
from cells import CELLS

from rnngen.config import ModelConfig
from rnngen.engine import bidirectional, compiled
from rnngen.engine.bidirectional import BidirectionalEngine, logprobs_of, score_text
from rnngen.engine.runner import from_both_sides, from_the_left, reader
from rnngen.engine.sides import Piece, pieces_of, sides_of
from rnngen.errors import ConfigError

V, NEWLINE = 9, 0


@pytest.fixture(params=CELLS.values(), ids=CELLS.keys())
def make_model(request, random_weights):
    def make(**sizes):
        settings = {"vocab_size": V, "embedding_dim": 5, "hidden_size": 7, "bidirectional": True, **request.param}
        config = ModelConfig(**{**settings, **sizes})
        return BidirectionalEngine(config, random_weights(config))

    return make


def random_line(length, seed=1):
    ids = np.random.default_rng(seed).integers(1, V, length)
    return np.concatenate([[NEWLINE], ids, [NEWLINE]])


def logits_of(model, ids):
    """At each place between the first and the last id: [T, V]."""
    return model.logits(sides_of([Piece(ids, 1, len(ids) - 1)], NEWLINE))[0]


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_the_output_at_a_place_depends_on_every_token_but_its_own(make_model, num_layers):
    model, ids = make_model(num_layers=num_layers), random_line(8)
    before = logits_of(model, ids)
    for place in range(1, len(ids) - 1):
        changed = ids.copy()
        changed[place] = 1 + ids[place] % (V - 1)
        differs = (logits_of(model, changed) != before).any(axis=1)
        assert not differs[place - 1]
        assert differs.sum() == len(differs) - 1


def test_numpy_and_c_agree(make_model, monkeypatch):
    ids = random_line(30)
    found = logits_of(make_model(num_layers=2), ids)
    monkeypatch.setattr(compiled, "LIBRARY", None)
    np.testing.assert_allclose(logits_of(make_model(num_layers=2), ids), found, atol=1e-5)


def test_tied_weights_use_the_embedding_for_the_softmax(make_model):
    tied = make_model(embedding_dim=7, tie_weights=True)
    assert "output.weight" not in tied.config.weight_shapes()
    assert logits_of(tied, random_line(3)).shape == (3, V)


def test_log_probabilities_are_those_of_the_logits(make_model, monkeypatch):
    model, lines = make_model(), [random_line(length, length) for length in (5, 1, 0, 12)]
    monkeypatch.setattr(bidirectional, "LOGITS_AT_A_TIME", 2 * V)
    for ids, found in zip(lines, logprobs_of(model, lines), strict=True):
        assert found.shape == (len(ids) - 2,)
        if len(found):
            logits = logits_of(model, ids).astype(np.float64)
            logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
            np.testing.assert_allclose(found, logprobs[range(len(found)), ids[1:-1]], atol=1e-5)


def test_a_piece_reads_its_context_alone():
    ids = np.arange(100, 120)
    left, right, left_at, right_at = Piece(ids, 10, 13, context=2).read()
    assert left.tolist() == [108, 109, 110, 111]
    assert right.tolist() == [114, 113, 112, 111]
    for place, before, after in zip(range(10, 13), left_at, right_at, strict=True):
        assert (left[before], right[after]) == (ids[place - 1], ids[place + 1])


@pytest.fixture
def short_windows(monkeypatch):
    for module in (bidirectional, pieces_of.__globals__):
        for name, value in (("WINDOW", 5), ("CONTEXT", 4)):
            if isinstance(module, dict):
                monkeypatch.setitem(module, name, value)
            else:
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(Piece.__init__, "__defaults__", (4,))
    monkeypatch.setattr(bidirectional, "BATCH_IDS", 20)


@pytest.mark.parametrize("cuts", [[], [1], [7, 8, 30], list(range(1, 43))])
def test_a_text_is_predicted_alike_wherever_it_is_cut(make_model, short_windows, cuts):
    model, ids = make_model(), random_line(43)[1:-1]
    found = np.concatenate(list(score_text(model, np.split(ids, cuts), NEWLINE)))
    sequence = np.concatenate([[NEWLINE], ids, [NEWLINE]])
    assert [piece.n_places for piece in pieces_of(sequence)] == [5] * 8 + [3]
    np.testing.assert_allclose(found, logprobs_of(model, [sequence])[0], atol=1e-5)
    whole = model.logprobs(sides_of([Piece(sequence, 1, 44, 99)], NEWLINE), ids[None])[0]
    assert 0 < abs(found - whole).max() < 2  # of the context beyond four tokens


def test_a_line_break_has_no_log_probability_where_lines_are_scored_by_themselves(make_model):
    model, lines = make_model(), [random_line(4), random_line(0), random_line(6)]
    found = reader(model, NEWLINE, "reset")(np.concatenate([line[1:] for line in lines]))
    assert np.isnan(found).nonzero()[0].tolist() == [4, 5, 12]
    np.testing.assert_allclose(found[~np.isnan(found)], np.concatenate(logprobs_of(model, lines)), atol=1e-6)
    assert not len(reader(model, NEWLINE, "reset")(np.empty(0, np.int64)))


def test_each_kind_of_model_is_refused_where_the_other_is_needed(make_model, make_engine):
    both, left = make_model(), make_engine()
    assert from_both_sides(both) is both
    assert from_the_left(left) is left
    with pytest.raises(ConfigError, match=r"^x is bidirectional: .* train a model without --bidirectional"):
        from_the_left(both, "x")
    with pytest.raises(ConfigError, match=r"^x predicts a token from the left alone: train a model with --bidirec"):
        from_both_sides(left, "x")
