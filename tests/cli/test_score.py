"""`rnngen score`: one record a line, in order, whose numbers add up."""

import math
from pathlib import Path

import pytest

from rnngen import checkpoint

UNKNOWN = "☃"
KEYS = ["line", "logprob_nats", "n_tokens", "n_unknown", "perplexity", "text"]
LINES = ["Haul gently, lads", "", "  ", "and\ta tab", "She is no load of hay", "", "\u2028 and \x0c", "no end"]


@pytest.fixture
def score(rnngen, models):
    def call(*arguments, model="char", text=None, **options):
        stdin = "\n".join(LINES) if text is None else text
        result = rnngen("score", "-", "-m", models[model], *arguments, stdin=stdin.encode(), **options)
        assert result.code == 0
        return result

    return call


@pytest.mark.parametrize("model", ["char", "lstm", "lines", "word", "subword", "byte"])
def test_there_is_one_record_a_line_in_order_blank_and_unterminated_ones_included(score, model):
    records = score("--json", model=model).records
    assert [list(record) for record in records] == [KEYS] * len(LINES)
    assert [record["line"] for record in records] == list(range(1, len(LINES) + 1))
    assert [record["text"] for record in records] == LINES
    for record in records:
        assert record["perplexity"] == pytest.approx(math.exp(-record["logprob_nats"] / record["n_tokens"]))


def test_columns_are_separated_by_tabs_with_fixed_digits_and_say_what_json_says(score):
    lines = score("-q").out.split("\n")
    for line, record in zip(lines, score("--json").records, strict=False):
        numbers = f"{record['logprob_nats']:.4f}\t{record['n_tokens']}\t{record['n_unknown']}"
        assert line == f"{numbers}\t{record['perplexity']:.4f}\t{record['text']}"
    assert lines[len(LINES) :] == [""]


def test_a_line_is_scored_by_itself(score):
    together = score("--json").records
    for line, record in zip(LINES, together, strict=True):
        [alone] = score("--json", text=line + "\n").records
        assert record["logprob_nats"] == pytest.approx(alone["logprob_nats"], abs=1e-4)
        assert record["n_tokens"] == len(line) + 1


def test_thousands_of_lines_keep_their_numbers_and_their_order(score):
    lines = [f"{'x' * (number % 37)}{number}" for number in range(5000)]
    records = score("--json", text="\n".join(lines)).records
    assert [(record["line"], record["text"]) for record in records] == list(enumerate(lines, 1))
    assert records[4000]["logprob_nats"] == pytest.approx(
        score("--json", text=lines[4000]).records[0]["logprob_nats"], abs=1e-4
    )


@pytest.mark.parametrize("model", ["char", "lstm", "word", "subword", "byte"])
def test_the_tokens_of_a_line_sum_to_the_line_and_spell_it(score, model):
    for record in score("--json", "--tokens", model=model).records:
        tokens = record["tokens"]
        assert list(record) == [*KEYS, "tokens"]
        assert [list(token) for token in tokens] == [["token", "id", "logprob_nats", "surprisal_bits"]] * len(tokens)
        assert sum(token["logprob_nats"] for token in tokens) == pytest.approx(record["logprob_nats"], abs=1e-4)
        assert len(tokens) == record["n_tokens"]
        assert tokens[-1]["token"] == "\n"
        for token in tokens:
            assert token["surprisal_bits"] == pytest.approx(-token["logprob_nats"] / math.log(2))
        if model in ("char", "lstm") and not record["n_unknown"]:
            assert "".join(token["token"] for token in tokens) == record["text"] + "\n"


def test_token_rows_name_line_place_token_and_bits(score):
    rows = score("--tokens", text="a b\n\nc").rows
    assert [row[:3] for row in rows] == [
        ["1", "1", "a"], ["1", "2", "▁"], ["1", "3", "b"], ["1", "4", r"\n"],
        ["2", "1", r"\n"],
        ["3", "1", "c"], ["3", "2", r"\n"],
    ]  # fmt: skip
    tokens = [token for record in score("--tokens", "--json", text="a b\n\nc").records for token in record["tokens"]]
    assert [row[3] for row in rows] == [f"{token['surprisal_bits']:.4f}" for token in tokens]


