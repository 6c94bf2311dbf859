"""`rnngen score`: which lines are written and in which order, and what the options refuse."""

from __future__ import annotations

import pytest

LINES = ["Haul gently, lads", "qqq zzz", "", "She is no load of hay", "Haul gently, lads", "xyzzyx"]
TEXT = "\n".join(LINES).encode()


@pytest.fixture
def score(rnngen, models):
    def call(*arguments, stdin=TEXT):
        result = rnngen("score", "-", "-m", models["char"], *arguments, stdin=stdin)
        assert result.code == 0
        return result

    return call


def test_thresholds_keep_the_order_and_the_numbers_of_the_lines(score):
    records = score("--json").records
    limit = sorted(record["perplexity"] for record in records)[3]
    wanted = [record for record in records if record["perplexity"] <= limit]
    assert score("--json", "--max-perplexity", limit).records == wanted
    assert 0 < len(wanted) < len(records)
    least = sorted(record["logprob_nats"] for record in records)[3]
    wanted = [record for record in records if record["logprob_nats"] >= least]
    assert score("--json", "--min-logprob", least).records == wanted


def test_the_least_logprob_is_in_the_base_that_is_asked_for(score):
    log10s = sorted(record["logprob_log10"] for record in score("--json", "--base", "10").records)
    kept = score("--json", "--base", "10", "--min-logprob", log10s[3] - 1e-9).records
    assert sorted(record["logprob_log10"] for record in kept) == log10s[3:]


def test_keep_writes_the_lines_themselves(score):
    limit = sorted(record["perplexity"] for record in score("--json").records)[3]
    wanted = [record["text"] for record in score("--json", "--max-perplexity", limit).records]
    assert score("--keep", "--max-perplexity", limit).out == "".join(line + "\n" for line in wanted)
    assert score("--keep").out == TEXT.decode() + "\n"


@pytest.mark.parametrize("key", ["perplexity", "logprob"])
def test_sorting_puts_the_best_first_and_equal_ones_in_their_order(score, key):
    records = score("--json").records
    best = {"perplexity": lambda record: record["perplexity"], "logprob": lambda record: -record["logprob_nats"]}[key]
    assert score("--json", "--sort", key).records == sorted(records, key=best)
    assert score("--json", "--sort", key, "--top", 2).records == sorted(records, key=best)[:2]
    if key == "perplexity":
        assert score("--json", "--top", 2).records == sorted(records, key=best)[:2]
    assert score("--json", "--sort", key, "--top", 99).records == sorted(records, key=best)


def test_a_format_sums_up_the_lines_that_it_shows(score):
    # SRILM's format has the best sentences, and a blank line is none.
    limit = next(record["perplexity"] for record in score("--json").records if not record["text"])
    records = score("--json", "--max-perplexity", limit).records
    n = len(records)
    assert 1 < n < len(score("--json").records)
    for options, n_sentences in ((("--max-perplexity", limit), n - 1), (("--top", n), n)):
        out = score("--format", "kenlm", *options).out
        assert f"Tokens:\t{sum(record['n_tokens'] for record in records)}\n" in out
        assert out.count("Total:") == len(records)
        sentences = score("--format", "srilm", *options).out.splitlines()[-2]
        assert sentences.startswith(f"file -: {n_sentences} sentences, ")


def test_when_no_line_passes_there_is_only_the_header(score):
    assert score("--max-perplexity", 1).rows == [score().rows[0]]
    assert score("--keep", "--max-perplexity", 1).out == ""


def test_unknown_symbols_of_lines_that_are_not_written_are_counted_too(score):
    assert "2 unknown symbols" in score("--top", 1, stdin="☃\nHaul\n☃".encode()).err


@pytest.mark.parametrize(("arguments", "said"), [
    ("--max-perplexity nan", "max_perplexity is nan"),
    ("--nbest kaldi --best --weight 1", "weight is 1: a Kaldi list"),
    ("--tokens --words", "--tokens and --words contradict"),
    ("--top 0", "top is 0: it must be a whole number from 1 to"),
    ("--format arpa", "'arpa' is not one of"),
])  # fmt: skip
def test_options_that_cannot_be_meant_are_refused_before_anything_is_written(rnngen, models, arguments, said):
    result = rnngen("score", "-", "-m", models["char"], *arguments.split(), stdin=TEXT)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
