"""`rnngen score --classify`: which model explains a line best, and what an unknown symbol costs."""

from __future__ import annotations

import json as jsons
import math
import shutil

import numpy as np
import pytest

from rnngen import models as checkpoints
from rnngen.cli.classifying import charged_logprob_nats, classify
from rnngen.cli.output import Console
from rnngen.errors import ConfigError, DataError, TokenizerError
from rnngen.evaluate import scored_lines
from rnngen.evaluate.scored_lines import score_in_blocks

LINES = ["Haul gently, lads", "", "  ", "Fennet Orrides", "and\ta tab", "☃ and ☃", "Brin", "no end"]
CODE_POINT_NATS = math.log(1_114_112)


@pytest.fixture
def load(models):
    return lambda *names: [checkpoints.load(models.get(name, name), "cpu", Console(True)) for name in names]


@pytest.fixture
def decide(load, capsys):
    """Classify texts; the output's rows without the header, or JSON records."""

    def call(*names, lines=LINES, json=True, console=None):
        text = [line + "\n" for line in lines[:-1]] + lines[-1:]
        classify(load(*names), iter([text]), "unk", json, console or Console(True))
        rows = capsys.readouterr().out.split("\n")[:-1]
        return [jsons.loads(row) for row in rows] if json else [row.split("\t", 4) for row in rows]

    return call


def test_there_is_one_record_a_line_in_order_blank_and_unterminated_ones_included(decide):
    records = decide("char", "lines")
    assert [list(record) for record in records] == [
        ["line", "model", "posterior", "margin_nats", "logprobs_nats", "text"]
    ] * len(LINES)
    assert [(record["line"], record["text"]) for record in records] == list(enumerate(LINES, 1))


def test_the_winner_has_the_highest_log_probability_and_a_softmax_is_its_posterior(decide):
    for record in decide("char", "lines", "byte"):
        logprobs = record["logprobs_nats"]
        assert list(logprobs) == ["char", "lines", "byte"]
        others = [value for name, value in logprobs.items() if name != record["model"]]
        assert record["margin_nats"] == pytest.approx(logprobs[record["model"]] - max(others))
        assert record["margin_nats"] >= 0
        odds = [math.exp(other - logprobs[record["model"]]) for other in others]
        assert record["posterior"] == pytest.approx(1 / (1 + sum(odds)))


def test_columns_say_what_json_says_under_a_header(decide):
    header, *rows = decide("char", "lines", json=False)
    assert header == ["line", "model", "posterior", "margin_nats", "text"]
    for row, record in zip(rows, decide("char", "lines"), strict=True):
        numbers = [f"{record['posterior']:.6f}", f"{record['margin_nats']:.4f}"]
        assert row == [str(record["line"]), record["model"], *numbers, record["text"]]


def test_a_model_of_names_and_one_of_a_play_know_their_own(decide):
    play = ["Haul gently, lads, and let the windlass breathe.", "The bell is rung, and all the town is there"]
    names = ["Bellane", "Fennet Orrides", "Brin Candlewater", "Quern"]
    found = [record["model"] for record in decide("char", "lines", lines=play + names)]
    assert found == ["char"] * 2 + ["lines"] * 4


@pytest.mark.parametrize("name", ["char", "word", "subword", "byte"])
def test_without_unknown_symbols_the_log_probability_is_that_of_score(load, decide, name):
    lines = ["The bell", "", "the"]
    [scored] = score_in_blocks(*load(name), iter([[line + "\n" for line in lines]]), "unk")
    for record, line in zip(decide(name, "lstm", lines=lines), scored, strict=True):
        if not line.encoded.n_unknown:
            assert record["logprobs_nats"][name] == pytest.approx(float(line.logprobs.sum()), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "line", "n_choices"),
    [
        ("char", "a☃b", 1),
        ("char", "☃☃", 2),
        ("word", "the zqx the", 4),
        ("word", "☃☃", 4),
        ("word", "zqx zqx", 8),
        ("byte", "☃☃", 0),
    ],
)
def test_an_unknown_symbol_is_charged_for_its_characters_and_a_word_for_its_end(load, name, line, n_choices):
    [one] = load(name)
    [[scored]] = score_in_blocks(one, iter([[line]]), "unk")
    charge = float(scored.logprobs.sum(dtype=float)) - charged_logprob_nats(scored, one.tokenizer)
    assert charge == pytest.approx(n_choices * CODE_POINT_NATS, abs=1e-3)


