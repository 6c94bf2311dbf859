"""Scored lines: their numbers add up, at every level, whatever the boundaries and however the lines arrive."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_tokenizers import CONFIGS, build

from rnngen.config import TokenizerConfig
from rnngen.engine.scoring import score_lines
from rnngen.errors import TokenizerError
from rnngen.evaluate import scored_lines
from rnngen.evaluate.measures import QUANTITIES, sum_lines
from rnngen.evaluate.scored_lines import Boundaries, LineTotals, ScoredLine, score_in_blocks
from rnngen.tokenizers.base import encode_known
from rnngen.tokenizers.char import CharTokenizer
from rnngen.tokenizers.splitting import split_words

LINES = ["to be, or not", "", "  ", "that\tis the question", "zqx ☃ or", "is it? ", "\u2028 and \x0c", "no end"]
CHARS = CharTokenizer("abcdefghijklmnopqrstuvwxyz ,")
HEADLESS, ENDLESS, CARRIED = Boundaries(bos=False), Boundaries(eos=False), Boundaries(state="carry")


@pytest.fixture
def score(make_engine):
    """A function: lines and a tokenizer to the scored lines, by a network with random weights."""

    def call(lines, tokenizer=CHARS, on_unknown="unk", boundaries=Boundaries()) -> list[ScoredLine]:  # noqa: B008
        network = make_engine(vocab_size=tokenizer.vocab_size)
        arriving = [[line + "\n" for line in lines[:-1]] + lines[-1:]]
        return [
            line for block in score_in_blocks(network, tokenizer, arriving, on_unknown, boundaries) for line in block
        ]

    return call


def by_hand(text, logprobs, tokenizer=CHARS, on_unknown="unk", boundaries=Boundaries()) -> ScoredLine:  # noqa: B008
    encoded = encode_known(tokenizer, text, on_unknown, "the line")
    return ScoredLine(number=1, encoded=encoded, logprobs=np.array(logprobs, np.float32), boundaries=boundaries)


def test_totals_by_hand():
    line = by_hand("a☃b", [-1, -2, -4, -8])
    assert line.totals == LineTotals(-15, 4, 1, -13, 3)
    assert line.totals.perplexity == pytest.approx(math.exp(15 / 4))
    assert line.totals.known_perplexity == pytest.approx(math.exp(13 / 3))
    assert line.surprisals_bits == pytest.approx([bits / math.log(2) for bits in (1, 2, 4, 8)])
    assert by_hand("a☃b", [-1, -4, -8], on_unknown="skip").totals == LineTotals(-13, 3, 1, -13, 3)


def test_an_unknown_symbol_that_is_not_scored_is_not_counted():
    assert by_hand("☃a", [-1, -2], boundaries=HEADLESS).totals == LineTotals(-3, 2, 0, -3, 2)


def test_a_line_of_which_nothing_is_scored_has_no_perplexity():
    line = by_hand("", [], boundaries=Boundaries(bos=False, eos=False))
    assert math.isnan(line.totals.perplexity)
    assert (line.tokens(), line.words()) == ([], [])


def test_tokens_by_hand():
    assert by_hand("a☃", [-1, -2, -4]).tokens() == [
        (1, "a", CHARS.encode("a")[0], -1, False),
        (2, "☃", CHARS.unk_id, -2, True),
        (3, "\n", CHARS.newline_id, -4, False),
    ]
    assert [token.known_logprob_nats for token in by_hand("a☃", [-1, -2, -4]).tokens()] == [-1, 0, -4]
    assert [token.ends_line for token in by_hand("a☃", [-1, -2, -4]).tokens()] == [False, False, True]
    headless = by_hand("a☃", [-2, -4], boundaries=HEADLESS).tokens()
    assert [(token.number, token.text) for token in headless] == [(2, "☃"), (3, "\n")]
    assert [token.text for token in by_hand("a☃", [-1, -2], boundaries=ENDLESS).tokens()] == ["a", "☃"]


def test_words_by_hand():
    assert by_hand("ab  c☃ ", [-1, -2, -4, -8, -16, -32, -64, -128]).words() == [
        (1, "ab", None, -3, -3, 2, False), (2, "c☃", None, -60, -28, 4, True), (3, "\n", None, -192, -192, 2, False)
    ]  # fmt: skip
    assert by_hand("a", [-1, -2]).words() == [
        (1, "a", CHARS.encode("a")[0], -1, -1, 1, False), (2, "\n", CHARS.newline_id, -2, -2, 1, False)
    ]  # fmt: skip


def test_a_symbol_that_was_left_out_is_no_part_of_a_word():
    assert [word.text for word in by_hand("a☃b ☃", [-1] * 4, on_unknown="skip").words()] == ["ab", "\n"]


def test_without_the_line_end_white_space_there_belongs_to_the_last_word():
    assert [(word.text, word.n_tokens) for word in by_hand("ab c  ", [-1] * 6, boundaries=ENDLESS).words()] == [
        ("ab", 2), ("c", 4)
    ]  # fmt: skip
    assert [(word.text, word.n_tokens) for word in by_hand("  ", [-1] * 2, boundaries=ENDLESS).words()] == [("  ", 2)]


def test_words_keep_their_numbers_when_the_first_is_not_scored():
    words = by_hand("a bc d", [-1] * 6, boundaries=HEADLESS).words()
    assert [(word.number, word.text, word.n_tokens) for word in words] == [(2, "bc", 3), (3, "d", 2), (4, "\n", 1)]
    assert by_hand("", [], boundaries=HEADLESS).words() == []


def test_a_part_of_a_word_has_not_the_id_of_a_token():
    assert by_hand("ab c", [-1] * 4, boundaries=HEADLESS).words()[0].id is None


@pytest.mark.parametrize("level", CONFIGS)
@pytest.mark.parametrize("on_unknown", ["unk", "skip"])
def test_tokens_and_words_sum_to_the_line_at_every_level(score, level, on_unknown):
    tokenizer = build(CONFIGS[level])
    for text, line in zip(LINES, score(LINES, tokenizer, on_unknown), strict=True):
        totals, tokens, words = line.totals, line.tokens(), line.words()
        assert (line.text, [word.text for word in words]) == (
            text, [*split_words(line.encoded.known_text), "\n"]
        )  # fmt: skip
        assert len(tokens) == totals.n_tokens == sum(word.n_tokens for word in words) == len(line.encoded.ids) + 1
        assert [token.ends_line for token in tokens] == [False] * (len(tokens) - 1) + [True]
        for parts in (tokens, words):
            assert sum(part.logprob_nats for part in parts) == pytest.approx(totals.logprob_nats, abs=1e-4)
            assert sum(part.known_logprob_nats for part in parts) == pytest.approx(totals.known_logprob_nats, abs=1e-4)
        if on_unknown == "unk":
            assert sum(token.unknown for token in tokens) == totals.n_unknown == totals.n_tokens - totals.n_known


@pytest.mark.parametrize(
    ("text", "on_unknown"),
    [("the k☃ing ☃ now", "unk"), ("she is\t☃", "skip"), ("\t", "unk"), ("she  ", "skip"), ("☃", "skip"), ("☃", "unk")],
)
def test_words_are_counted_as_the_sums_of_a_text_count_them(score, text, on_unknown):
    [line] = score([text], on_unknown=on_unknown)
    kept = line.encoded.known_text
    ids = np.append(line.encoded.ids, CHARS.newline_id)
    [[[sums, _]]] = sum_lines(CHARS, [kept + "\n"], ids, [line.logprobs])
    counted = dict(zip(QUANTITIES, sums.tolist(), strict=True))
    words = line.words()
    assert (counted["n_words"], counted["n_tokens"]) == (len(words) - 1, line.totals.n_tokens)
    assert counted["word_nats"] == pytest.approx(-sum(word.logprob_nats for word in words), abs=1e-4)


def test_a_line_is_scored_by_itself_in_whatever_block_it_comes(score, monkeypatch):
    together = score(LINES)
    monkeypatch.setattr(scored_lines, "MOST_LINES", 1)
    for one, line in zip(score(LINES), together, strict=True):
        assert (one.number, one.text) == (line.number, line.text)
        np.testing.assert_allclose(one.logprobs, line.logprobs, atol=1e-5)
        [alone] = score([line.text])
        np.testing.assert_allclose(alone.logprobs, line.logprobs, atol=1e-5)


def test_thousands_of_lines_keep_their_numbers_and_their_order(score):
    lines = [f"{'x' * (number % 37)}a" for number in range(5000)]
    scored = score(lines)
    assert [(line.number, line.text) for line in scored] == list(enumerate(lines, 1))
    assert scored[4000].totals.logprob_nats == pytest.approx(score([lines[4000]])[0].totals.logprob_nats, abs=1e-4)


def test_lines_are_yielded_before_more_are_read(make_engine):
    read = []

    def arriving():
        for text in ("ab\n", "cd\n"):
            read.append(text)
            yield [text]

    blocks = score_in_blocks(make_engine(vocab_size=CHARS.vocab_size), CHARS, arriving())
    assert ([line.text for line in next(blocks)], read) == (["ab"], ["ab\n"])


def test_a_line_without_its_first_token_is_that_of_the_network_from_there(score, make_engine):
    network, ids = make_engine(vocab_size=CHARS.vocab_size), CHARS.encode("haul away\n")
    wanted, _ = network.logprobs(ids[None, :-1], ids[None, 1:], network.initial_state(1))
    [_, line] = score(["no", "haul away"], boundaries=HEADLESS)
    np.testing.assert_allclose(line.logprobs, wanted[0], atol=1e-5)
    [endless] = score(["haul away"], boundaries=ENDLESS)
    [whole] = score(["haul away"])
    np.testing.assert_allclose(endless.logprobs, whole.logprobs[:-1], atol=1e-6)


def test_a_carried_state_scores_the_lines_as_one_text(score, make_engine):
    lines = ["haul gently", "", "she is no load of hay"] * 900  # more than are scored together
    network, ids = make_engine(vocab_size=CHARS.vocab_size), CHARS.encode("\n" + "\n".join(lines) + "\n")
    wanted, _ = network.logprobs(ids[None, :-1], ids[None, 1:], network.initial_state(1))
    scored = score(lines, boundaries=CARRIED)
    assert [line.text for line in scored] == lines
    np.testing.assert_allclose(np.concatenate([line.logprobs for line in scored]), wanted[0], atol=1e-3)


def test_the_probabilities_of_all_next_tokens_sum_to_one(score):
    lines = [f"she {symbol}" for symbol in ["", *CHARS.characters, "☃"]]
    following = [line.tokens()[4] for line in score(lines)]
    assert len({token.id for token in following}) == len(lines) == CHARS.vocab_size
    assert sum(math.exp(token.logprob_nats) for token in following) == pytest.approx(1, abs=1e-5)


def test_an_unknown_symbol_left_out_scores_as_if_it_were_not_there(score):
    [skipped], [without] = score(["c☃d"], on_unknown="skip"), score(["cd"])
    np.testing.assert_array_equal(skipped.logprobs, without.logprobs)


def test_an_unknown_symbol_is_an_error_when_asked(score):
    with pytest.raises(TokenizerError, match=r"line 2 has a symbol .*U\+2603 SNOWMAN"):
        score(["ab", "c☃d"], on_unknown="error")
    for level in ("byte", "unigram", "bpe"):
        assert score(["☃ é \u0301 😀"], build(CONFIGS[level]), "error")[0].totals.n_unknown == 0


def test_the_log_probabilities_are_those_of_the_engine(score, make_engine):
    tokenizer = build(TokenizerConfig("word"))
    network = make_engine(vocab_size=tokenizer.vocab_size)
    wanted = score_lines(network, [tokenizer.encode(line) for line in LINES], tokenizer.newline_id)
    for line, logprobs in zip(score(LINES, tokenizer), wanted, strict=True):
        np.testing.assert_array_equal(line.logprobs, logprobs)
