"""What a run is asked for: what contradicts itself, and what a resume file keeps of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnngen.config import ModelOptions, TokenizerConfig, TrainConfig
from rnngen.errors import ConfigError
from rnngen.runs.request import Request

OUT = Path("checkpoints/out.safetensors")


def test_a_request_is_the_same_after_a_resume_file_but_for_where_it_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cache").mkdir()
    request = Request(
        output=OUT, paths=("-", "a.txt"), training=TrainConfig(epochs=2.0, lines=True), encoding="latin-1",
        model=ModelOptions(cell="lstm", ngram_order=3), tokenizer=TokenizerConfig("word", min_count=2),
        valid=Path("valid.txt"), init_from=Path("old.safetensors"), log=Path("log"), force=True,
        cache_dir=Path("cache"), save_every=7.0,
    )  # fmt: skip
    kept = json.loads(json.dumps(request.to_dict()))
    assert not {"log", "output"} & kept.keys()
    again = Request.from_dict(kept, output=Path("other.safetensors"))
    assert again == Request(
        output=Path("other.safetensors"), paths=("-", str(tmp_path / "a.txt")), training=request.training,
        encoding="latin-1", model=request.model, tokenizer=request.tokenizer, valid=tmp_path / "valid.txt",
        init_from=tmp_path / "old.safetensors", force=True, cache_dir=tmp_path / "cache", save_every=7.0,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0"])
def test_standard_input_has_one_name_in_a_resume_file(name):
    assert Request(output=OUT, paths=(name,)).to_dict()["paths"] == ["-"]


def test_texts_can_be_named_anew():
    kept = Request(output=OUT, paths=("a",)).to_dict()
    assert Request.from_dict(kept, output=OUT, paths=("b",)).paths == ("b",)
    assert Request.from_dict(kept, output=OUT, text="abc").text == "abc"


def test_a_cache_that_is_no_folder_any_more_is_forgotten(tmp_path):
    kept = Request(output=OUT, paths=("a",), cache_dir=tmp_path / "gone").to_dict()
    assert Request.from_dict(kept, output=OUT).cache_dir is None


@pytest.mark.parametrize(
    "damage",
    [
        {"paths": "a"}, {"paths": [1]}, {"paths": ["a\0"]}, {"encoding": None}, {"force": 1}, {"save_every": 0},
        {"save_every": "60"}, {"cache_dir": 3}, {"valid": "\0"}, {"init_from": []}, {"config": {}, "paths": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_damaged_record_is_refused(damage: dict[str, Any]):
    kept = Request(output=OUT, paths=("a",)).to_dict()
    with pytest.raises(ConfigError, match="its run record has another form"):
        Request.from_dict({**kept, **damage}, output=OUT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "a run needs a text: give either files or a string"),
        ({"paths": ("a",), "text": "a"}, "a run needs a text: give either files or a string"),
        ({"text": "a", "tokenizer": TokenizerConfig(), "tokenizer_file": Path("t")}, "a saved tokenizer has its"),
        ({"text": "a", "valid": Path("v"), "training": TrainConfig(valid_fraction=0.5)}, "exclude each other"),
        ({"text": "a", "save_every": 0.0}, "save_every is 0.0: it must be a number from 1e-30 to 1e"),
    ],
)
def test_what_contradicts_itself_is_refused(options: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        Request(output=OUT, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paths": (str(OUT),)}, "--output is .*, which this run reads"),
        ({"paths": ("a",), "log": Path("a")}, "--log is a, which this run reads"),
        ({"paths": ("a",), "log": OUT}, "--log is .*, which the run writes itself"),
        ({"paths": ("a",), "output": Path("x.resume.safetensors")}, "has the name of a resume file"),
        ({"paths": ("-", "-")}, "- is given twice"),
        ({"paths": ("-", "/dev/stdin")}, "- is given twice"),
        ({"paths": ("-",), "valid": Path("-")}, "- is given twice"),
    ],
)
def test_no_file_is_read_and_written(options: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        Request(**{"output": OUT, **options}).check_files()


def test_more_texts_than_a_checkpoint_can_name_are_refused():
    request = Request(output=OUT, paths=tuple(f"{'x' * 200}{n}.txt" for n in range(3000)))
    with pytest.raises(ConfigError, match=r"^the names of 3,000 texts are too long to be kept"):
        request.check_files()
