"""Rows that adapt to the text, tuned or not, and the curve of the loss by context."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from rnngen import models as model_files
from rnngen.cli.context_curve import bar, context_curve
from rnngen.cli.output import Console
from rnngen.engine.scoring import score_text
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.adaptation import adaptive_rows
from rnngen.text.corpus import FileText
from rnngen.training.network import load_torch_model

QUIET, TELLING = Console(True), Console(False)
SONG = "Haul gently, lads, and let the windlass breathe.\n"


@pytest.fixture
def load(models):
    return lambda name="char": model_files.load(models[name], "cpu", QUIET)


@pytest.fixture
def text(tmp_path):
    """A function: characters to a text that holds them."""

    def make(content: str, name: str = "text.txt") -> FileText:
        (tmp_path / name).write_text(content, "utf-8")
        return FileText([str(tmp_path / name)])

    return make


def loss(loaded, scorer, content: str) -> float:
    tokenizer = loaded.tokenizer
    ids = tokenizer.encode(content)
    return -float(np.mean(np.concatenate(list(scorer(ids, tokenizer.newline_id)))))


def own_label(row) -> str:
    """Without the model's path."""
    return row.label.removeprefix(f"{row.loaded.path}, ")


def static_loss(loaded, content: str) -> float:
    return loss(loaded, lambda ids, newline_id: score_text(loaded.network, ids, newline_id), content)


@pytest.mark.parametrize("name", ["char", "lstm", "word", "subword"])
def test_a_text_that_repeats_itself_is_likelier_to_weights_that_follow_it(load, models, name):
    loaded, before = load(name), Path(models[name]).read_bytes()
    [row] = adaptive_rows(loaded, False, True, None, "unk", QUIET)
    assert loss(loaded, row.scorer, SONG * 12) < static_loss(loaded, SONG * 12) - 0.1
    assert Path(models[name]).read_bytes() == before


def test_a_text_that_repeats_itself_is_likelier_with_a_cache(load):
    loaded = load("word")
    [row] = adaptive_rows(loaded, True, False, None, "unk", QUIET)
    assert loss(loaded, row.scorer, SONG * 20) < static_loss(loaded, SONG * 20) - 0.02


def test_only_what_is_asked_for_is_there(load):
    assert adaptive_rows(load(), False, False, None, "unk", QUIET) == []
    [row] = adaptive_rows(load(), True, False, None, "unk", QUIET)
    assert own_label(row) == "cache (adaptive; theta 4.17, weight 0.05, size 2000)"
    [row] = adaptive_rows(load(), False, True, None, "unk", QUIET)
    assert own_label(row) == "dynamic (adaptive; lr 0.01, decay 0.001, bptt 20)"


def test_tuned_settings_are_no_worse_than_the_static_model_on_the_text_tuned_on(load, text, capsys):
    loaded, content = load("word"), SONG * 12
    rows = adaptive_rows(loaded, True, True, text(content), "unk", TELLING)
    told = [note for note in capsys.readouterr().err.splitlines() if "tuned" in note]
    static, n_tokens = static_loss(loaded, content), len(loaded.tokenizer.encode(content))
    for row, note in zip(rows, told, strict=True):
        tuned = loss(loaded, row.scorer, content)
        assert tuned < static
        assert note == (
            f"{own_label(row).split(' ')[0]}: tuned on the first {n_tokens} tokens of the text to tune on, "
            f"{static:.4f} nats a token without, {tuned:.4f} with"
        )


def test_where_nothing_helps_adaptation_is_left_off_and_that_is_said(load, text, capsys):
    loaded = load()
    [cache, dynamic] = adaptive_rows(loaded, True, True, text("q"), "unk", TELLING)
    assert "weight 0," in cache.label
    assert "lr 0," in dynamic.label
    assert capsys.readouterr().err.count("first 1 token of") == 2
    for row in (cache, dynamic):
        assert loss(loaded, row.scorer, SONG) == pytest.approx(static_loss(loaded, SONG), abs=1e-5)


def test_only_the_begin_of_a_long_text_is_tuned_on(load, text, capsys, monkeypatch):
    monkeypatch.setattr("rnngen.evaluate.adaptation.CACHE_TOKENS", 60)
    adaptive_rows(load(), True, False, text(SONG * 30), "unk", TELLING)
    assert "tuned on the first 60 tokens" in capsys.readouterr().err