def test_the_probabilities_of_all_next_tokens_sum_to_one(score, models):
    characters = checkpoint.load(Path(models["lstm"])).tokenizer.characters
    lines = [f"She {character}" for character in ["", *characters, UNKNOWN]]
    next_tokens = [
        record["tokens"][4] for record in score("--json", "--tokens", model="lstm", text="\n".join(lines)).records
    ]
    assert len({token["id"] for token in next_tokens}) == len(lines)
    assert sum(math.exp(token["logprob_nats"]) for token in next_tokens) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("how", ["unk", "skip"])
def test_unknown_symbols_are_counted_named_and_handled(score, how):
    options = () if how == "unk" else ("--on-unknown", "skip")
    result = score("--json", *options, text="ab\nc☃d\n☃☃\n")
    assert [record["n_unknown"] for record in result.records] == [0, 1, 2]
    assert [record["n_tokens"] for record in result.records] == ([3, 4, 3] if how == "unk" else [3, 3, 1])
    note = result.err.splitlines()[-1]
    for said in ("3 unknown symbols", "'☃' (U+2603 SNOWMAN) at character 2 of line 2"):
        assert said in note


def test_an_unknown_symbol_left_out_scores_as_if_it_were_not_there(score):
    [skipped] = score("--json", "--on-unknown", "skip", text="c☃d").records
    [without] = score("--json", text="cd").records
    assert skipped["logprob_nats"] == without["logprob_nats"]


def test_an_unknown_symbol_is_an_error_when_asked(rnngen, models):
    result = rnngen("score", "-", "-m", models["char"], "--on-unknown", "error", "-q", stdin="c☃d".encode())
    assert (result.code, result.out) == (1, "")
    for word in ("line 1", "U+2603 SNOWMAN", "character 2", "--on-unknown skip"):
        assert word in result.err


def test_an_unknown_word_is_counted_and_named(score):
    result = score("--json", model="word", text="the xyzzy, the\n")
    assert result.records[0]["n_unknown"] == 1
    assert "'xyzzy' at character 5 of line 1" in result.err


@pytest.mark.parametrize("model", ["byte", "subword"])
def test_bytes_and_subwords_know_everything(score, model):
    result = score("--json", "--on-unknown", "error", model=model, text="☃ é \u0301 😀\n")
    assert result.records[0]["n_unknown"] == 0


def test_line_breaks_of_any_kind_and_a_byte_order_mark_make_no_difference(rnngen, models, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"Haul\n\nno end\n")
    for name, data in (("b", b"\xef\xbb\xbfHaul\r\n\r\nno end\r\n"), ("c", b"Haul\r\rno end"),
                       ("d", "Haul\n\nno end".encode("utf-16"))):  # fmt: skip
        (tmp_path / f"{name}.txt").write_bytes(data)
        encoding = ("--encoding", "utf-16") if name == "d" else ()
        outs = {rnngen("score", file, "-m", models["char"], *options).out
                for file, options in (("a.txt", ()), (f"{name}.txt", encoding))}  # fmt: skip
        assert len(outs) == 1


def test_each_of_several_texts_starts_on_a_line_of_its_own(rnngen, models, tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo")
    (tmp_path / "b.txt").write_text("three\n")
    records = rnngen("score", "a.txt", "b.txt", "-", "-m", models["char"], "--json", stdin=b"four").records
    assert [(record["line"], record["text"]) for record in records] == [
        (1, "one"),
        (2, "two"),
        (3, "three"),
        (4, "four"),
    ]


def test_without_a_text_it_reads_standard_input(rnngen, models):
    assert rnngen("score", "-m", models["char"], stdin=b"Haul\n") == rnngen(
        "score", "-", "-m", models["char"], stdin=b"Haul\n"
    )
