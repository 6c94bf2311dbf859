"""The report of `rnngen perplexity` on a terminal."""

from __future__ import annotations

import json
import sys

import pytest
from chunks import Chunks

from rnngen.cli import perplexity_report as module
from rnngen.cli.perplexity_report import write_report
from rnngen.evaluate.measures import MEASURES
from rnngen.evaluate.predictors import measure_text
from rnngen.text.corpus import FileText
from rnngen.tokenizers.char import CharTokenizer

CHARS, TEXT = CharTokenizer(" abc"), Chunks("ab c\n\n☃ca\n a \nabba\n")


@pytest.fixture
def on_a_terminal(make_engine, monkeypatch, capsys):
    """A function: labels to the report on as many equal models, as text and as records."""

    def call(*labels, state="carry", on_unknown="unk"):
        measured = [measure_text(make_engine(), CHARS, TEXT, state=state, on_unknown=on_unknown)] * len(labels)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        write_report(labels, measured, json=False)
        shown = capsys.readouterr().out
        write_report(labels, measured, json=True)
        return shown, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def test_the_report_on_one_model_names_its_conventions_and_every_measure_with_its_error(on_a_terminal):
    shown, [record] = on_a_terminal("mine")
    for said in ("carried from line to line", "natural (nats)", "taken as the unknown symbol", "over 5 lines", "mine"):
        assert said in shown
    for name in [*MEASURES, *(f"known_{name}" for name in MEASURES)]:
        if record[name] < 100:
            assert f"{record[name]:.4f} ± {record[name + '_standard_error']:.4f}" in shown
    assert max(map(len, shown.splitlines())) <= 120
    table = shown.splitlines()[-6:]
    assert len(set(map(len, table))) == 1


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize("labels", [["mine"], ["first", "second", "third"]], ids=["one", "several"])
def test_the_report_fits_the_width_of_the_terminal(on_a_terminal, monkeypatch, labels, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown, records = on_a_terminal(*labels)
    assert max(map(len, shown.splitlines())) <= columns
    words = " ".join(shown.split())
    for name in ("loss_nats", "perplexity", "bits_per_char", "known_loss_nats"):
        assert words.count(f"{records[0][name]:.4f} ± {records[0][name + '_standard_error']:.4f}") >= len(labels)
    assert "taken as the unknown symbol; without unknown leaves out those tokens and what they stand for" in words


def test_on_a_terminal_several_files_have_a_row_each_and_a_total(make_engine, monkeypatch, capsys, tmp_path):
    for name, text in (("a.txt", "ab c\n"), ("b.txt", "ca\na")):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    measured = measure_text(make_engine(), CHARS, FileText(["a.txt", "b.txt"]))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    write_report(["mine"], [measured], json=False)
    *_, header, first, second, total = capsys.readouterr().out.splitlines()
    assert header.split("  ")[0] == "perplexity per token"
    rows = zip((first, second, total), ("a.txt", "b.txt", "total"), (*measured.files, measured), strict=True)
    for row, name, one in rows:
        assert row.split()[0] == name
        assert f"{one.estimate('perplexity').value:.4f} ± " in row


def test_the_report_says_what_state_and_unknown_symbols_became(on_a_terminal):
    shown, _ = on_a_terminal("mine", state="reset", on_unknown="skip")
    assert "reset at every line" in shown
    assert "left out of the text before it is measured" in shown


def test_the_report_on_several_models_compares_them_in_words(on_a_terminal):
    shown, records = on_a_terminal("first", "second")
    assert "A  first\nB  second\n" in shown
    assert "\nB - A: 0.0000 nats per token, 0.0000 to 0.0000: no difference shown\n" in shown
    assert shown.endswith("nats per token: both have the same tokenizer\n")
    assert f"{records[0]['loss_nats']:.4f} ± " in shown


def test_a_huge_perplexity_is_short_on_a_terminal():
    assert module._rounded(3.8e25) == "3.8e+25"
    assert module._rounded(123_456_789.4) == "123,456,789"
