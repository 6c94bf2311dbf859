"""The loss by context: each place by hand, the whole text as the longest context, a model that sees two tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest
from chunks import Chunks

from rnngen.engine.scoring import score_text
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate import context_losses as context_module
from rnngen.evaluate.context_losses import context_lengths, context_losses, measure_contexts
from rnngen.tokenizers.char import CharTokenizer
from rnngen.training.torch_model import load_torch_model

NEWLINE, V = 0, 7
CHARS = CharTokenizer(" abc")


def random_ids(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(V, size=n).astype(np.uint16)


def seen_alone(model, ids, place: int, context: int) -> float:
    """The log-probability of one token, by itself, from the last tokens of what stands before it."""
    before = [NEWLINE, *ids[:place].tolist()][-context:]
    window = np.array([before])
    targets = np.array([[*before[1:], int(ids[place])]])
    return float(model.logprobs(window, targets, model.initial_state(1))[0][0, -1])


@pytest.mark.parametrize(("longest", "lengths"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (8, [1, 2, 4, 8])])
def test_contexts_double_up_to_the_longest(longest, lengths):
    assert context_lengths(longest) == lengths


def test_every_place_sees_its_last_tokens_and_no_others(make_engine, model_options, monkeypatch):
    monkeypatch.setattr(context_module, "ROWS", 7)
    monkeypatch.setattr(context_module, "STEPS", 3)
    engine, ids = make_engine(num_layers=2, **model_options), random_ids(30)
    for loss in context_losses(engine, ids, NEWLINE, 10)[:-1]:
        assert loss.context is not None
        nats = [-seen_alone(engine, ids, place, loss.context) for place in range(30)]
        assert loss.n_places == 30
        assert loss.loss_nats == pytest.approx(np.mean(nats), abs=1e-5)
        assert loss.standard_error_nats == pytest.approx(np.std(nats, ddof=1) / math.sqrt(30), abs=1e-5)


def test_a_context_as_long_as_the_text_is_all_of_it(make_engine, model_options):
    engine, ids = make_engine(**model_options), random_ids(30)
    *_, longest, everything = context_losses(engine, ids, NEWLINE, 30)
    assert (longest.context, everything.context) == (30, None)
    assert longest.loss_nats == everything.loss_nats
    assert everything.loss_nats == pytest.approx(-np.mean(np.concatenate(list(score_text(engine, ids, NEWLINE)))))


def test_at_a_place_far_from_the_begin_a_long_context_nears_the_carried_state(make_engine):
    ids = random_ids(4000)
    losses = context_losses(make_engine(), ids, NEWLINE, 64, n_places=40)
    assert abs(losses[-2].loss_nats - losses[-1].loss_nats) < 1e-5 < abs(losses[0].loss_nats - losses[-1].loss_nats)


def test_a_model_of_bigrams_alone_is_flat_from_two_tokens_on(make_engine, random_weights):
    options = {"ngram_order": 3}
    config = make_engine(**options).config
    off = {name: np.zeros_like(array) for name, array in random_weights(config).items() if name.startswith("rnn.")}
    one, *rest = context_losses(make_engine(off, **options), random_ids(500), NEWLINE, 16)
    assert [loss.loss_nats for loss in rest] == pytest.approx([rest[0].loss_nats] * 5, abs=1e-6)
    assert abs(one.loss_nats - rest[0].loss_nats) > 1e-3


def test_a_uniform_model_is_flat_and_its_perplexity_is_the_vocabulary_size(uniform_engine):
    for loss in context_losses(uniform_engine(V), random_ids(200), NEWLINE, 8):
        assert loss.perplexity == pytest.approx(V)
        assert loss.standard_error_nats == pytest.approx(0, abs=1e-6)


def test_the_places_are_evenly_spaced_and_no_more_than_asked(make_engine):
    engine, ids = make_engine(), random_ids(100)
    for loss in context_losses(engine, ids, NEWLINE, 4, n_places=10):
        length = loss.context or 100
        nats = [-seen_alone(engine, ids, place, length) for place in range(0, 100, 10)]
        assert loss.n_places == 10
        assert loss.loss_nats == pytest.approx(np.mean(nats), abs=1e-5)


def test_places_are_found_in_every_window_of_the_carried_pass(make_engine, monkeypatch):
    engine, ids = make_engine(), random_ids(100)
    whole = context_losses(engine, ids, NEWLINE, 1, n_places=7)[-1]
    monkeypatch.setattr("rnngen.engine.scoring.WINDOW_TOKENS", 8)
    assert context_losses(engine, ids, NEWLINE, 1, n_places=7)[-1].loss_nats == pytest.approx(whole.loss_nats, abs=1e-5)


def test_the_torch_model_gives_the_same_curve(make_engine, random_weights):
    config, ids = make_engine().config, random_ids(60)
    twin = load_torch_model(config, random_weights(config), "cpu")
    for found, wanted in zip(
        context_losses(twin, ids, NEWLINE, 8), context_losses(make_engine(), ids, NEWLINE, 8), strict=True
    ):
        assert found.loss_nats == pytest.approx(wanted.loss_nats, abs=1e-5)


def test_one_token_has_a_loss_and_no_standard_error(make_engine):
    losses = context_losses(make_engine(), random_ids(1), NEWLINE, 4)
    assert [loss.context for loss in losses] == [1, 2, 4, None]
    assert all(math.isnan(loss.standard_error_nats) and loss.loss_nats > 0 for loss in losses)


def test_what_cannot_be_measured_is_refused(make_engine):
    with pytest.raises(ConfigError, match="longest is 0: it must be a whole number from 1 to 9223372036854775807"):
        context_losses(make_engine(), random_ids(5), NEWLINE, 0)
    with pytest.raises(ConfigError, match="n_places is 0"):
        context_losses(make_engine(), random_ids(5), NEWLINE, 1, n_places=0)
    with pytest.raises(DataError, match="the text is empty"):
        context_losses(make_engine(), random_ids(0), NEWLINE, 1)


# Of a text.


def test_the_contexts_of_a_text_are_those_of_its_tokens(make_engine):
    engine, notes, text = make_engine(), [], "ab ca\n☃ bac\n" * 5
    losses = measure_contexts(engine, CHARS, Chunks(text[:5], text[5:]), 4, say=notes.append)
    assert losses == context_losses(engine, CHARS.encode(text), CHARS.newline_id, 4)
    assert "the text has 5 unknown symbols" in notes[0]
    assert "60 tokens of 60 predicted, evenly spaced" in notes[1]


@pytest.mark.parametrize(("content", "words"), [("", "is empty"), ("☃", "has unknown symbols only, all left out")])
def test_a_text_without_tokens_has_no_contexts(make_engine, content, words):
    with pytest.raises(DataError, match=f"the text {words}: there is nothing to measure"):
        measure_contexts(make_engine(), CHARS, Chunks(content), 4, on_unknown="skip")
