"""`rnngen perplexity`: counts by hand, sums that agree with `score`, one row a model."""

import gzip
import math

import pytest

NUMBERS = ["n_tokens", "n_words", "n_chars", "n_bytes", "n_unknown", "loss_nats", "perplexity", "perplexity_per_word",
           "bits_per_char", "bits_per_byte"]  # fmt: skip
TEXT = "Haul gently, lads\n\nand let ☃ the windlass breathe.\n  \nShe is no load of hay\n"


@pytest.fixture
def measure(rnngen, models):
    def call(*arguments, model="char", text=TEXT):
        result = rnngen("perplexity", "-", "-m", models[model], "--json", *arguments, stdin=text.encode())
        assert result.code == 0
        [record] = result.records
        assert list(record) == ["model", "state", *NUMBERS]
        return record

    return call


@pytest.mark.parametrize(
    ("text", "n_tokens", "n_words", "n_chars", "n_bytes", "n_unknown"),
    [
        ("two words\n", 10, 2, 10, 10, 0),
        ("two words", 9, 2, 9, 9, 0),
        ("a\n\n b\n", 6, 2, 6, 6, 0),
        ("☃ ☃\n", 4, 2, 4, 8, 2),
        ("a\r\nb\r\n", 4, 2, 4, 4, 0),
    ],
)
def test_the_counts_are_those_of_the_text(measure, text, n_tokens, n_words, n_chars, n_bytes, n_unknown):
    found = measure(text=text)
    assert [found[name] for name in NUMBERS[:5]] == [n_tokens, n_words, n_chars, n_bytes, n_unknown]


@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize("model", ["char", "lstm", "word", "subword", "byte"])
def test_every_measure_is_made_of_the_same_total(measure, model, state):
    found = measure("--state", state, model=model)
    nats = found["loss_nats"] * found["n_tokens"]
    assert found["state"] == state
    assert found["perplexity"] == pytest.approx(math.exp(found["loss_nats"]))
    assert math.log(found["perplexity_per_word"]) == pytest.approx(nats / found["n_words"])
    assert found["bits_per_char"] == pytest.approx(nats / found["n_chars"] / math.log(2))
    assert found["bits_per_byte"] == pytest.approx(nats / found["n_bytes"] / math.log(2))


@pytest.mark.parametrize("model", ["char", "lstm", "lines", "word", "subword", "byte"])
@pytest.mark.parametrize("how", ["unk", "skip"])
@pytest.mark.parametrize("end", ["", "no end"])
def test_with_the_state_reset_it_agrees_with_the_sum_of_score(measure, rnngen, models, model, how, end):
    found = measure("--state", "reset", "--on-unknown", how, model=model, text=TEXT + end)
    scored = rnngen("score", "-", "-m", models[model], "--json", "--on-unknown", how, stdin=(TEXT + end).encode())
    sums = {name: sum(record[name] for record in scored.records) for name in ("logprob_nats", "n_tokens", "n_unknown")}
    assert (found["n_tokens"], found["n_unknown"]) == (sums["n_tokens"], sums["n_unknown"])
    assert -found["loss_nats"] * found["n_tokens"] == pytest.approx(sums["logprob_nats"], abs=1e-3)


def test_over_one_line_carried_and_reset_state_are_the_same(measure):
    line = "Haul gently, lads\n"
    assert measure(text=line)["loss_nats"] == pytest.approx(measure("--state", "reset", text=line)["loss_nats"])
    assert measure(text=2 * line)["loss_nats"] != pytest.approx(
        measure("--state", "reset", text=2 * line)["loss_nats"], rel=1e-7
    )


def test_a_long_text_is_measured_as_one_however_it_arrives(measure, rnngen, models, tmp_path):
    text = TEXT * 2000
    (tmp_path / "long.txt").write_text(text)
    (tmp_path / "long.txt.gz").write_bytes(gzip.compress(text.encode()))
    piped = measure(text=text)
    assert piped["n_chars"] == len(text)
    for name in ("long.txt", "long.txt.gz"):
        [filed] = rnngen("perplexity", name, "-m", models["char"], "--json").records
        assert filed == piped


def test_a_text_that_is_split_over_files_and_stdin_is_one(rnngen, models, measure, tmp_path):
    (tmp_path / "first.txt").write_text("Haul gently,")
    [parts] = rnngen("perplexity", "first.txt", "-", "-m", models["char"], "--json", stdin=b"lads\n").records
    assert parts == measure(text="Haul gently,\nlads\n")


def test_several_models_give_one_row_each_in_the_order_asked(rnngen, models, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    asked = [models[name] for name in ("word", "char", "subword")]
    flags = [word for path in asked for word in ("-m", path)]
    header, *rows = rnngen("perplexity", "text.txt", *flags).rows
    assert header == ["model", *NUMBERS]
    assert [row[0] for row in rows] == asked
    records = rnngen("perplexity", "text.txt", *flags, "--json").records
    assert [record["model"] for record in records] == asked
    for row, record in zip(rows, records, strict=True):
        assert [row[1 + place] for place in range(5)] == [str(record[name]) for name in NUMBERS[:5]]
        assert [row[6 + place] for place in range(5)] == [f"{record[name]:.4f}" for name in NUMBERS[5:]]
    assert len({record["n_words"] for record in records}) == 1


def test_several_models_may_measure_standard_input(rnngen, models):
    flags = ("-m", models["char"], "-m", models["char"])
    first, second = rnngen("perplexity", "-", *flags, "--json", stdin=TEXT.encode()).records
    assert first == second


def test_unknown_symbols_are_told_on_stderr_and_left_out_when_asked(rnngen, models, measure):
    result = rnngen("perplexity", "-", "-m", models["char"], stdin=TEXT.encode())
    assert "1 unknown symbol, taken as the unknown symbol" in result.err
    kept, skipped = measure(), measure("--on-unknown", "skip")
    assert (kept["n_unknown"], skipped["n_unknown"]) == (1, 1)
    assert kept["n_tokens"] - skipped["n_tokens"] == 1
    refused = rnngen("perplexity", "-", "-m", models["char"], "--on-unknown", "error", "-q", stdin=TEXT.encode())
    assert (refused.code, refused.out) == (1, "")
    for word in ("U+2603 SNOWMAN", "--on-unknown skip"):
        assert word in refused.err


def test_a_text_without_words_has_no_perplexity_per_word(measure):
    assert measure(text="\n\n")["perplexity_per_word"] is None
