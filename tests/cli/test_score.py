"""`rnngen score`: one record a line, in order, whose numbers add up."""

import math
import re
from pathlib import Path

import pytest

from rnngen import checkpoint

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


@pytest.mark.parametrize("model", ["char", "lstm", "lines", "word", "subword", "byte"])
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
        keys = ["token", "id", "text", "logprob_nats", "surprisal_bits"]
        assert [list(token) for token in tokens] == [keys] * len(tokens)
        assert sum(token["logprob_nats"] for token in tokens) == pytest.approx(record["logprob_nats"], abs=1e-4)
        assert len(tokens) == record["n_tokens"]
        assert tokens[-1]["token"] == "\n"
        for token in tokens:
            assert token["surprisal_bits"] == pytest.approx(-token["logprob_nats"] / math.log(2))
        if model in ("char", "lstm") and not record["n_unknown"]:
            assert "".join(token["token"] for token in tokens) == record["text"] + "\n"
        if model in ("char", "lstm"):
            assert "".join(token["text"] for token in tokens) == record["text"] + "\n"


def test_token_rows_name_line_place_token_text_and_bits(score):
    header, *rows = score("--tokens", text="a b\n\n☃").rows
    assert header == ["line", "token_number", "token", "text", "surprisal_bits"]
    assert [row[:4] for row in rows] == [
        ["1", "1", "a", "a"], ["1", "2", "▁", "▁"], ["1", "3", "b", "b"], ["1", "4", r"\n", r"\n"],
        ["2", "1", r"\n", r"\n"],
        ["3", "1", "<unk>", "☃"], ["3", "2", r"\n", r"\n"],
    ]  # fmt: skip
    tokens = [token for record in score("--tokens", "--json", text="a b\n\n☃").records for token in record["tokens"]]
    assert [row[4] for row in rows] == [f"{token['surprisal_bits']:.4f}" for token in tokens]


@pytest.mark.parametrize("model", ["char", "lstm", "word", "subword", "byte"])
def test_words_are_what_white_space_separates_and_sum_to_the_line(score, model):
    tokens = score("--json", "--tokens", model=model).records
    for record, by_tokens in zip(score("--json", "--words", model=model).records, tokens, strict=True):
        assert [word["word"] for word in record["words"]] == [*record["text"].split(), "\n"]
        assert record["n_words"] == len(record["text"].split())
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
    assert [row[:4] for row in rows] == [["1", "1", "ab", "2"], ["1", "2", "c", "3"], ["1", "3", r"\n", "2"]]


@pytest.mark.parametrize(("base", "unit", "one"), [("e", "nats", 1), ("2", "bits", math.log(2)),
                                                   ("10", "log10", math.log(10))])  # fmt: skip
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


def test_what_is_known_is_summed_by_itself(score):
    for record in score("--json", "--tokens", text="ab\nc☃d\n☃☃\n").records:
        known = [token["logprob_nats"] for token in record["tokens"] if token["token"] != "<unk>"]
        assert record["known_logprob_nats"] == pytest.approx(sum(known), abs=1e-4)
        assert record["known_perplexity"] == pytest.approx(math.exp(-sum(known) / len(known)), rel=1e-4)
        assert len(known) + record["n_unknown"] == record["n_tokens"]


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


def test_boundaries_that_are_left_out_leave_out_their_tokens(score):
    text = "Haul\n\nx\n"
    whole, headless, endless = (
        score("--json", "--tokens", *options, text=text).records for options in ((), ("--no-bos",), ("--no-eos",))
    )
    for record, with_end in zip(endless, whole, strict=True):
        assert record["tokens"] == with_end["tokens"][:-1]
    assert [[token["text"] for token in record["tokens"]] for record in headless] == [
        ["a", "u", "l", "\n"],
        [],
        ["\n"],
    ]
    # The model's text does not start with a line break any more.
    assert headless[0]["tokens"][1]["logprob_nats"] != pytest.approx(whole[0]["tokens"][2]["logprob_nats"], abs=1e-3)
    assert headless[1]["logprob_nats"] == 0
    assert headless[1]["perplexity"] is None
    [neither] = score("--json", "--no-bos", "--no-eos", text="x").records
    assert neither["n_tokens"] == 0


