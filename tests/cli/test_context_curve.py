"""The table of `rnngen perplexity --context`."""

from __future__ import annotations

import json
import math

import pytest

from rnngen.cli.context_curve import write_curve
from rnngen.evaluate.context_losses import ContextLoss

LOSSES = [ContextLoss(1, 3.0, 0.25, 40), ContextLoss(2, 2.0, 0.25, 40), ContextLoss(None, 1.0, math.nan, 40)]


def test_the_curve_is_a_row_a_context_and_ends_with_all(capsys):
    write_curve("mine", LOSSES, json=False)
    assert [line.split("\t") for line in capsys.readouterr().out.splitlines()] == [
        ["context", "loss_nats", "standard_error_nats", "perplexity"],
        ["1", "3.0000", "0.2500", "20.0855"],
        ["2", "2.0000", "0.2500", "7.3891"],
        ["all", "1.0000", "-", "2.7183"],
    ]


def test_the_curve_as_json_has_the_same_numbers(capsys):
    write_curve("mine", LOSSES, json=True)
    first, _, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first == {
        "model": "mine", "context": 1, "loss_nats": 3.0, "standard_error_nats": 0.25, "perplexity": math.exp(3),
        "n_tokens": 40,
    }  # fmt: skip
    assert (last["context"], last["standard_error_nats"]) == (None, None)


def test_on_a_terminal_every_context_has_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    write_curve("mine", LOSSES, json=False)
    header, *lines = capsys.readouterr().out.splitlines()
    assert "█" not in header
    assert [line.count("█") for line in lines] == [40, 26, 13]


@pytest.mark.parametrize(("columns", "longest"), [(80, 27), (60, 0), (40, 0)])
def test_the_table_of_contexts_fits_the_width_of_the_terminal(capsys, monkeypatch, columns, longest):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    write_curve("mine", LOSSES, json=False)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= columns
    assert max(line.count("█") for line in shown.splitlines()) == longest
    for number in ("3.0000", "0.2500", "20.0855"):
        assert number in shown
