"""The line that makes the same model again."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rnngen.config import ModelOptions, TokenizerConfig, TrainConfig
from rnngen.runs.repeat import command_line, resume_line
from rnngen.runs.request import Request

MODEL = SimpleNamespace(has_network=True, hidden_size=96, dropout=0.1, weight_drop=0.3)
PLAN: Any = SimpleNamespace(model=MODEL, threads=2)
CHOSEN = "--hidden-size 96 --dropout 0.1 --weight-drop 0.3 --steps 50 --threads 2"


def line_of(**options: Any) -> str | None:
    request = Request(**{"output": Path("checkpoints/out.safetensors"), "paths": ("a text.txt",), **options})
    return command_line(request, PLAN, 50)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, CHOSEN),
        ({"training": TrainConfig(seconds=9.0)}, CHOSEN),
        ({"training": TrainConfig(epochs=2.0, learning_rate=0.01, lines=True, seed=7)},
         "--hidden-size 96 --dropout 0.1 --weight-drop 0.3 --steps 50 --lr 0.01 --lines --seed 7 --threads 2"),
        ({"model": ModelOptions(cell="lstm", hidden_size=8, ngram_order=0)},
         "--cell lstm --hidden-size 96 --dropout 0.1 --weight-drop 0.3 --ngram-order none --steps 50 --threads 2"),
        ({"model": ModelOptions(ngram_order=3, tie_weights=True)},
         "--hidden-size 96 --dropout 0.1 --weight-drop 0.3 --tie-weights --ngram-order 3 --steps 50 --threads 2"),
        ({"tokenizer": TokenizerConfig("word", split="whitespace")}, f"--level word --split whitespace {CHOSEN}"),
        ({"tokenizer_file": Path("t.json"), "encoding": "latin-1"}, f"--tokenizer t.json --encoding latin-1 {CHOSEN}"),
        ({"init_from": Path("old"), "tokenizer": TokenizerConfig()},
         "--level char --init-from old --dropout 0.1 --weight-drop 0.3 --steps 50 --threads 2"),
        ({"init_from": Path("old"), "valid": Path("v")},
         "--valid v --init-from old --dropout 0.1 --weight-drop 0.3 --steps 50 --threads 2"),
    ],
)  # fmt: skip
def test_the_line_names_what_was_asked_for_and_what_was_chosen_by_time(options, named):
    assert line_of(**options) == f"rnngen train 'a text.txt' {named} -o checkpoints/out-again.safetensors"


def test_a_text_that_was_a_string_cannot_be_named():
    assert line_of(paths=(), text="abc") is None


@pytest.mark.parametrize("path", ["-", "/dev/stdin", "/dev/fd/63", "/proc/self/fd/3"])
def test_what_came_through_a_pipe_is_to_be_kept_in_a_file(path):
    comment = "  # FILE: what came through a pipe, kept in a file"
    assert line_of(paths=(path,)) == f"rnngen train FILE {CHOSEN} -o checkpoints/out-again.safetensors{comment}"
    assert resume_line(Path("a b"), ("x", path), None) == (
        "rnngen train x FILE --resume 'a b', where FILE is the text that came through a pipe"
    )
    assert resume_line(Path("a"), ("x",), Path(path), Path("log")) == (
        "rnngen train --resume a --valid FILE --log log, where FILE is the text that came through a pipe"
    )


def test_a_run_of_files_finds_them_by_itself():
    assert resume_line(Path("a"), ("x",), Path("v")) == "rnngen train --resume a"


def test_the_line_can_be_read_by_a_shell():
    line = line_of(paths=("it's $HOME",))
    assert line is not None
    assert shlex.split(line)[2] == "it's $HOME"
