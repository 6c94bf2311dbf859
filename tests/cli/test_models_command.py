"""`rnngen models` lists checkpoints."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import rnngen as library
from rnngen.cli.models import age


@pytest.fixture
def three(models, tmp_path):
    """A folder of checkpoints: word (the newest), char, and one that is broken; and a resume file."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for moment, name in ((1_000_000_000, "char"), (1_000_086_400, "word")):
        path = Path(shutil.copy(models[name], folder))
        os.utime(path, (moment, moment))
    (folder / "broken.safetensors").write_text("no checkpoint")
    (folder / "run.resume.safetensors").touch()
    return folder


def test_checkpoints_are_listed_by_name_level_size_loss_and_age_the_newest_first(rnngen, three):
    result = rnngen("models")
    header, word, char = result.rows
    losses = ["valid_loss_nats", "known_valid_loss_nats", "valid_bits_per_char"]
    assert header == ["name", "level", "n_parameters", *losses, "modified"]
    assert (word[:2], word[-1]) == (["word", "word"], "2001-09-10T01:46:40Z")
    assert (char[:2], char[-1]) == (["char", "char"], "2001-09-09T01:46:40Z")
    [found] = rnngen("info", "char", "--json").records
    assert char[2] == str(found["checkpoint"]["n_parameters"])
    assert char[3] == f"{found['training']['valid_loss_nats']:.4f}"
    assert char[4] == f"{found['training']['known_valid_loss_nats']:.4f}"
    assert char[5] == f"{found['training']['valid_bits_per_char']:.4f}"
    assert "broken.safetensors" in result.err
    assert result.err.count("\n") == 1
    assert rnngen("models", "-q").err == ""


def test_the_list_as_json_has_the_path_and_the_bytes_too(rnngen, three):
    word, char = rnngen("models", three, "--json", "-q").records
    assert list(char) == ["name", "path", "level", "n_parameters", "n_bytes", "valid_loss_nats",
                          "known_valid_loss_nats", "valid_bits_per_char", "modified"]  # fmt: skip
    assert char["path"] == char["name"] == str(three / "char.safetensors")
    assert char["n_bytes"] == (three / "char.safetensors").stat().st_size
    assert word["level"] == "word"


def test_on_a_terminal_the_list_has_the_age_and_fits_the_width(rnngen, three, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("time.time", lambda: 1_000_086_400 + 7200.0)
    monkeypatch.setenv("COLUMNS", "80")
    header, word, char = rnngen("models", "-q").out.splitlines()
    assert (header.split()[-1], word.split()[-2:], char.split()[-2:]) == ("age", ["2", "hours"], ["1", "day"])
    monkeypatch.setenv("COLUMNS", "40")
    assert max(map(len, rnngen("models", "-q").out.splitlines())) <= 40


def test_an_age_has_the_largest_unit():
    assert [age(s) for s in (-5, 59, 60, 7199, 7200, 86_400, 3e6)] == [
        "now", "now", "1 minute", "1 hour", "2 hours", "1 day", "34 days",
    ]  # fmt: skip


def test_where_there_is_no_checkpoint_the_list_says_what_to_do(rnngen, tmp_path):
    for arguments in ([], [tmp_path / "none"]):
        result = rnngen("models", *arguments)
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert "train one with rnngen train TEXT" in result.err


def test_the_library_lists_the_same(three):
    said: list[str] = []
    word, char = library.checkpoints(three, said.append)
    assert (word.name, char.level) == (str(three / "word.safetensors"), "char")
    assert len(said) == 1
    assert [one.name for one in library.checkpoints()] == ["word", "char"]
    assert library.load(library.checkpoints()[1].name).tokenizer.level == "char"


def test_a_name_goes_to_a_pipe_as_it_is_and_to_a_terminal_with_escapes(rnngen, three, monkeypatch):
    (three / "char.safetensors").rename(three / "日本 \x1b[31m\u202e.safetensors")
    assert rnngen("models", "-q").rows[-1][0] == "日本 \x1b[31m\u202e"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "日本 \\x1b[31m\\u202e" in rnngen("models", "-q").out
