"""`rnngen score --classify`: rows, records, names of models, notes."""

from __future__ import annotations

import shutil

import pytest

LINES = ["Haul gently, lads, and let the windlass breathe.", "", "Fennet Orrides", "and\ta tab", "☃ and ☃", "no end"]


@pytest.fixture
def classify(rnngen, models):
    def call(*names, arguments=(), lines=LINES):
        named = [argument for name in names for argument in ("-m", models.get(name, name))]
        return rnngen("score", "-", "--classify", *named, *arguments, stdin="\n".join(lines).encode())

    return call


def test_columns_stand_under_their_names_and_say_what_json_says(classify):
    records = classify("char", "lines", arguments=["--json"]).records
    assert [list(record) for record in records] == [
        ["line", "model", "posterior", "margin_nats", "logprobs_nats", "text"]
    ] * len(LINES)
    assert [(record["line"], record["text"]) for record in records] == list(enumerate(LINES, 1))
    assert list(records[0]["logprobs_nats"]) == ["char", "lines"]
    header, *rows = classify("char", "lines").rows
    assert header == ["line", "model", "posterior", "margin_nats", "text"]
    assert classify("char", "lines", arguments=["--no-header"]).rows == rows
    assert classify("char", "lines", arguments=["--format", "jsonl"]).records == records
    for row, record in zip(rows, records, strict=True):
        numbers = [f"{record['posterior']:.6f}", f"{record['margin_nats']:.4f}"]
        assert row == [str(record["line"]), record["model"], *numbers, *record["text"].split("\t")]


def test_a_model_of_names_and_one_of_a_play_know_their_own(classify):
    play = ["Haul gently, lads, and let the windlass breathe.", "The bell is rung, and all the town is there"]
    names = ["Bellane", "Fennet Orrides", "Brin Candlewater", "Quern"]
    rows = classify("char", "lines", lines=play + names).rows[1:]
    assert [row[1] for row in rows] == ["char"] * 2 + ["lines"] * 4


def test_the_note_says_how_many_lines_had_unknown_symbols(classify):
    said = classify("char", "byte", lines=["the bell", "☃ ☃", "the bell", "q☃"]).err
    assert "2 lines of 4 with symbols that a model does not know: each such symbol is charged 13.92 nats" in said
    assert "unknown" not in classify("char", "byte", lines=["the bell"]).err


def test_models_are_named_by_their_files_and_where_these_are_equal_by_their_paths(models, classify, tmp_path):
    paths = [tmp_path / folder / "model.safetensors" for folder in ("a", "b")]
    for path, name in zip(paths, ("char", "lines"), strict=True):
        path.parent.mkdir()
        shutil.copy(models[name], path)
    [record] = classify(str(paths[0]), str(paths[1]), "byte", arguments=["--json"], lines=["the bell"]).records
    assert list(record["logprobs_nats"]) == [str(paths[0]), str(paths[1]), "byte"]


@pytest.mark.parametrize(
    ("names", "arguments", "lines", "code", "said"),
    [
        (["char"], [], ["a"], 2, "--classify compares models: name two or more, each with -m"),
        (["char", "lines", "char"], [], ["a"], 2, "char.safetensors twice: name it once"),
        (["char", "lines"], ["--on-unknown", "skip"], ["a"], 2, "on_unknown is 'skip': it must be unk or error"),
        (
            ["char", "lines"],
            ["--on-unknown", "error"],
            ["a", "☃", "b"],
            1,
            "line 2 has a symbol that the model does not",
        ),
        (["char", "lines"], [], [""], 1, "the text is empty: there is nothing to classify"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(classify, names, arguments, lines, code, said):
    result = classify(*names, arguments=arguments, lines=lines)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
