"""`rnngen perplexity`: counts by hand, sums that agree with `score`, a row a model, every pair compared."""

import gzip
import math

import numpy as np
import pytest

import rnngen as library

COUNTS = ["n_tokens", "n_words", "n_chars", "n_bytes", "n_unknown"]
VALUES = ["loss_nats", "perplexity", "perplexity_per_word", "perplexity_per_word_no_eol", "bits_per_char",
          "bits_per_byte"]  # fmt: skip
VALUES += [f"known_{name}" for name in VALUES]
ERRORS = [f"{name}_standard_error" for name in VALUES]
KEYS = ["record", "model", "state", *COUNTS, *VALUES, *ERRORS, "n_lines", "n_line_ends", "lines_per_unit", "on_unknown"]
PAIR_KEYS = [
    "record", "model_a", "model_b", "unit", "difference", "difference_low", "difference_high", "verdict", "reason",
    "caveat",
]  # fmt: skip
NAMES = "Bellane\nFennet Nine Headle\nBrin Candlaw\nAda\n"
TEXT = "Haul gently, lads\n\nand let ☃ the windlass breathe.\n  \nShe is no load of hay\n"


@pytest.fixture
def measure(rnngen, models):
    def call(*arguments, model="char", text=TEXT):
        result = rnngen("perplexity", "-", "-m", models[model], "--json", *arguments, stdin=text.encode())
        assert result.code == 0
        [record] = result.records
        assert list(record) == KEYS
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
    assert [found[name] for name in COUNTS] == [n_tokens, n_words, n_chars, n_bytes, n_unknown]


@pytest.mark.parametrize(
    ("model", "state"), [("char", "carry"), ("word", "reset"), ("subword", "carry"), ("byte", "reset")]
)
def test_every_measure_is_made_of_the_same_total(measure, model, state):
    found = measure("--state", state, model=model)
    nats = found["loss_nats"] * found["n_tokens"]
    assert found["state"] == state
    assert found["perplexity"] == pytest.approx(math.exp(found["loss_nats"]))
    assert math.log(found["perplexity_per_word"]) == pytest.approx(nats / (found["n_words"] + found["n_line_ends"]))
    assert math.log(found["perplexity_per_word_no_eol"]) == pytest.approx(nats / found["n_words"])
    assert found["bits_per_char"] == pytest.approx(nats / found["n_chars"] / math.log(2))
    assert found["bits_per_byte"] == pytest.approx(nats / found["n_bytes"] / math.log(2))


@pytest.mark.parametrize(
    ("model", "how", "end"),
    [
        ("char", "unk", ""), ("char", "skip", "no end"), ("lines", "skip", ""), ("word", "unk", "no end"),
        ("word", "skip", ""), ("subword", "unk", ""), ("subword", "skip", "no end"), ("byte", "unk", "no end"),
    ],
)  # fmt: skip
def test_with_the_state_reset_it_agrees_with_the_sum_of_score(measure, rnngen, models, model, how, end):
    found = measure("--state", "reset", "--on-unknown", how, model=model, text=TEXT + end)
    scored = rnngen("score", "-", "-m", models[model], "--json", "--on-unknown", how, stdin=(TEXT + end).encode())
    sums = {name: sum(record[name] for record in scored.records) for name in ("logprob_nats", "n_tokens", "n_unknown")}
    assert (found["n_tokens"], found["n_unknown"]) == (sums["n_tokens"], sums["n_unknown"])
    assert -found["loss_nats"] * found["n_tokens"] == pytest.approx(sums["logprob_nats"], abs=1e-3)


def test_the_state_is_reset_at_lines_where_a_model_has_learnt_them_by_themselves(measure, rnngen, models):
    carried, reset = (measure("--state", state, model="lines", text=NAMES) for state in ("carry", "reset"))
    assert measure(model="lines", text=NAMES) == reset
    assert reset["loss_nats"] != carried["loss_nats"]
    assert measure(model="char")["state"] == "carry"
    several = rnngen("perplexity", "-", "-m", models["char"], "-m", models["lines"], "--json", stdin=NAMES.encode())
    assert [record["state"] for record in several.records[:2]] == ["reset", "reset"]
    assert several.records[1] == reset
    found = library.load(models["lines"]).measure(text=NAMES).estimate("loss_nats").value
    assert found == pytest.approx(reset["loss_nats"])


