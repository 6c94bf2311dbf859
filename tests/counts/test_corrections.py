"""What the counts add: the paper's probabilities, in numpy and in C, and without a token's own occurrence."""

from __future__ import annotations

import numpy as np
import pytest
from slow_kneser_ney import SlowKneserNey, logs

from rnngen.counts import compiled, corrections
from rnngen.counts.corrections import CountModel
from rnngen.counts.estimate import estimate

NEWLINE = 0
TEXTS = {
    "two symbols": (3, np.random.default_rng(0).integers(1, 3, 90)),
    "letters in lines": (9, np.random.default_rng(1).geometric(0.3, 300) % 9),
    "many symbols": (70, np.random.default_rng(2).zipf(1.3, 400) % 70),
    "one symbol repeated": (2, np.ones(40, np.int64)),
    "one token": (4, np.array([2])),
    "shorter than the order": (4, np.array([2, 3, 2])),
}
IMPLEMENTATIONS = ["numpy", "C"]


@pytest.fixture(params=IMPLEMENTATIONS)
def count_model(request, monkeypatch):
    """A function: a trie to its CountModel, in numpy and in C."""
    if request.param == "numpy":
        monkeypatch.setattr(compiled, "LIBRARY", None)
    elif compiled.LIBRARY is None:
        pytest.skip(compiled.WHY_NOT)
    return CountModel


def logprobs_of(counts: CountModel, ids, targets=None) -> np.ndarray:
    """log p after each of `ids`, which stand after nothing: [n, V]."""
    known = np.concatenate([counts.initial_history(1)[:, 0], ids])[:, None]
    nodes = counts.nodes(known)[:, 0]
    logits = np.tile(counts.unigram_logprobs.astype(np.float32), (len(ids), 1))
    counts.add(logits, nodes, 1.0, targets)
    logits = logits.astype(np.float64)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("by_lines", [False, True], ids=["text", "lines"])
@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize(("vocab_size", "text"), TEXTS.values(), ids=TEXTS.keys())
def test_the_probabilities_are_those_of_the_paper(count_model, vocab_size, text, order, by_lines):
    slow = SlowKneserNey(text.tolist(), NEWLINE, vocab_size, order, by_lines)
    counts = count_model(estimate(text, NEWLINE, vocab_size, order, by_lines=by_lines))
    other = np.random.default_rng(3).permutation(text)[:30]
    for ids in (np.concatenate([[NEWLINE], text[:60]]), np.concatenate([[NEWLINE], other])):
        found = logprobs_of(counts, ids)
        for place in range(0, len(ids), 7):
            wanted = logs(slow.probs(tuple(ids[: place + 1].tolist())))
            np.testing.assert_allclose(found[place], wanted, atol=2e-5)


@pytest.mark.parametrize("by_lines", [False, True], ids=["text", "lines"])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_tokens_own_occurrence_is_left_out(count_model, order, by_lines):
    vocab_size, text = TEXTS["letters in lines"]
    slow = SlowKneserNey(text.tolist(), NEWLINE, vocab_size, order, by_lines)
    counts = count_model(estimate(text, NEWLINE, vocab_size, order, by_lines=by_lines))
    inputs = np.concatenate([[NEWLINE], text[:-1]])
    found = logprobs_of(counts, inputs, text)
    for place in range(0, len(text), 11):
        context = inputs[: place + 1].tolist()
        if by_lines:  # no n-gram goes on over a line break
            context = context[max(n for n, id in enumerate(context) if id == NEWLINE) :]
        context = tuple(context)
        wanted = np.array(slow.probs(context, slow.own(context, int(text[place]))))
        np.testing.assert_allclose(np.exp(found[place]), wanted / wanted.sum(), atol=2e-5)


@pytest.mark.parametrize("max_order", [None, 1, 2, 5])
def test_c_and_numpy_agree_with_all_that_can_be_asked(monkeypatch, max_order):
    if compiled.LIBRARY is None:
        pytest.skip(compiled.WHY_NOT)
    vocab_size, text = TEXTS["many symbols"]
    trie = estimate(text, NEWLINE, vocab_size, 7, most_bytes=3000)
    trie = trie.up_to(max_order or 99)
    in_c = CountModel(trie)
    monkeypatch.setattr(compiled, "LIBRARY", None)
    monkeypatch.setattr(corrections, "NUMBERS_AT_A_TIME", 5 * vocab_size)
    in_numpy = CountModel(trie)
    random = np.random.default_rng(0)
    known = random.choice(text, (in_c.history + 20, 3))
    known[random.random(known.shape) < 0.05] = -1
    known[3, 0] = vocab_size + 5  # none of the vocabulary: nothing stands before
    nodes = in_c.nodes(known)
    np.testing.assert_array_equal(nodes, in_numpy.nodes(known))
    flat = nodes.reshape(60, -1)
    for targets in (None, random.integers(-1, vocab_size, 60)):
        logits = [np.zeros((60, vocab_size), np.float32) for _ in range(2)]
        in_c.add(logits[0], flat, 0.7, targets)
        in_numpy.add(logits[1], flat, 0.7, targets)
        np.testing.assert_allclose(logits[0], logits[1], atol=1e-5)
        assert logits[0].any() == (in_c.order > 1 or targets is not None)


def test_a_stepper_adds_what_a_window_does(count_model):
    vocab_size, text = TEXTS["letters in lines"]
    counts = count_model(estimate(text, NEWLINE, vocab_size, 4))
    history = text[: counts.history * 2].reshape(counts.history, 2)
    ids = text[50:70].reshape(10, 2)
    whole = np.zeros((20, vocab_size), np.float32)
    counts.add(whole, counts.nodes(np.concatenate([history, ids])).reshape(20, -1), 0.5)
    step = counts.stepper(history)
    for place, column in enumerate(ids):
        logits = np.zeros((2, vocab_size), np.float32)
        step(column, logits, 0.5)
        np.testing.assert_allclose(logits, whole[2 * place : 2 * place + 2], atol=1e-6)
    with pytest.raises(ValueError, match=r"shape|logits"):
        step(ids[0], np.zeros((3, vocab_size), np.float32), 0.5)


@pytest.mark.parametrize("most_bytes", [1, 600, 2000, None])
def test_pruned_counts_still_sum_to_one(count_model, most_bytes):
    vocab_size, text = TEXTS["letters in lines"]
    counts = count_model(estimate(text, NEWLINE, vocab_size, 6, most_bytes=most_bytes))
    ids = np.concatenate([[NEWLINE], text[:50]])
    known = np.concatenate([counts.initial_history(1)[:, 0], ids])[:, None]
    logits = np.zeros((len(ids), vocab_size), np.float32)
    counts.add(logits, counts.nodes(known)[:, 0], 1.0)
    shares = np.exp(logits + counts.unigram_logprobs)
    # What is left out of a softmax is one constant a place: the sum is 1 over the product of what each order leaves.
    assert (shares.sum(axis=1) >= 1 - 1e-5).all()
    np.testing.assert_allclose(np.exp(logprobs_of(counts, ids)).sum(axis=1), 1, atol=1e-6)
