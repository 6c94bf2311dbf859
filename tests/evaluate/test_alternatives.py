"""Likelier alternatives: with biases that are known by hand, and by the probabilities that scoring finds."""

from __future__ import annotations

import numpy as np
import pytest

from rnngen.engine.scoring import score_lines
from rnngen.errors import CheckpointError
from rnngen.evaluate import alternatives as module
from rnngen.evaluate.alternatives import alternatives, most_surprising

NEWLINE, V = 0, 7


@pytest.fixture
def known_engine(make_engine):
    """A function: logits to an Engine that gives them everywhere."""

    def make(logits):
        bias = np.array(logits, np.float32)
        return make_engine({"output.weight": np.zeros((len(bias), 6), np.float32), "output.bias": bias},
                           vocab_size=len(bias))  # fmt: skip

    return make


def test_of_known_logits_the_alternatives_are_their_order_and_their_softmax(known_engine):
    engine = known_engine(np.log([0.1, 0.5, 0.15, 0.25]))
    for found in alternatives(engine, np.array([3, 2]), NEWLINE, [0, 1, 2], 3):
        assert [id for id, _ in found] == [1, 3, 2]
        assert [probability for _, probability in found] == pytest.approx([0.5, 0.25, 0.15])


def test_of_equally_likely_tokens_the_lowest_id_comes_first(known_engine):
    assert alternatives(known_engine([0, 1, 1, 0]), np.array([1]), NEWLINE, [0], 4)[0] == [
        (1, pytest.approx(np.e / (2 * np.e + 2))),
        (2, pytest.approx(np.e / (2 * np.e + 2))),
        (0, pytest.approx(1 / (2 * np.e + 2))),
        (3, pytest.approx(1 / (2 * np.e + 2))),
    ]


def test_what_is_never_drawn_is_not_offered_and_keeps_its_probability(known_engine):
    engine = known_engine(np.log([0.1, 0.5, 0.15, 0.25]))
    [found] = alternatives(engine, np.array([2]), NEWLINE, [1], 4, never_drawn=(1,))
    assert [id for id, _ in found] == [3, 2, 0]
    assert sum(probability for _, probability in found) == pytest.approx(0.5)


def test_a_token_has_the_probability_that_scoring_gives_it(make_engine, model_options):
    engine = make_engine(**model_options)
    ids = np.random.default_rng(1).integers(V, size=20).astype(np.int32)
    [logprobs] = score_lines(engine, [ids], NEWLINE)
    found = alternatives(engine, ids, NEWLINE, range(21), V)
    own = [dict(tokens)[id] for tokens, id in zip(found, [*ids.tolist(), NEWLINE], strict=True)]
    np.testing.assert_allclose(own, np.exp(logprobs), rtol=1e-4)
    for tokens in found:
        assert sum(probability for _, probability in tokens) == pytest.approx(1)


@pytest.mark.parametrize("logits_at_a_time", [1, 7 * V, 64 * V])
def test_a_long_line_in_windows_gives_what_it_gives_in_one_piece(
    make_engine, model_options, monkeypatch, logits_at_a_time
):
    engine = make_engine(**model_options)
    ids = np.random.default_rng(2).integers(V, size=100)
    places = [100, 0, 6, 7, 41, 8]
    whole = alternatives(engine, ids, NEWLINE, places, 3)
    monkeypatch.setattr(module, "LOGITS_AT_A_TIME", logits_at_a_time)
    in_windows = alternatives(engine, ids, NEWLINE, places, 3)
    assert [[id for id, _ in tokens] for tokens in in_windows] == [[id for id, _ in tokens] for tokens in whole]
    np.testing.assert_allclose(in_windows, whole, rtol=1e-4)


def test_places_may_come_in_any_order_and_twice(make_engine):
    engine, ids = make_engine(), np.array([1, 2, 3])
    [at_0, at_1, at_2, at_3] = alternatives(engine, ids, NEWLINE, [0, 1, 2, 3], 2)
    assert alternatives(engine, ids, NEWLINE, [3, 1, 1], 2) == [at_3, at_1, at_1]
    assert at_0 != at_2


def test_an_empty_line_has_the_place_of_its_line_break_and_no_places_give_nothing(make_engine):
    empty = np.zeros(0, np.int32)
    assert len(alternatives(make_engine(), empty, NEWLINE, [0], 5)[0]) == 5
    assert alternatives(make_engine(), empty, NEWLINE, [], 5) == []


def test_only_the_line_up_to_the_last_place_is_computed(make_engine, monkeypatch):
    engine = make_engine()
    lengths = []
    forward = engine.forward
    monkeypatch.setattr(engine, "forward", lambda ids, state: (lengths.append(ids.shape), forward(ids, state))[1])
    alternatives(engine, np.ones(1000, np.int64), NEWLINE, [4, 2], 1)
    assert lengths == [(1, 5)]


def test_logits_that_are_not_finite_are_a_broken_model(known_engine):
    for strange in (np.nan, np.inf):
        with pytest.raises(CheckpointError, match="the model's logits are not finite"):
            alternatives(known_engine([0, strange, 1]), np.array([1]), NEWLINE, [0], 2)


def test_a_token_that_cannot_be_has_probability_0(known_engine):
    [found] = alternatives(known_engine([0, -np.inf]), np.array([1]), NEWLINE, [0], 2)
    assert found == [(0, 1.0), (1, 0.0)]


@pytest.mark.parametrize(
    ("surprisals", "places"),
    [
        ([0.1, 5, 2.5, 9, 3, 0], [1, 3, 4]),
        ([1, 2, 2.1], [2]),
        ([4, 4, 4, 4], [0, 1, 2]),
        ([np.nan, np.inf, 3], [1, 2]),
        ([2, 1], []),
        ([], []),
    ],
)
def test_the_most_surprising_places_are_at_most_three_above_two_bits_in_the_order_of_the_line(surprisals, places):
    assert most_surprising(surprisals) == places