def test_over_one_line_carried_and_reset_state_are_the_same(measure):
    line = "Haul gently, lads\n"
    assert measure(text=line)["loss_nats"] == pytest.approx(measure("--state", "reset", text=line)["loss_nats"])
    assert measure(text=2 * line)["loss_nats"] != pytest.approx(
        measure("--state", "reset", text=2 * line)["loss_nats"], rel=1e-7
    )


def test_a_long_text_is_measured_as_one_however_it_arrives(measure, rnngen, models, tmp_path):
    text = TEXT * 600
    (tmp_path / "long.txt").write_text(text)
    (tmp_path / "long.txt.gz").write_bytes(gzip.compress(text.encode()))
    piped = measure(text=text)
    assert piped["n_chars"] == len(text)
    for name in ("long.txt", "long.txt.gz"):
        [filed] = rnngen("perplexity", name, "-m", models["char"], "--json").records
        assert filed == piped


def test_a_text_that_is_split_over_files_and_stdin_is_one(rnngen, models, measure, tmp_path):
    (tmp_path / "first.txt").write_text("Haul gently,")
    *_, total = rnngen("perplexity", "first.txt", "-", "-m", models["char"], "--json", stdin=b"lads\n").records
    assert total.pop("file") is None
    whole = measure(text="Haul gently,\nlads\n")
    assert list(total) == list(whole)
    for name, value in whole.items():  # the windows end in other places
        assert total[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-6)), name


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_several_files_have_a_row_each_and_a_total(rnngen, models, measure, tmp_path, state):
    (tmp_path / "a.txt").write_text("Haul gently,\nlads")
    (tmp_path / "a\tb.txt").write_text("")
    arguments = ("a.txt", "-", "a\tb.txt", "-m", models["char"], "--state", state)
    text = "☃ the windlass\n"
    rows = rnngen("perplexity", *arguments, stdin=text.encode()).rows
    assert [row[:3] for row in rows] == [
        ["record", "model", "file"],
        *(["file", models["char"], name] for name in ("a.txt", "-", r"a\tb.txt")),
        ["model", models["char"], "total"],
    ]
    *files, total = rnngen("perplexity", *arguments, "--json", stdin=text.encode()).records
    assert [record["file"] for record in files] == ["a.txt", "-", "a\tb.txt"]
    for name in (*COUNTS, "n_lines", "n_line_ends"):
        assert total[name] == sum(record[name] for record in files)
    nats = sum(record["loss_nats"] * record["n_tokens"] for record in files[:2])
    assert total["loss_nats"] * total["n_tokens"] == pytest.approx(nats)
    assert files[0]["loss_nats"] == pytest.approx(measure("--state", state, text="Haul gently,\nlads\n")["loss_nats"])
    alone = measure("--state", state, text=text)["loss_nats"]
    assert (files[1]["loss_nats"] == pytest.approx(alone, rel=1e-5)) == (state == "reset")  # else the state goes on
    assert (files[2]["n_tokens"], files[2]["perplexity"]) == (0, None)


def asked_for(*paths):
    return [word for path in paths for word in ("-m", path)]