def test_unknown_symbols_of_the_text_to_tune_on_are_told(load, text, capsys):
    adaptive_rows(load(), True, False, text(SONG + "☃\n"), "unk", TELLING)
    assert "the text to tune on, as far as it was read, has 1 unknown symbol, taken as" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "words"), [("", "is empty"), ("☃", "has unknown symbols only, all left out")])
def test_a_text_to_tune_on_with_nothing_in_it_is_refused(load, text, content, words):
    with pytest.raises(DataError, match=f"the text to tune on {words}: name another with --tune"):
        adaptive_rows(load(), True, False, text(content), "skip", QUIET)


def test_the_torch_model_has_no_cache_and_says_so_before_it_tunes(load, text):
    loaded = load()
    checkpoint = loaded.checkpoint
    other = model_files.Loaded(loaded.path, checkpoint, load_torch_model(checkpoint.config, checkpoint.weights, "cpu"))
    with pytest.raises(ConfigError, match="leave out --device cuda"):
        adaptive_rows(other, True, False, text(""), "unk", QUIET)
    assert len(adaptive_rows(other, False, True, None, "unk", QUIET)) == 1


def test_the_curve_is_a_row_a_context_and_ends_with_all(load, text, capsys):
    loaded = load()
    context_curve(loaded, text(SONG * 5), 5, "unk", False, QUIET)
    header, *rows = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert header == ["context", "loss_nats", "standard_error_nats", "perplexity"]
    assert [row[0] for row in rows] == ["1", "2", "4", "5", "all"]
    assert float(rows[-1][1]) == pytest.approx(static_loss(loaded, SONG * 5), abs=1e-4)
    for row in rows:
        assert float(row[3]) == pytest.approx(math.exp(float(row[1])), rel=1e-3)


def test_the_curve_as_json_has_the_same_numbers(load, text, capsys):
    loaded = load("word")
    context_curve(loaded, text(SONG * 5), 2, "unk", False, QUIET)
    _, *rows = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    context_curve(loaded, text(SONG * 5), 2, "unk", True, QUIET)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["context"] for record in records] == [1, 2, None]
    for record, row in zip(records, rows, strict=True):
        assert list(record) == ["model", "context", "loss_nats", "standard_error_nats", "perplexity", "n_tokens"]
        assert record["model"] == str(loaded.path)
        assert [f"{record[name]:.4f}" for name in list(record)[2:5]] == row[1:]


def test_one_token_has_no_standard_error(load, text, capsys):
    context_curve(load(), text("a"), 1, "unk", True, QUIET)
    assert [json.loads(line)["standard_error_nats"] for line in capsys.readouterr().out.splitlines()] == [None, None]
    context_curve(load(), text("a"), 1, "unk", False, QUIET)
    assert [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()[1:]] == ["-", "-"]


def test_how_many_places_were_measured_is_said(load, text, capsys, monkeypatch):
    context_curve(load(), text(SONG * 110), 1, "unk", True, TELLING)
    captured = capsys.readouterr()
    assert f"5,000 tokens of {len(SONG) * 110:,} predicted, evenly spaced" in captured.err
    assert {json.loads(line)["n_tokens"] for line in captured.out.splitlines()} == {5000}


def test_on_a_terminal_every_context_has_a_bar(load, text, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    context_curve(load(), text(SONG * 5), 4, "unk", False, QUIET)
    header, *lines = capsys.readouterr().out.splitlines()
    assert "█" not in header
    losses = [float(line.split()[1]) for line in lines]
    widths = [line.count("█") for line in lines]
    assert widths[losses.index(max(losses))] == max(widths) == 40
    assert widths[losses.index(min(losses))] == min(widths) < 40


def test_a_bar_starts_at_zero_and_is_drawn_to_an_eighth():
    assert [bar(value, 2.0, 4) for value in (2.0, 1.0, 0.75, 1 / 16, 0.0)] == ["████", "██", "█▌", "▏", ""]
    assert bar(0.0, 0.0, 4) == ""


@pytest.mark.parametrize(("content", "words"), [("", "is empty"), ("☃", "has unknown symbols only, all left out")])
def test_a_text_without_tokens_has_no_curve(load, text, capsys, content, words):
    with pytest.raises(DataError, match=f"the text {words}: there is nothing to measure"):
        context_curve(load(), text(content), 4, "skip", False, QUIET)
    assert capsys.readouterr().out == ""


def test_a_context_of_no_tokens_is_refused(load, text):
    with pytest.raises(ConfigError, match="0: it must be a whole number, 1 or more"):
        context_curve(load(), text(SONG), 0, "unk", False, QUIET)
