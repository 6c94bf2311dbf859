"""`rnngen score`: one record a line, in order, whose numbers add up."""

import itertools
import json
import math
import re
import subprocess

import pytest

from rnngen.tokenizers.splitting import split_words

UNKNOWN = "☃"
KEYS = ["line", "logprob_nats", "n_tokens", "perplexity", "n_unknown", "known_logprob_nats", "known_perplexity", "text"]
LINES = ["Haul gently, lads", "", "  ", "and\ta tab", "She is no load of hay", "", "\u2028 and \x0c", "no end"]


@pytest.fixture
def score(rnngen, models):
    def call(*arguments, model="char", text=None, **options):
        stdin = "\n".join(LINES) if text is None else text
        result = rnngen("score", "-", "-m", models[model], *arguments, stdin=stdin.encode(), **options)
        assert result.code == 0
        return result

    return call


@pytest.mark.parametrize("model", ["char", "word", "subword"])
def test_there_is_one_record_a_line_in_order_blank_and_unterminated_ones_included(score, model):
    records = score("--json", model=model).records
    assert [list(record) for record in records] == [KEYS] * len(LINES)
    assert [record["line"] for record in records] == list(range(1, len(LINES) + 1))
    assert [record["text"] for record in records] == LINES
    for record in records:
        assert record["perplexity"] == pytest.approx(math.exp(-record["logprob_nats"] / record["n_tokens"]))


def test_columns_stand_under_their_names_with_fixed_digits_and_say_what_json_says(score):
    header, *rows = score("-q").rows
    assert header == KEYS
    assert score("-q", "--no-header").rows == rows
    for row, record in zip(rows, score("--json").records, strict=True):
        # A tab of the text itself is the last column's.
        numbers, text = row[: len(KEYS) - 1], "\t".join(row[len(KEYS) - 1 :])
        wanted = [f"{value:.4f}" if isinstance(value, float) else str(value) for value in record.values()]
        assert [*numbers, text] == wanted


@pytest.mark.parametrize("model", ["char", "word"])
def test_the_tokens_of_a_line_sum_to_the_line_and_spell_it(score, model):
    for record in score("--json", "--tokens", model=model).records:
        tokens = record["tokens"]
        assert list(record) == [*KEYS, "tokens"]
        keys = ["token", "id", "text", "logprob_nats", "surprisal_bits"]
        assert [list(token) for token in tokens] == [keys] * len(tokens)
        assert sum(token["logprob_nats"] for token in tokens) == pytest.approx(record["logprob_nats"], abs=1e-4)
        assert len(tokens) == record["n_tokens"]
        assert tokens[-1]["token"] == "\n"
        for token in tokens:
            assert token["surprisal_bits"] == pytest.approx(-token["logprob_nats"] / math.log(2))
        if model == "char":
            assert "".join(token["text"] for token in tokens) == record["text"] + "\n"


def test_token_rows_name_line_place_token_text_and_bits(score):
    header, *rows = score("--tokens", text="a b\n\n☃").rows
    assert header == ["line", "token_number", "token", "text", "surprisal_bits"]
    assert [row[:4] for row in rows] == [
        ["1", "1", "a", "a"], ["1", "2", "▁", "▁"], ["1", "3", "b", "b"], ["1", "4", "␊", "␊"],
        ["2", "1", "␊", "␊"],
        ["3", "1", "<unk>", "☃"], ["3", "2", "␊", "␊"],
    ]  # fmt: skip
    tokens = [token for record in score("--tokens", "--json", text="a b\n\n☃").records for token in record["tokens"]]
    assert [row[4] for row in rows] == [f"{token['surprisal_bits']:.4f}" for token in tokens]


@pytest.mark.parametrize("model", ["subword", "byte"])
def test_words_are_what_blanks_separate_and_sum_to_the_line(score, model):
    tokens = score("--json", "--tokens", model=model).records
    for record, by_tokens in zip(score("--json", "--words", model=model).records, tokens, strict=True):
        assert [word["word"] for word in record["words"]] == [*split_words(record["text"]), "\n"]
        assert record["n_words"] == len(split_words(record["text"]))
        assert sum(word["n_tokens"] for word in record["words"]) == record["n_tokens"]
        assert sum(word["logprob_nats"] for word in record["words"]) == pytest.approx(record["logprob_nats"], abs=1e-4)
        per_word = -record["logprob_nats"] / (record["n_words"] + 1)
        assert record["perplexity_per_word"] == pytest.approx(math.exp(per_word))
        if model == "byte":  # one byte a character: the first word's are the line's first ones
            [first, *_] = record["words"]
            known = [token["logprob_nats"] for token in by_tokens["tokens"][: first["n_tokens"]]]
            assert first["logprob_nats"] == pytest.approx(sum(known), abs=1e-4)


