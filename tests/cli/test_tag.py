"""`rnngen train --tags` and `rnngen tag`."""

from __future__ import annotations

import json

import pytest

TEXT = (
    "the bell rings\tDET NOUN VERB\na tide turns slowly\tDET NOUN VERB ADV\nslowly the tide turns\tADV DET NOUN VERB\n"
)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    from rnngen.cli.app import run

    folder = tmp_path_factory.mktemp("tagger")
    (folder / "tags.tsv").write_text(TEXT * 30, "utf-8")
    path = str(folder / "tagger.safetensors")
    assert run(["train", str(folder / "tags.tsv"), "--tags", "-o", path, "--steps", "60", "--lr", "0.02", "-q",
                "--hidden-size", "12", "--embedding-dim", "8", "--threads", "1"]) == 0  # fmt: skip
    return path


def test_a_row_for_each_word(rnngen, tagger):
    result = rnngen("tag", "-", "-m", tagger, stdin=b"the tide rings\n\nslowly\n")
    assert result.code == 0
    assert result.rows == [
        ["line", "word_number", "word", "tag"],
        ["1", "1", "the", "DET"], ["1", "2", "tide", "NOUN"], ["1", "3", "rings", "VERB"], ["3", "1", "slowly", "ADV"],
    ]  # fmt: skip
    rows = rnngen("tag", "-", "-m", tagger, "--probabilities", "--no-header", stdin=b"the tide\n").rows
    assert [row[:4] for row in rows] == [["1", "1", "the", "DET"], ["1", "2", "tide", "NOUN"]]
    assert all(0.5 < float(row[4]) <= 1 for row in rows)


def test_a_line_for_each_line(rnngen, tagger):
    result = rnngen("tag", "-", "-m", tagger, "--format", "slash", stdin=b"the  tide\n\nslowly")
    assert result.out == "the/DET tide/NOUN\n\nslowly/ADV\n"
    first, second = rnngen("tag", "-", "-m", tagger, "--json", stdin="the wéll\n\n".encode()).records
    assert first["line"] == 1
    assert first["words"][0] == {"word": "the", "tag": "DET", "known": True}
    assert first["words"][1]["known"] is False
    assert second == {"line": 2, "words": []}


def test_how_many_tags_are_right(rnngen, tagger, tmp_path):
    (tmp_path / "test.tsv").write_text("the bell rings\tDET NOUN NOUN\n\nthe tides\tDET XYZ\n", "utf-8")
    result = rnngen("tag", "--measure", tmp_path / "test.tsv", "-m", tagger)
    assert result.code == 0
    assert result.rows[:2] == [["n_words", "accuracy", "n_unknown", "unknown_accuracy"], ["5", "0.6000", "1", "0.0000"]]
    assert result.rows[3] == ["tag", "taken_for", "count"]
    assert ["NOUN", "VERB", "1"] in result.rows
    [record] = rnngen("tag", "--measure", tmp_path / "test.tsv", "-m", tagger, "--json", "--top", "1").records
    assert record["accuracy"] == 0.6
    assert len(record["confusions"]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a b\tX Y\n" * 9 + "c d\tX\n", "line 10 has 2 words and 1 tag"),
        ("a b\n", "line 1 has 1 column"),
        ("\n\n", "the text has blank lines only"),
        ("a\tX\n", "the text has 1 line that is not blank: too few"),
    ],
)
def test_texts_that_no_tagger_learns_from(rnngen, tmp_path, text, said):
    (tmp_path / "tags.tsv").write_text(text, "utf-8")
    result = rnngen("train", tmp_path / "tags.tsv", "--tags", "--steps", "2", "-q")
    assert result.code == 1
    assert said in result.err
    assert len(result.err.splitlines()) == 1


def test_a_validation_text_with_other_tags_and_characters(rnngen, tmp_path):
    (tmp_path / "tags.tsv").write_text(TEXT * 3, "utf-8")
    (tmp_path / "valid.tsv").write_text("thé bell\tDET OTHER\n", "utf-8")
    result = rnngen("train", tmp_path / "tags.tsv", "--tags", "--steps", "2", "--valid", tmp_path / "valid.tsv")
    assert result.code == 0
    (tmp_path / "wrong.tsv").write_text("x\n", "utf-8")
    result = rnngen("train", tmp_path / "tags.tsv", "--tags", "--steps", "2", "--valid", tmp_path / "wrong.tsv", "-q",
                    "--force")  # fmt: skip
    assert "line 1 of the validation text has 1 column" in result.err


def test_other_commands_name_the_right_one(rnngen, tagger, models, tmp_path):
    (tmp_path / "text.txt").write_text("the bell\n", "utf-8")
    for command in (["score", "text.txt"], ["perplexity", "text.txt"], ["sample"], ["fill", "___"]):
        result = rnngen(*command, "-m", tagger, "-q")
        assert (result.code, result.out) == (2, "")
        assert "is a tagger, which gives no probabilities to texts: use it with rnngen tag" in result.err
    result = rnngen("tag", "text.txt", "-m", models["char"], "-q")
    assert (result.code, result.out) == (2, "")
    assert "is no tagger: train one with rnngen train TAGS.tsv --tags" in result.err
    assert rnngen("tag", "--measure", "text.txt", "-m", tagger, "-q").code == 1
    assert json.loads(rnngen("info", tagger, "--json").out)["model"]["n_tags"] == 4
    assert rnngen("models", tmp_path).code in (0, 1)


@pytest.mark.parametrize(
    "options",
    [["--level", "word"], ["--init-from", "x"], ["--bidirectional"], ["--ngram-order", "3"], ["--tie-weights"]],
)
def test_options_that_a_tagger_has_not(rnngen, tmp_path, options):
    (tmp_path / "tags.tsv").write_text(TEXT, "utf-8")
    result = rnngen("train", tmp_path / "tags.tsv", "--tags", *options)
    assert result.code == 2
    assert "--tags" in result.err
