"""Bayes' rule over models, by hand; lines that several models score, and what an unknown symbol costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_tokenizers import CONFIGS, build

from rnngen.errors import ConfigError, TokenizerError
from rnngen.evaluate import scored_lines
from rnngen.evaluate.classification import charged_logprob_nats, classify, classify_files, decide
from rnngen.evaluate.scored_lines import score_in_blocks
from rnngen.tokenizers.char import CharTokenizer

LINES = ["to be or not", "", "  ", "that is", "is\ta tab", "☃ and ☃", "be", "no end"]
CODE_POINT_NATS = math.log(1_114_112)
TOKENIZERS = {"a": CharTokenizer("aeinorst "), "b": CharTokenizer("abdehinot"), "byte": build(CONFIGS["byte"])}


def test_posteriors_and_margins_by_hand():
    decisions = decide(np.log([[0.1, 0.2], [0.3, 0.05], [0.1, 0.15]]))
    assert decisions.winners.tolist() == [1, 0]
    np.testing.assert_allclose(decisions.posteriors, [0.3 / 0.5, 0.2 / 0.4])
    np.testing.assert_allclose(decisions.margins_nats, np.log([3, 0.2 / 0.15]))


def test_of_equals_the_first_wins_without_a_margin():
    decisions = decide(np.full((4, 1), -12.5, np.float32))
    assert (decisions.winners[0], decisions.posteriors[0], decisions.margins_nats[0]) == (0, 0.25, 0)


def test_lines_too_unlikely_for_exp_are_decided_all_the_same():
    decisions = decide(np.array([[-5000.0, -1e6], [-5001.0, -2.0]]))
    assert decisions.winners.tolist() == [0, 1]
    np.testing.assert_allclose(decisions.posteriors, [1 / (1 + np.exp(-1)), 1])
    np.testing.assert_allclose(decisions.margins_nats, [1, 999_998])


def test_what_all_models_have_in_common_changes_nothing():
    logprobs = np.random.default_rng(0).normal(-40, 3, (3, 20))
    plain, shifted = decide(logprobs), decide(logprobs - np.arange(20) * 30)
    np.testing.assert_array_equal(plain.winners, shifted.winners)
    np.testing.assert_allclose(plain.posteriors, shifted.posteriors)
    assert ((plain.posteriors >= 1 / 3) & (plain.posteriors <= 1)).all()
    assert (plain.margins_nats >= 0).all()


def test_no_lines_have_no_decisions():
    assert decide(np.empty((2, 0))).winners.shape == (0,)


def test_the_winner_has_the_largest_posterior_of_a_softmax():
    logprobs = np.random.default_rng(1).normal(0, 1, (5, 50))
    softmax = np.exp(logprobs) / np.exp(logprobs).sum(axis=0)
    decisions = decide(logprobs)
    np.testing.assert_array_equal(decisions.winners, softmax.argmax(axis=0))
    assert decisions.posteriors == pytest.approx(softmax.max(axis=0))


@pytest.fixture
def models(make_engine):
    """Networks with random weights and their tokenizers, by name."""
    return {name: (make_engine(vocab_size=one.vocab_size), one) for name, one in TOKENIZERS.items()}


def classified(models, lines=LINES):
    arriving = [[line + "\n" for line in lines[:-1]] + lines[-1:]]
    return [line for block in classify(models, arriving) for line in block]


def test_there_is_one_record_a_line_in_order_blank_and_unterminated_ones_included(models):
    assert [(line.number, line.text) for line in classified(models)] == list(enumerate(LINES, 1))


def test_the_winner_has_the_highest_log_probability_and_a_softmax_is_its_posterior(models):
    for line in classified(models):
        logprobs = line.logprobs_nats
        assert list(logprobs) == ["a", "b", "byte"]
        others = [value for name, value in logprobs.items() if name != line.model]
        assert line.margin_nats == pytest.approx(logprobs[line.model] - max(others))
        assert line.margin_nats >= 0
        assert line.posterior == pytest.approx(
            1 / (1 + sum(math.exp(other - logprobs[line.model]) for other in others))
        )


@pytest.mark.parametrize("level", ["word", "bpe", "byte"])
def test_a_known_line_has_the_log_probability_that_scoring_finds(models, make_engine, level):
    tokenizer = build(CONFIGS[level])
    network = make_engine(vocab_size=tokenizer.vocab_size)
    lines = ["to be or", "", "the"]
    [scored] = score_in_blocks(network, tokenizer, [[line + "\n" for line in lines]])
    for line, alone in zip(classified({"a": models["a"], "other": (network, tokenizer)}, lines), scored, strict=True):
        if not alone.encoded.n_unknown:
            assert line.logprobs_nats["other"] == pytest.approx(alone.totals.logprob_nats, rel=1e-5)


@pytest.mark.parametrize(
    ("level", "text", "n_choices"),
    [
        ("char", "b☃e", 1),
        ("char", "☃☃", 2),
        ("word", "the zqx the", 4),
        ("word", "☃☃", 4),
        ("word", "zqx zqx", 8),
        ("byte", "☃☃", 0),
    ],
)
def test_an_unknown_symbol_is_charged_for_its_characters_and_a_word_for_its_end(make_engine, level, text, n_choices):
    tokenizer = build(CONFIGS[level])
    [[line]] = score_in_blocks(make_engine(vocab_size=tokenizer.vocab_size), tokenizer, [[text]])
    charge = line.totals.logprob_nats - charged_logprob_nats(line)
    assert charge == pytest.approx(n_choices * CODE_POINT_NATS, abs=1e-3)


def test_a_model_that_knows_no_word_of_a_line_does_not_win_by_calling_them_unknown(models, make_engine):
    words = build(CONFIGS["word"])
    word_network = make_engine(vocab_size=words.vocab_size)
    text = "ostaren in sotern, a estin o tanis"
    [[cheap]], [[spelt]] = (score_in_blocks(*model, [[text]]) for model in ((word_network, words), models["byte"]))
    assert cheap.totals.logprob_nats > spelt.totals.logprob_nats
    [line] = classified({"words": (word_network, words), "byte": models["byte"]}, [text])
    assert line.model == "byte"


def test_a_line_is_charged_where_any_model_does_not_know_a_symbol(models):
    both = {name: models[name] for name in ("a", "byte")}
    assert [line.is_charged for line in classified(both, ["to☃", "ten", "bad"])] == [True, False, True]


def test_the_same_line_wins_the_same_in_whatever_block_it_comes(models, monkeypatch):
    together = classified(models)
    monkeypatch.setattr(scored_lines, "MOST_LINES", 1)
    for alone, line in zip(classified(models), together, strict=True):
        assert (alone.number, alone.model, alone.text) == (line.number, line.model, line.text)
        assert alone.margin_nats == pytest.approx(line.margin_nats, abs=1e-3)


def test_lines_are_yielded_before_more_are_read(models):
    read = []

    def arriving():
        for text in ("to\n", "be\n"):
            read.append(text)
            yield [text]

    blocks = classify(models, arriving())
    assert ([line.text for line in next(blocks)], read) == (["to"], ["to\n"])
    assert [line.number for line in next(blocks)] == [2]


def test_mistakes_are_named(models):
    with pytest.raises(ConfigError, match="classification compares models: name two or more"):
        classify({"a": models["a"]}, [["x"]])
    with pytest.raises(ConfigError, match="on_unknown is 'skip': it must be unk or error"):
        classify(models, [["x"]], "skip")
    with pytest.raises(TokenizerError, match="line 2 has a symbol that the model does not know"):
        list(classify(models, [["to\n", "☃"]], "error"))
    assert list(classify(models, [])) == []


def test_lines_of_several_files_have_numbers_of_their_own(models):
    files = [("one", [["to be\n", "that\n"], ["is\n"]]), ("two", [["not"]])]
    found = [line for block in classify_files(models, files) for line in block]
    assert [(line.file, line.number, line.text) for line in found] == [
        ("one", 1, "to be"), ("one", 2, "that"), ("one", 3, "is"), ("two", 1, "not"),
    ]  # fmt: skip