def test_word_rows_name_line_place_word_tokens_and_bits(score):
    header, *rows = score("--words", text="ab  c \n").rows
    assert header == ["line", "word_number", "word", "n_tokens", "surprisal_bits"]
    assert [row[:4] for row in rows] == [["1", "1", "ab", "2"], ["1", "2", "c", "3"], ["1", "3", "␊", "2"]]


@pytest.mark.parametrize(("base", "unit", "one"), [("e", "nats", 1), ("10", "log10", math.log(10))])  # fmt: skip
def test_the_base_of_the_logarithms_is_in_the_name_of_every_number(score, base, unit, one):
    for plain, record in zip(
        score("--json", "--tokens").records, score("--json", "--tokens", "--base", base).records, strict=True
    ):
        assert record[f"logprob_{unit}"] == pytest.approx(plain["logprob_nats"] / one)
        assert record[f"known_logprob_{unit}"] == pytest.approx(plain["known_logprob_nats"] / one)
        assert record["perplexity"] == plain["perplexity"]
        for mine, token in zip(record["tokens"], plain["tokens"], strict=True):
            assert mine[f"logprob_{unit}"] == pytest.approx(token["logprob_nats"] / one)
            assert mine[f"surprisal_{unit}"] == pytest.approx(-token["logprob_nats"] / one)
    assert score("--base", base).rows[0][1] == f"logprob_{unit}"
    assert score("--base", base, "--tokens").rows[0][4] == f"surprisal_{unit}"


@pytest.mark.parametrize("how", ["unk", "skip"])
def test_unknown_symbols_are_counted_named_and_handled(score, how):
    options = () if how == "unk" else ("--on-unknown", "skip")
    result = score("--json", *options, text="ab\nc☃d\n☃☃\n")
    assert [record["n_unknown"] for record in result.records] == [0, 1, 2]
    assert [record["n_tokens"] for record in result.records] == ([3, 4, 3] if how == "unk" else [3, 3, 1])
    note = result.err.splitlines()[-1]
    for said in ("3 unknown symbols", "'☃' (U+2603 SNOWMAN) at character 2 of line 2"):
        assert said in note


def test_the_text_is_the_last_field_and_has_no_quoting(score, tmp_path):
    """A tab and a quotation mark of a line stand in the last column as they are."""
    lines = ["a\tb", '"quoted", 5" wide', "", "\t", "\u2028x\x85"]
    out = score("-q", text="\n".join(lines)).out
    rows = out.removesuffix("\n").split("\n")[1:]
    assert [row.split("\t", 7)[7] for row in rows] == lines
    (tmp_path / "scores.tsv").write_text(out, "utf-8", newline="\n")
    cut = subprocess.run(["cut", "-f8-", "scores.tsv"], capture_output=True, check=True, cwd=tmp_path).stdout
    assert cut.decode().split("\n")[1:] == [*lines, ""]


def test_a_json_line_is_one_line_for_every_reader(score):
    text = "a\u2028b\x85c\u2029d"
    for options in ((), ("--tokens",), ("--words",)):
        out = score("--json", *options, text=text).out
        assert out.splitlines() == [out.removesuffix("\n")]
        assert json.loads(out)["text"] == text


def test_the_format_of_srilm_has_what_srilm_reads_and_says_so(score):
    result = score("--format", "srilm", model="word", text="the bell\n\n## a note\n \t\n#1 lads\n")
    sentences = [block.split("\n")[0] for block in result.out.split("\n\n")]
    assert sentences == ["the bell", "# 1 lads", "file -: 2 sentences, 5 words, 3 OOVs"]
    assert result.err.count("3 lines left out, as SRILM leaves them out: blank, or with ## at the start\n") == 1
    assert "the text has 3 unknown symbols" in result.err
    top = score("--format", "srilm", "--top", "1", model="word", text="\n\nthe bell\n")
    assert top.out.startswith("the bell\n")
    empty = score("--format", "srilm", model="word", text="\n").out
    assert empty == "file -: 0 sentences, 0 words, 0 OOVs\n0 zeroprobs, logprob= 0 ppl= undefined ppl1= undefined\n"


