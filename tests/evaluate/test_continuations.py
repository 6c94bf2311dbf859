"""Lines as continuations of a prefix."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from small_tokenizers import CONFIGS, build

from rnngen.engine.scoring import score_lines
from rnngen.errors import ConfigError, TokenizerError
from rnngen.evaluate.continuations import prefix_logprob_nats, prefix_unknowns
from rnngen.evaluate.scored_lines import Boundaries, score_in_blocks
from rnngen.tokenizers.char import CharTokenizer
from rnngen.tokenizers.word import WordTokenizer

LINES = ["be", " question to", "", "zqx", "t is or not", "\tthat", "漢 is"]


@pytest.fixture
def network_for(make_engine):
    """A function: a tokenizer to a network with random weights and n-grams, whose state is more than vectors."""

    def make(tokenizer):
        return make_engine(vocab_size=tokenizer.vocab_size, num_layers=2, ngram_order=3)

    return make


@pytest.fixture
def scored(network_for):
    """A function: a tokenizer, lines and boundaries to scored lines."""

    def call(tokenizer, lines, on_unknown="unk", **boundaries):
        blocks = score_in_blocks(network_for(tokenizer), tokenizer, [lines], on_unknown, Boundaries(**boundaries))
        return list(itertools.chain.from_iterable(blocks))

    return call


@pytest.mark.parametrize("level", ["char", "byte", "word", "split word"])
@pytest.mark.parametrize("prefix", ["to ", "that is the ", "漢 not:\nor "])
def test_a_line_has_what_prefix_and_line_have_beyond_the_prefix(scored, network_for, level, prefix):
    tokenizer = build(CONFIGS[level])
    wholes = [tokenizer.encode(prefix + line) for line in LINES]
    by_hand = score_lines(network_for(tokenizer), wholes, tokenizer.newline_id)
    for line, ids, logprobs in zip(scored(tokenizer, LINES, prefix=prefix), wholes, by_hand, strict=True):
        n = len(line.encoded.ids)
        assert line.encoded.ids.tolist() == ids[len(ids) - n :].tolist()
        assert line.logprobs == pytest.approx(logprobs[len(ids) - n :], abs=1e-5)
        if level in ("char", "byte"):
            assert n == len(tokenizer.encode(line.text))
            before = float(logprobs[: len(ids) - n].sum())  # the same for every line: that of the prefix
            assert before == pytest.approx(float(by_hand[2][:-1].sum()), abs=1e-4)


@pytest.mark.parametrize("level", ["unigram", "bpe"])
@pytest.mark.parametrize("prefix", ["to ", "to", "that is th", "not to\nbe,", "that is the quest", "to be\n", "漢"])
def test_of_subwords_it_is_the_probability_of_both_over_that_of_a_text_that_starts_with_the_prefix(
    scored, network_for, level, prefix
):
    tokenizer = build(CONFIGS[level])
    network = network_for(tokenizer)
    wholes = [tokenizer.encode(prefix + line) for line in LINES]
    logprobs = score_lines(network, wholes, tokenizer.newline_id)
    start = log_of_all_ways(network, tokenizer, prefix)
    assert prefix_logprob_nats(network, tokenizer, prefix) == pytest.approx(start, abs=1e-4)
    for line, whole in zip(scored(tokenizer, LINES, prefix=prefix), logprobs, strict=True):
        assert line.totals.logprob_nats == pytest.approx(float(whole.sum()) - start, abs=1e-3)
        assert line.logprobs.max() <= 0
        assert "".join(token.text for token in line.tokens() if "\ufffd" not in token.text).endswith("\n")
        assert sum(word.logprob_nats for word in line.words()) == pytest.approx(line.totals.logprob_nats, abs=1e-4)


def log_of_all_ways(network, tokenizer, prefix) -> float:
    """By another way: every sequence of the tokenizer's tokens of which the last one reaches the prefix's end."""
    ways = {tuple(tokenizer.encode(prefix).tolist())}
    line_start = prefix.rfind("\n") + 1
    for id in set(range(tokenizer.vocab_size)) - {tokenizer.newline_id, *tokenizer.never_drawn}:
        text = tokenizer.decode([id])
        for place in range(line_start, len(prefix)):
            if (prefix[:place] + text).startswith(prefix):
                ways.add((*tokenizer.encode(prefix[:place]).tolist(), id))
    found = score_lines(network, [np.array(way) for way in ways], tokenizer.newline_id)
    return math.log(math.fsum(math.exp(float(logprobs[:-1].sum(dtype="float64"))) for logprobs in found))


def test_a_subword_that_the_border_cuts_shows_the_line_s_part_of_it(scored):
    tokenizer = build(CONFIGS["unigram"])
    (line,) = scored(tokenizer, ["be"], prefix="to ")
    assert (line.text, [token.text for token in line.tokens()]) == ("be", ["be", "\n"])
    assert [tokenizer.token(token.id) for token in line.tokens()] == [" be", "\n"]
    assert [word.text for word in line.words()] == ["be", "\n"]


def test_a_word_that_the_border_cuts_counts_as_a_whole(scored, network_for):
    words = WordTokenizer(["to", "be", "tobe"], "punctuation")
    (line,) = scored(words, ["be to"], prefix="to")
    (whole,) = score_lines(network_for(words), [words.encode("tobe to")], words.newline_id)
    assert line.logprobs == pytest.approx(whole)
    assert [token.text for token in line.tokens()] == ["be", "to", "\n"]


def test_an_unknown_word_that_the_border_cuts_counts_as_a_whole(scored, network_for):
    words = WordTokenizer(["to", "be"], "punctuation")
    (line,) = scored(words, ["qx to"], prefix="to zy")
    (whole,) = score_lines(network_for(words), [words.encode("to zyqx to")], words.newline_id)
    assert line.logprobs == pytest.approx(whole[1:])
    assert line.totals.n_unknown == 1


def test_the_end_is_left_out_where_it_is_not_scored(scored):
    chars = CharTokenizer("abc ")
    ended, endless = (scored(chars, ["ab", ""], prefix="ca", eos=eos) for eos in (True, False))
    assert [len(line.logprobs) for line in (*ended, *endless)] == [3, 1, 2, 0]
    assert ended[0].logprobs[:2] == pytest.approx(endless[0].logprobs)


@pytest.mark.parametrize("on_unknown", ["unk", "skip"])
def test_unknown_symbols_of_the_line_alone_are_counted_in_their_places(scored, on_unknown):
    chars = CharTokenizer("abc ")
    (line,) = scored(chars, ["a☃b☃"], on_unknown, prefix="☃c☃")
    assert line.totals.n_unknown == 2
    assert str(line.encoded.first_unknown).endswith("at character 2")
    kept = ["a", "☃", "b", "☃", "\n"] if on_unknown == "unk" else ["a", "b", "\n"]
    assert [token.text for token in line.tokens()] == kept
    assert len(line.logprobs) == len(kept)


def test_an_unknown_symbol_of_prefix_or_line_is_an_error_when_asked(scored):
    chars = CharTokenizer("abc ")
    with pytest.raises(TokenizerError, match=r"^the prefix has a symbol .* at character 2;"):
        scored(chars, ["a"], "error", prefix="a☃")
    with pytest.raises(TokenizerError, match=r"^line 2 has a symbol .* at character 3;"):
        scored(chars, ["a", "bb☃"], "error", prefix="ccc")


def test_a_word_that_a_line_may_complete_is_no_unknown_word_of_the_prefix(scored):
    words = WordTokenizer(["to", "be"], "punctuation")
    (line,) = scored(words, ["e to"], "error", prefix="to b")
    assert [token.text for token in line.tokens()] == ["e", "to", "\n"]
    assert prefix_unknowns(words, "to qx b", "unk").count == 1
    with pytest.raises(TokenizerError, match=r"^the prefix has .* at character 4;"):
        scored(words, ["e to"], "error", prefix="to qx b")


def test_lines_have_the_same_numbers_together_and_alone(scored):
    tokenizer = build(CONFIGS["bpe"])
    together = scored(tokenizer, LINES, prefix="to b")
    for text, line in zip(LINES, together, strict=True):
        (alone,) = scored(tokenizer, [text], prefix="to b")
        assert line.logprobs == pytest.approx(alone.logprobs, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": "carry"}, "leave out state and bos"),
        ({"bos": False}, "leave out state and bos"),
        ({"prefix": 3}, "prefix is 3: it must be a string"),
    ],
)
def test_a_prefix_that_cannot_be_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Boundaries(**{"prefix": "a", **options})