def test_a_model_that_knows_no_word_of_a_line_does_not_win_by_calling_them_unknown(load, decide):
    line = "Fennet Orrides, Brin Candlewater, Bellane Quern, Fennet Quern, Bellane Candlewater"
    cheap, spelt = (
        float(scored.logprobs.sum())
        for one in load("word", "char")
        for [scored] in score_in_blocks(one, iter([[line]]), "unk")
    )
    assert cheap > spelt
    assert decide("word", "char", lines=[line])[0]["model"] == "char"


def test_the_note_says_how_many_lines_had_unknown_symbols(load, decide, capsys):
    lines = ["the bell", "☃ ☃", "the bell", "q☃"]
    classify(load("char", "byte"), iter([[line + "\n" for line in lines]]), "unk", True, Console(False))
    assert "2 lines of 4 with symbols that a model does not know: each such symbol is charged 13.92 nats" in (
        capsys.readouterr().err
    )
    classify(load("char", "byte"), iter([["the bell\n"]]), "unk", True, Console(False))
    assert capsys.readouterr().err == ""


def test_the_same_line_wins_the_same_in_whatever_block_it_comes(decide, monkeypatch):
    lines = [*LINES, *LINES[::-1]] * 3
    together = decide("char", "lines", lines=lines)
    assert [record["model"] for record in together[:8]] == [record["model"] for record in together[16:24]]
    monkeypatch.setattr(scored_lines, "MOST_LINES", 1)
    for alone, record in zip(decide("char", "lines", lines=lines), together, strict=True):
        assert (alone["line"], alone["model"], alone["text"]) == (record["line"], record["model"], record["text"])
        np.testing.assert_allclose(alone["margin_nats"], record["margin_nats"], atol=1e-3)


def test_lines_are_written_before_more_are_read(load, capsys):
    written = []

    def arriving():
        for text in ("the bell\n", "Brin\n"):
            yield [text]
            written.append(capsys.readouterr().out.count("\n"))

    classify(load("char", "lines", "byte"), arriving(), "unk", False, Console(True))
    assert written == [2, 1]


def test_models_are_named_by_their_files_and_where_these_are_equal_by_their_paths(models, decide, tmp_path):
    paths = [tmp_path / folder / "model.safetensors" for folder in ("a", "b")]
    for path, name in zip(paths, ("char", "lines"), strict=True):
        path.parent.mkdir()
        shutil.copy(models[name], path)
    [record] = decide(str(paths[0]), str(paths[1]), "byte", lines=["the bell"])
    assert list(record["logprobs_nats"]) == [str(paths[0]), str(paths[1]), "byte"]


@pytest.mark.parametrize(
    ("names", "on_unknown", "lines", "error", "message"),
    [
        (["char"], "unk", ["a"], ConfigError, "--classify compares models: name two or more, each with -m"),
        (["char", "lines", "char"], "unk", ["a"], ConfigError, "--classify has the model .*char.safetensors twice"),
        (["char", "lines"], "skip", ["a"], ConfigError, "--classify cannot leave unknown symbols out"),
        (["char", "lines"], "error", ["a\n", "☃"], TokenizerError, "line 2 has a symbol that the model does not know"),
        (["char", "lines"], "unk", [], DataError, "the text is empty: there is nothing to classify"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(load, capsys, names, on_unknown, lines, error, message):
    with pytest.raises(error, match=message):
        classify(load(*names), iter([lines] if lines else []), on_unknown, False, Console(True))
    assert capsys.readouterr().out == ""


def test_the_command_classifies_what_is_piped_in(rnngen, models):
    options = ["score", "--classify", "-m", models["char"], "-m", models["lines"]]
    result = rnngen(*options, "-", stdin=b"Haul gently, lads, and let the windlass breathe.\nFennet Orrides\n")
    assert (result.code, [row[1] for row in result.rows]) == (0, ["model", "char", "lines"])
    alone = rnngen(*options[:4], "-", stdin=b"the bell\n")
    assert (alone.code, alone.out) == (2, "")
    assert alone.err.endswith("--classify compares models: name two or more, each with -m\n")