def test_the_format_of_kenlm_has_a_line_for_every_line_as_query_has(score):
    out = score("--format", "kenlm", model="word", text="the bell\n\n## a\n").out
    assert [line.split("=")[0] for line in out.split("\n")[:3]] == ["the", "</s>", "#"]


def test_an_unknown_symbol_is_an_error_when_asked(rnngen, models):
    result = rnngen("score", "-", "-m", models["char"], "--on-unknown", "error", "-q", stdin="c☃d".encode())
    assert (result.code, result.out) == (1, "")
    for word in ("line 1", "U+2603 SNOWMAN", "character 2", "--on-unknown skip"):
        assert word in result.err


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
    assert [(record["file"], record["line"], record["text"]) for record in records] == [
        ("a.txt", 1, "one"),
        ("a.txt", 2, "two"),
        ("b.txt", 1, "three"),
        ("-", 1, "four"),
    ]


def test_without_a_text_it_reads_standard_input(rnngen, models):
    assert rnngen("score", "-m", models["char"], stdin=b"Haul\n") == rnngen(
        "score", "-", "-m", models["char"], stdin=b"Haul\n"
    )


def test_boundaries_that_are_left_out_leave_out_their_tokens(score):
    text = "Haul\n\nx\n"
    headless, endless, carried = (
        score("--json", "--tokens", *options, text=text).records
        for options in (("--no-bos",), ("--no-eos",), ("--state", "carry"))
    )
    assert [[token["text"] for token in record["tokens"]] for record in headless] == [[*"aul\n"], [], ["\n"]]
    assert [[token["text"] for token in record["tokens"]] for record in endless] == [[*"Haul"], [], ["x"]]
    assert (headless[1]["logprob_nats"], headless[1]["perplexity"]) == (0, None)
    plain = score("--json", text=text).records
    assert carried[0]["logprob_nats"] == pytest.approx(plain[0]["logprob_nats"], abs=1e-4)
    assert carried[2]["logprob_nats"] != pytest.approx(plain[2]["logprob_nats"], abs=1e-3)


@pytest.mark.parametrize(("model", "name"), [("word", "kenlm"), ("char", "srilm")])
def test_other_tools_formats_sum_to_the_lines_totals(score, model, name):
    records = score("--json", model=model).records
    totals = [
        record[{"kenlm": "logprob_nats", "srilm": "known_logprob_nats"}[name]] / math.log(10) for record in records
    ]
    for words in ((), ("--words",)):
        out = score("--format", name, *words, model=model).out
        pattern = r"Total: (\S+) OOV" if name == "kenlm" else r"logprob= (\S+) ppl"
        found = [float(total) for total in re.findall(pattern, out)]
        if name == "kenlm":
            assert found == pytest.approx(totals, rel=1e-4)
        elif not words:
            kept = [total for total, record in zip(totals, records, strict=True) if record["text"].strip()]
            assert found == pytest.approx([*kept, sum(kept)], rel=1e-4)


@pytest.mark.parametrize(
    ("text", "options"), [("the k☃ing ☃ now\n\t\n", ()), ("she is\t☃\nshe  \n\n  \n☃\n", ("--on-unknown", "skip"))]
)
def test_words_are_counted_as_perplexity_counts_them(rnngen, score, models, options, text):
    words = score("--words", "--json", *options, text=text).records
    result = rnngen(
        "perplexity", "-", "-m", models["char"], "--state", "reset", "--json", *options, stdin=text.encode()
    )
    [report] = result.records
    assert sum(record["n_words"] for record in words) == report["n_words"]
    total = sum(record["logprob_nats"] for record in words)
    assert -total == pytest.approx(report["loss_nats"] * report["n_tokens"], abs=1e-4)
    counts, sums = score("--words", "--format", "srilm", *options, text=text).out.splitlines()[-2:]
    assert f" {report['n_words']} words" in counts
    # SRILM has no sentence for a blank line.
    sentences = [record for record in words if record["text"].strip()]
    known = [word for record in sentences for word in record["words"] if not word["unknown"]]
    nats = -sum(word["logprob_nats"] for word in known)
    ppl = sums.split("ppl= ")[1].split(" ")[0]
    assert float(ppl) == pytest.approx(math.exp(nats / len(known)), rel=1e-4)


