"""Sums of lines, the measures made of them, and their standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from chunks import Chunks

from rnngen.engine.scoring import in_windows
from rnngen.errors import ConfigError
from rnngen.evaluate.measures import MEASURES, PER_TOKEN, QUANTITIES, LineSums, estimate, ratio_estimate, sum_lines
from rnngen.evaluate.predictors import Predictor, measure_text
from rnngen.evaluate.predictors import measure as measure_by
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.word import WordTokenizer

CHARS = CharTokenizer(" abc")
WORDS = WordTokenizer(["i've", "got", "a", "bad", "feeling"], "whitespace")
RUNNING = WordTokenizer(["so", "it", "is", "￭,"], "punctuation")


def given(logprobs, window):
    """A scorer that knows the answer, or counts up to it, and gives it in windows."""

    def score(arrays, newline_id):
        start = 0
        for ids in in_windows(arrays, window):
            numbers = np.arange(start, start + len(ids))
            yield (-1.0 - numbers if logprobs is None else np.asarray(logprobs)[numbers]).astype(np.float32)
            start += len(ids)

    return score


def measure(tokenizer, *chunks, logprobs=None, on_unknown="unk", window=3):
    predictor = Predictor(label="given", tokenizer=tokenizer, scorer=given(logprobs, window))
    return measure_by([predictor], Chunks(*chunks), on_unknown)[0]


def values(measured, known=False):
    return {name: measured.estimate(name, known).value for name in MEASURES}


def totals(measured, known=False):
    return {name: measured.sums.units(name, known).sum() for name in QUANTITIES}


def lines_of(nats, n_tokens):
    """Lines with these nats and tokens, and nothing else."""
    lines = np.zeros((len(nats), 2, len(QUANTITIES)))
    lines[:, :, QUANTITIES.index("nats")] = np.asarray(nats)[:, None]
    lines[:, :, QUANTITIES.index("n_tokens")] = np.asarray(n_tokens)[:, None]
    return lines


def test_the_perplexity_of_a_half_and_a_quarter_is_two_times_the_root_of_two():
    found = values(measure(CHARS, "a\n", logprobs=[math.log(1 / 2), math.log(1 / 4)]))
    assert found["loss_nats"] == pytest.approx(1.5 * math.log(2))
    assert found["perplexity"] == pytest.approx(2 * math.sqrt(2))
    assert found["bits_per_char"] == pytest.approx(1.5)
    assert found["perplexity_per_word"] == pytest.approx(2 * math.sqrt(2))
    assert found["perplexity_per_word_no_eol"] == pytest.approx(8)


def test_the_perplexities_per_word_are_those_of_srilm():
    log10 = [-2.91887, -0.259637, -3.5, -4.0, -3.367223, -1.10537]
    found = values(measure(WORDS, "i've got a bad feeling\n", logprobs=np.array(log10) * math.log(10)))
    assert found["perplexity_per_word"] == pytest.approx(335.103, rel=2e-5)  # SRILM shows six digits
    assert found["perplexity_per_word_no_eol"] == pytest.approx(1072.05, rel=2e-5)  # SRILM shows six digits
    assert found["perplexity"] == found["perplexity_per_word"]


def test_an_unknown_word_is_left_out_above_and_below_the_line_as_an_oov_of_srilm():
    logprobs = [-1, -2, -4, -8, -16, -32]
    measured = measure(WORDS, "i've xx a\n", "yy\n", logprobs=logprobs)
    assert values(measured)["perplexity_per_word"] == pytest.approx(math.exp(63 / 6))
    known = values(measured, known=True)
    # i've, a and two line ends stay.
    assert known["perplexity_per_word"] == pytest.approx(math.exp((1 + 4 + 8 + 32) / 4))
    assert known["perplexity_per_word_no_eol"] == pytest.approx(math.exp((1 + 4 + 8 + 32) / 2))
    assert known["loss_nats"] == pytest.approx(45 / 4)
    assert known["bits_per_char"] == pytest.approx(45 / (13 - 4) / math.log(2))


def test_an_unknown_letter_takes_its_word_out_of_the_words_and_itself_out_of_the_characters():
    #        a  ☃  " " b  \n
    logprobs = [-1, -2, -4, -8, -16]
    measured = measure(CHARS, "a☃ b\n", logprobs=logprobs)
    assert totals(measured) == dict(zip(QUANTITIES, (1, 5, 2, 5, 7, 31, 31), strict=True))
    assert totals(measured, known=True) == dict(zip(QUANTITIES, (1, 4, 1, 4, 4, 29, 28), strict=True))


def test_an_unknown_space_at_the_end_of_a_line_takes_no_word_with_it():
    measured = measure(CHARS, "a\t\n", logprobs=[-1, -2, -4])
    assert totals(measured, known=True) == dict(zip(QUANTITIES, (1, 2, 1, 2, 2, 5, 5), strict=True))


def test_a_word_loses_its_comma_with_its_unknown_letters():
    #          so  xx  ,   is  \n
    logprobs = [-1, -2, -4, -8, -16]
    measured = measure(RUNNING, "so xx, is\n", logprobs=logprobs)
    assert totals(measured, known=True) == dict(zip(QUANTITIES, (1, 4, 2, 8, 8, 29, 25), strict=True))


def test_without_unknown_tokens_both_columns_are_the_same():
    for tokenizer in (CHARS, WORDS, ByteTokenizer()):
        measured = measure(tokenizer, "a bad\n" if tokenizer is WORDS else "a bac\n")
        assert values(measured) == values(measured, known=True)


def test_a_text_of_unknown_symbols_only_has_no_measure_without_them():
    measured = measure(CHARS, "☃☃")
    assert values(measured)["perplexity"] == pytest.approx(math.exp(1.5))
    assert all(math.isnan(value) for value in values(measured, known=True).values())


def test_left_out_unknown_symbols_are_in_no_sum_and_still_counted():
    measured = measure(CHARS, "a☃ b\n☃☃", logprobs=[-1, -4, -8, -16], on_unknown="skip")
    assert measured.unknowns.count == 3
    assert totals(measured) == totals(measured, known=True)
    assert totals(measured) == dict(zip(QUANTITIES, (1, 4, 2, 4, 4, 29, 29), strict=True))
    assert measured.sums.n_lines == 2


@pytest.mark.parametrize(
    ("chunks", "n_lines", "n_line_ends"),
    [
        (("a",), 1, 0),
        (("a\n",), 1, 1),
        (("\n\n",), 2, 2),
        (("a\n\n b\n", "c"), 4, 3),
        (("a b", " c", " a\nb"), 2, 1),
        (("a b ", "c\n"), 1, 1),
    ],
)
def test_lines_are_counted_with_an_unterminated_last_one(chunks, n_lines, n_line_ends):
    measured = measure(CHARS, *chunks)
    assert (measured.sums.n_lines, measured.sums.count("n_line_ends")) == (n_lines, n_line_ends)
    assert measured.sums.units("nats").sum() == sum(range(len("".join(chunks)) + 1))


@pytest.mark.parametrize("tokenizer", [CHARS, ByteTokenizer(), WORDS, RUNNING])
@pytest.mark.parametrize("window", [1, 4, 1000])
def test_however_chunks_and_windows_are_cut_the_lines_are_the_same(tokenizer, window):
    text = "a bad\n\n got ☃\n a"
    whole = measure(tokenizer, text)
    # Where a line is cut, running words are other ones: the space between them becomes a token.
    line = ["\n got ☃\n"] if tokenizer is RUNNING else ["\n got", " ☃\n"]
    parts = measure(tokenizer, "a bad\n", *line, " a", window=window)
    for name in QUANTITIES:
        for known in (False, True):
            np.testing.assert_allclose(parts.sums.units(name, known), whole.sums.units(name, known))
    assert parts.sums.n_lines == 4


def test_each_line_has_the_log_probabilities_of_its_tokens_and_of_its_end():
    measured = measure(CHARS, "ab\n\nc", logprobs=[-1, -2, -4, -8, -16])
    assert measured.sums.units("nats").tolist() == [7, 8, 16]
    assert measured.sums.units("n_tokens").tolist() == [3, 1, 1]


@pytest.mark.parametrize("vocab_size", [6, 300])
def test_a_uniform_model_has_its_vocabulary_size_as_perplexity_without_a_standard_error(uniform_engine, vocab_size):
    measured = measure_text(uniform_engine(vocab_size), CHARS, Chunks("ab\n\nabc ca\n", "c b\n"))
    assert measured.estimate("perplexity").value == pytest.approx(vocab_size)
    assert measured.estimate("perplexity").standard_error == pytest.approx(0, abs=1e-4)
    assert measured.estimate("bits_per_byte").value == pytest.approx(math.log2(vocab_size))
    assert measured.estimate("perplexity_per_word").standard_error > 0  # lines differ in tokens a word


def test_a_measure_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ConfigError, match="the measure is 'ppl': it must be one of loss_nats, perplexity, "):
        measure(CHARS, "ab\n").estimate("ppl")


# Units.


@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_merging_units_keeps_the_sums_and_the_order(block):
    lines = np.random.default_rng(0).integers(100, size=(45, 2, len(QUANTITIES))).astype(np.float64)
    sums = LineSums(most_units=8)
    for start in range(0, len(lines), block):
        sums.add(lines[start : start + block])
    assert (sums.n_lines, sums.lines_per_unit, sums.n_units) == (45, 8, 6)
    for place, name in enumerate(QUANTITIES):
        for known in (False, True):
            expected = [lines[first : first + 8, int(known), place].sum() for first in range(0, 45, 8)]
            assert sums.units(name, known).tolist() == expected


def test_units_are_single_lines_up_to_the_most_and_pairs_with_one_more():
    sums = LineSums(most_units=4)
    sums.add(lines_of([1, 2, 3, 4], [1] * 4))
    assert (sums.lines_per_unit, sums.units("nats").tolist()) == (1, [1, 2, 3, 4])
    sums.add(lines_of([5], [1]))
    assert (sums.lines_per_unit, sums.units("nats").tolist()) == (2, [3, 7, 5])


# Standard errors.


def test_the_standard_error_of_a_ratio_by_hand():
    # r = 12 / 6 = 2; residuals 1, -1, 0; sqrt(3 / 2 * 2) / 6
    found = ratio_estimate(np.array([3.0, 1.0, 8.0]), np.array([1.0, 1.0, 4.0]))
    assert found.value == 2
    assert found.standard_error == pytest.approx(math.sqrt(3) / 6)


def test_with_equal_counts_it_is_the_standard_error_of_a_mean():
    amounts = np.random.default_rng(1).normal(5, 2, 50)
    found = ratio_estimate(amounts, np.ones(50))
    assert found.standard_error == pytest.approx(amounts.std(ddof=1) / math.sqrt(50))


def test_it_is_what_a_bootstrap_finds():
    generator = np.random.default_rng(2)
    counts = generator.integers(1, 40, 400).astype(np.float64)
    amounts = counts * generator.normal(2, 0.5, 400) + 3
    draws = generator.integers(400, size=(2000, 400))
    resampled = amounts[draws].sum(axis=1) / counts[draws].sum(axis=1)
    assert ratio_estimate(amounts, counts).standard_error == pytest.approx(resampled.std(), rel=0.1)


def test_that_of_a_perplexity_and_of_bits_follows_from_that_of_the_nats():
    sums = LineSums()
    sums.add(lines_of([3, 1, 8], [1, 1, 4]))
    loss, perplexity = (estimate(MEASURES[name], sums) for name in ("loss_nats", "perplexity"))
    assert perplexity.standard_error == pytest.approx(math.exp(2) * loss.standard_error)
    assert PER_TOKEN.units(sums)[1].tolist() == [1, 1, 4]
    bits = measure(CHARS, "ab\nc\n").estimate("bits_per_char")
    nats = measure(CHARS, "ab\nc\n").estimate("loss_nats")
    assert bits.standard_error == pytest.approx(nats.standard_error / math.log(2))


def test_one_line_has_no_standard_error_and_nothing_no_value():
    one = ratio_estimate(np.array([3.0]), np.array([2.0]))
    assert one.value == 1.5
    assert math.isnan(one.standard_error)
    nothing = ratio_estimate(np.zeros(3), np.zeros(3))
    assert math.isnan(nothing.value)
    assert math.isnan(nothing.standard_error)


def test_a_perplexity_beyond_floats_is_infinite():
    sums = LineSums()
    sums.add(lines_of([1e6, 2e6], [1, 1]))
    assert estimate(MEASURES["perplexity"], sums).value == math.inf


def test_lines_may_be_summed_in_one_go_or_one_by_one():
    lines = ["a☃ b\n", "\n", "c ca\n", " ☃"]
    ids = [CHARS.encode(line) for line in lines]
    logprobs = [-np.arange(1, len(own) + 1, dtype=np.float32) for own in ids]
    twice = [2 * own for own in logprobs]
    both = [np.concatenate(logprobs), np.concatenate(twice)]
    together = sum_lines(CHARS, lines, np.concatenate(ids), both)
    for result, one_by_one in zip(together, (logprobs, twice), strict=True):
        alone = [
            sum_lines(CHARS, [line], own, [nats])[0][0] for line, own, nats in zip(lines, ids, one_by_one, strict=True)
        ]
        np.testing.assert_allclose(result, alone)