def test_several_models_give_one_row_each_in_the_order_asked_and_then_the_pairs(rnngen, models, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    asked = [models[name] for name in ("word", "char", "subword")]
    rows, pairs = (
        [line.split("\t") for line in block.splitlines()]
        for block in rnngen("perplexity", "text.txt", *asked_for(*asked)).out.split("\n\n")
    )
    assert (rows[0], pairs[0]) == (KEYS, PAIR_KEYS)
    records = rnngen("perplexity", "text.txt", *asked_for(*asked), "--json").records
    assert [record["model"] for record in records[:3]] == asked
    assert [(record["model_a"], record["model_b"]) for record in records[3:]] == [
        (asked[0], asked[1]), (asked[0], asked[2]), (asked[1], asked[2])]  # fmt: skip
    for row, record in zip(rows[1:] + pairs[1:], records, strict=True):
        shown = [f"{value:.4f}" if isinstance(value, float) else str(value) for value in record.values()]
        assert row == ["-" if value == "None" else value for value in shown]
    assert len({record["n_words"] for record in records[:3]}) == 1


def test_several_models_may_measure_standard_input_and_a_model_does_not_differ_from_itself(rnngen, models):
    asked = asked_for(models["char"], models["char"])
    first, second, pair = rnngen("perplexity", "-", *asked, "--json", stdin=TEXT.encode()).records
    assert first == second
    assert (pair["difference"], pair["difference_low"], pair["difference_high"]) == (0, 0, 0)
    assert (pair["unit"], pair["verdict"], pair["caveat"]) == ("nats per token", "no difference shown", None)


def test_models_of_other_tokens_are_compared_by_characters_and_the_better_one_is_found(rnngen, models):
    # The byte model has learnt three characters only.
    asked = asked_for(models["byte"], models["lstm"])
    byte, lstm, pair = rnngen("perplexity", "-", *asked, "--json", stdin=b"Haul gently, lads\nShe is\n" * 9).records
    assert pair["unit"] == "bits per character"
    assert pair["difference"] == pytest.approx(lstm["bits_per_char"] - byte["bits_per_char"])
    assert pair["difference_low"] < pair["difference"] < pair["difference_high"] < 0
    assert pair["verdict"] == "B is better"


def test_unknown_symbols_that_only_one_model_has_are_a_caveat(rnngen, models):
    asked = asked_for(models["char"], models["subword"])
    pair = rnngen("perplexity", "-", *asked, "--json", stdin=TEXT.encode()).records[2]
    assert pair["caveat"] == "the comparison favours A, which has more unknown symbols (1 in A, 0 in B)"


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


def test_a_text_without_words_has_no_perplexity_without_line_ends(measure):
    found = measure(text="\n\n")
    assert found["perplexity_per_word_no_eol"] is None
    assert found["perplexity_per_word"] == found["perplexity"]


def test_without_unknown_symbols_both_are_the_same_and_with_them_not(measure):
    with_one, without = measure(), measure(text=TEXT.replace("☃ ", ""))
    assert [without[name] for name in VALUES[:6]] == [without[name] for name in VALUES[6:]]
    assert all(with_one[name] != with_one[f"known_{name}"] for name in VALUES[:6])


@pytest.mark.parametrize("model", ["char", "word"])
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_a_text_of_unknown_symbols_only_is_measured_with_them_only(measure, rnngen, models, model, state):
    found = measure("--state", state, model=model, text="☃☃")
    assert found["n_unknown"] == found["n_tokens"] - found["n_line_ends"] > 0
    assert (found["known_bits_per_byte"] is None) == (state == "carry")  # with the state reset, the line's end is known
    arguments = ("perplexity", "-", "-m", models[model], "--state", state, "--on-unknown", "skip")
    skipped = rnngen(*arguments, stdin="☃☃".encode())
    if state == "carry":
        assert (skipped.code, skipped.out) == (1, "")
        assert "the text has unknown symbols only, all left out: there is nothing to measure" in skipped.err
    else:
        assert skipped.code == 0


@pytest.mark.parametrize(
    ("text", "n_lines", "n_line_ends"),
    [("x", 1, 0), ("x\n", 1, 1), ("\n\n\n", 3, 3), ("a\r\n\r\nb", 3, 2), ("\u00a0", 1, 0)],
)
@pytest.mark.parametrize("model", ["word", "subword"])
def test_lines_are_counted_alike_with_either_state(measure, text, n_lines, n_line_ends, model):
    carried, reset = (measure("--state", state, text=text, model=model) for state in ("carry", "reset"))
    assert (carried["n_lines"], carried["n_line_ends"]) == (n_lines, n_line_ends)
    # With the state reset, every line is scored to the line break that ends it, the unterminated last one too.
    assert (reset["n_lines"], reset["n_line_ends"]) == (n_lines, n_lines)
    assert carried["n_words"] == reset["n_words"]


def test_one_line_has_no_standard_error(measure, rnngen, models):
    assert all(measure(text="one line\n")[name] is None for name in ERRORS)
    header, row = rnngen("perplexity", "-", "-m", models["char"], stdin=b"one line\n").rows
    assert {row[header.index(name)] for name in ERRORS} == {"-"}


def test_the_standard_error_is_that_of_the_lines_that_score_gives(measure, rnngen, models):
    scored = rnngen("score", "-", "-m", models["char"], "--json", stdin=TEXT.encode()).records
    nats = -np.array([record["logprob_nats"] for record in scored])
    counts = np.array([record["n_tokens"] for record in scored])
    residuals = nats - nats.sum() / counts.sum() * counts
    error = math.sqrt(5 / 4 * (residuals**2).sum()) / counts.sum()
    found = measure("--state", "reset")
    assert found["loss_nats_standard_error"] == pytest.approx(error, rel=1e-4)
    assert found["perplexity_standard_error"] == pytest.approx(error * found["perplexity"], rel=1e-4)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_more_lines_than_units_are_kept_in_twos(measure, state):
    found = measure("--state", state, model="lines", text="\n" * 66_000)
    assert (found["n_lines"], found["lines_per_unit"]) == (66_000, 2)
    assert found["loss_nats_standard_error"] < 0.01