def test_headless_lines_are_those_after_their_first_token(score, models):
    from rnngen.engine.language_model import Engine

    loaded = checkpoint.load(Path(models["char"]))
    engine, ids = Engine(loaded.config, loaded.weights), loaded.tokenizer.encode("Haul away\n")
    wanted, _ = engine.logprobs(ids[None, :-1], ids[None, 1:], engine.initial_state(1))
    texts = "no\nHaul away\na longer line than that\n"
    records = score("--json", "--no-bos", text=texts).records
    assert records[1]["logprob_nats"] == pytest.approx(float(wanted.sum()), abs=1e-4)


def test_a_carried_state_scores_the_lines_as_one_text(score, models):
    from rnngen.engine.language_model import Engine

    loaded = checkpoint.load(Path(models["char"]))
    lines = ["Haul gently", "", "She is no load of hay"] * 900  # more than are scored together
    text = "\n".join(lines) + "\n"
    engine, ids = Engine(loaded.config, loaded.weights), loaded.tokenizer.encode("\n" + text)
    wanted, _ = engine.logprobs(ids[None, :-1], ids[None, 1:], engine.initial_state(1))
    records = score("--json", "--state", "carry", text=text).records
    assert [record["text"] for record in records] == lines
    ends = [0, *(place + 1 for place, id in enumerate(ids[1:]) if id == loaded.tokenizer.newline_id)]
    for record, start, end in zip(records, ends, ends[1:], strict=False):
        assert record["logprob_nats"] == pytest.approx(float(wanted[0, start:end].sum()), abs=1e-3)


@pytest.mark.parametrize("model", ["word", "char"])
@pytest.mark.parametrize("name", ["kenlm", "srilm"])
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
            assert found == pytest.approx([*totals, sum(totals)], rel=1e-4)


@pytest.mark.parametrize("options", [(), ("--on-unknown", "skip")])
@pytest.mark.parametrize("text", ["the k☃ing ☃ now\n", "she is\t☃\n", "\t\n", "she  \n\n  \n", "☃\n"])
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
    ppl = sums.split("ppl= ")[1].split(" ")[0]
    assert float(ppl) == pytest.approx(report["known_perplexity_per_word"], rel=1e-4)


def test_without_line_ends_white_space_at_the_end_is_the_last_words(score):
    [record] = score("--words", "--json", "--no-eos", text="ab c  ").records
    assert [(word["word"], word["n_tokens"]) for word in record["words"]] == [("ab", 2), ("c", 4)]
    [blank] = score("--words", "--json", "--no-eos", text="  ").records
    assert [(word["word"], word["n_tokens"]) for word in blank["words"]] == [("  ", 2)]
    assert "</s>" not in score("--words", "--format", "srilm", "--no-eos", text="ab c  ").out


def test_words_keep_their_numbers_when_the_first_is_not_scored(score):
    rows = score("--words", "--no-bos", "--no-header", text="a bc d").rows
    assert [row[1:4] for row in rows] == [["2", "bc", "3"], ["3", "d", "2"], ["4", r"\n", "1"]]
    [empty] = score("--words", "--no-bos", "--json", text="\n").records
    assert (empty["n_words"], empty["words"]) == (0, [])


def test_a_part_of_a_word_has_not_the_id_of_a_token(score, models):
    vocab_size = checkpoint.load(Path(models["char"])).config.vocab_size
    assert score("--words", "--no-bos", "--format", "kenlm", text="ab c").out.startswith(f"ab={vocab_size} 2 ")


def test_an_unknown_symbol_that_is_not_scored_is_not_counted(score):
    [record] = score("--no-bos", "--json", text="☃a").records
    assert record["n_unknown"] == 0
    assert record["known_logprob_nats"] == record["logprob_nats"]


def test_a_backslash_stands_as_it_is_in_other_tools_formats(score):
    assert score("--words", "--format", "kenlm", text=r"a\b", model="byte").out.startswith(r"a\b=")
    assert r"p( a\b | <s> )" in score("--words", "--format", "srilm", text=r"a\b", model="byte").out