def test_several_files_have_a_column_of_their_names_and_lines_of_their_own_numbers(rnngen, models, tmp_path):
    (tmp_path / "a.txt").write_text("Haul\nlads")
    (tmp_path / "b.txt").write_text("bell\n")
    for options in ((), ("--tokens",), ("--words",)):
        columns = [rnngen("score", name, "-m", models["char"], *options).rows for name in ("a.txt", "b.txt")]
        wanted = [[name, *row] for name, (_, *rows) in zip(("a.txt", "b.txt"), columns, strict=True) for row in rows]
        header, *rows = rnngen("score", "a.txt", "b.txt", "-m", models["char"], *options).rows
        assert header == ["file", *columns[0][0]]
        assert rows == wanted
        assert {row[0] for row in rows} == {"a.txt", "b.txt"}
    alone = [rnngen("score", name, "-m", models["char"], "--json").records for name in ("a.txt", "b.txt")]
    records = rnngen("score", "a.txt", "b.txt", "-m", models["char"], "--json").records
    assert [record.pop("file") for record in records] == ["a.txt", "a.txt", "b.txt"]
    assert [record["line"] for record in records] == [1, 2, 1]
    for one, other in zip(records, itertools.chain(*alone), strict=True):
        assert one == pytest.approx(other)


def test_several_files_are_named_in_notes_errors_and_above_painted_lines(rnngen, models, tmp_path):
    (tmp_path / "a.txt").write_text("Haul\nlads\n")
    (tmp_path / "b.txt").write_text("be\nb☃\n")
    arguments = ("a.txt", "b.txt", "-m", models["char"])
    assert "at character 2 of line 2 of b.txt" in rnngen("score", *arguments).err
    result = rnngen("score", *arguments, "--on-unknown", "error")
    assert (result.code, len(result.rows)) == (1, 3)
    assert "line 2 of b.txt has a symbol" in result.err
    painted = rnngen("score", *arguments, "--color").out.splitlines()
    assert [line for line in painted if line.endswith(".txt")] == ["a.txt", "b.txt"]
    header, *rows = rnngen("score", *arguments, "-m", models["lines"], "--classify").rows
    assert header[:2] == ["file", "line"]
    assert [row[:2] for row in rows] == [["a.txt", "1"], ["a.txt", "2"], ["b.txt", "1"], ["b.txt", "2"]]


def test_a_prefix_gives_the_log_probability_of_each_line_as_its_continuation(rnngen, models):
    lines = b"bell\nlads\n\n"
    [start] = rnngen("score", "-m", models["char"], "--json", "--no-eos", stdin=b"Haul\tthe ").records
    prefixed = b"".join(b"Haul\tthe " + line for line in lines.splitlines(True))
    wholes = rnngen("score", "-m", models["char"], "--json", stdin=prefixed).records
    records = rnngen("score", "-m", models["char"], "--prefix", r"Haul\tthe ", "--json", stdin=lines).records
    assert [record["text"] for record in records] == ["bell", "lads", ""]
    for record, whole in zip(records, wholes, strict=True):
        assert record["logprob_nats"] == pytest.approx(whole["logprob_nats"] - start["logprob_nats"], abs=1e-4)
        assert record["n_tokens"] == len(record["text"]) + 1


def test_a_prefix_of_subwords_counts_no_token_of_its_own(rnngen, models):
    """p(The bell) is p(The) p( bell | The) and p(The ) p(bell | The )."""
    [whole], before, after = (
        rnngen("score", "-m", models["subword"], *options, "--json", stdin=text).records
        for text, options in ((b"The bell", ()), (b" bell", ("--prefix", "The")), (b"bell", ("--prefix", "The ")))
    )
    assert whole["logprob_nats"] < before[0]["logprob_nats"] < after[0]["logprob_nats"] < 0
    assert after[0]["n_tokens"] < whole["n_tokens"]
