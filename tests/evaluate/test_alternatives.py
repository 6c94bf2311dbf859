"""Likelier tokens: from biases known by hand, and by the probabilities that scoring finds."""

from __future__ import annotations

import numpy as np
import pytest

from rnngen.engine.scoring import score_lines
from rnngen.errors import CheckpointError, ConfigError
from rnngen.evaluate import alternatives as module
from rnngen.evaluate.alternatives import SurprisingToken, alternatives, most_surprising, surprising_tokens
from rnngen.evaluate.scored_lines import Boundaries, score_in_blocks
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer

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


LETTERS = CharTokenizer("abc")  # ids: unknown 0, line break 1, then a, b, c
PROBABILITIES = [0.4, 0.06, 0.3, 0.2, 0.04]


@pytest.fixture
def surprising(known_engine):
    """A function: a line to its surprising tokens, by a model that finds PROBABILITIES everywhere."""
    engine = known_engine(np.log(PROBABILITIES))

    def find(text, n, on_unknown="unk", boundaries=Boundaries()):  # noqa: B008
        [[line]] = score_in_blocks(engine, LETTERS, [[text]], on_unknown, boundaries)
        return surprising_tokens(engine, line, n)

    return find


def test_likelier_tokens_are_those_above_the_one_that_stands_there(surprising):
    # 0.2 is 2.3 bits, 0.06 is 4.1, 0.04 is 4.6; 0.3 is below two bits, and the unknown symbol is not offered.
    found = surprising("abc", 3)
    assert [(token.number, token.start, token.token, token.text) for token in found] == [
        (2, 1, "b", "b"), (3, 2, "c", "c"), (4, 3, "\n", "\n")
    ]  # fmt: skip
    assert [token.surprisal_bits for token in found] == pytest.approx([-np.log2(p) for p in (0.2, 0.04, 0.06)])
    assert [[symbol for symbol, _ in token.likelier] for token in found] == [["a"], ["a", "b", "\n"], ["a", "b"]]
    assert dict(found[1].likelier) == pytest.approx({"a": 0.3, "b": 0.2, "\n": 0.06})
    assert [len(token.likelier) for token in surprising("abc", 1)] == [1, 1, 1]


def test_an_unsurprising_line_has_its_line_break_only(surprising):
    assert [token.number for token in surprising("aaaa", 3)] == [5]
    assert surprising("aaaa", 3, boundaries=Boundaries(eos=False)) == []


def test_left_out_symbols_take_no_number_and_keep_the_places_of_the_others(surprising):
    assert [(token.number, token.start) for token in surprising("☃c", 1, on_unknown="skip")] == [(1, 1), (2, 2)]


def test_a_byte_stands_for_its_whole_character(known_engine):
    engine = known_engine(np.zeros(256))
    [[line]] = score_in_blocks(engine, ByteTokenizer(), [["漢"]])
    first, *_ = surprising_tokens(engine, line, 1)
    assert first == SurprisingToken(
        number=1, start=0, token="<0xE6>", text="漢", surprisal_bits=pytest.approx(8), likelier=first.likelier
    )


@pytest.mark.parametrize("boundaries", [Boundaries(bos=False), Boundaries(state="carry")])
def test_a_line_that_was_not_scored_by_itself_is_refused(surprising, boundaries):
    with pytest.raises(ConfigError, match="scored by itself after a line break"):
        surprising("abc", 1, boundaries=boundaries)
