"""What a file is, and what takes it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import rnngen
from rnngen.config import TokenizerConfig
from rnngen.storage import tensor_file
from rnngen.storage.file_kinds import (
    ARPA,
    CHECKPOINT,
    HEAD_BYTES,
    RESUME,
    TEXT,
    TOKENIZER,
    FileKind,
    kind_of,
    what_it_is,
)

TEXT_LINES = "The bell shall ring again.\n" * 9
EVERY_LEVEL = ("char", "byte", "word", "subword")


def kind_of_file(path: Path) -> FileKind | None:
    return kind_of(path.read_bytes()[:HEAD_BYTES])


def test_the_files_that_rnngen_writes_are_known(hello_file: Path, tmp_path: Path) -> None:
    assert kind_of_file(hello_file) is CHECKPOINT
    tensor_file.write(tmp_path / "a", "rnngen-resume", 1, {"plan": {}}, {"x": np.zeros(3)})
    assert kind_of_file(tmp_path / "a") is RESUME
    for level in EVERY_LEVEL:
        config = TokenizerConfig(level, vocab_size=280 if level == "subword" else None)
        rnngen.save_tokenizer(rnngen.build_tokenizer(text=TEXT_LINES, config=config), tmp_path / level)
        assert kind_of_file(tmp_path / level) is TOKENIZER


def of_torch(path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, path)


def of_old_torch(path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)


def of_safetensors(path: Path) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, path, {"format": "pt"})


OTHERS: dict[str, Callable[[Path], Any]] = {
    "a file of torch.save": of_torch,
    "a safetensors file of another program": of_safetensors,
    "a SentencePiece model": lambda path: path.write_bytes(b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02"),
    "an array of numpy": lambda path: path.write_bytes(b"\x93NUMPY\x01\0v\0"),
    "a binary model of KenLM": lambda path: path.write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0"),
    "an ARPA file": lambda path: path.write_text("\n\\data\\\nngram 1=3\n"),
    "a JSON file": lambda path: path.write_text(json.dumps({"version": "1.0", "model": {"type": "BPE"}}, indent=2)),
    "a text": lambda path: path.write_bytes("café\x1b[0m\r\n".encode("latin-1")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_files_of_other_programs_are_known(tmp_path: Path, name: str) -> None:
    OTHERS[name](tmp_path / "file")
    found = kind_of_file(tmp_path / "file")
    assert found is not None
    assert found.name == name


def test_an_old_file_of_torch_is_known_too(tmp_path: Path) -> None:
    of_old_torch(tmp_path / "file")
    found = kind_of_file(tmp_path / "file")
    assert found is not None
    assert found.name == "a file of torch.save"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", None),
        (b"a", TEXT),
        (json.dumps({"format": "rnngen-tokenizer"}).encode(), TOKENIZER),
        (json.dumps(["other", 1]).encode(), TEXT),
        (b"\\data\\\nngram 1=2\n", ARPA),
        ("\ufeffab".encode("utf-16"), TEXT),
        (b"xxxxx\xc3", TEXT),
        (b"\x7fELF\0\0\1", None),
        (pickle.dumps([1, 2]), None),
    ],
)
def test_the_first_bytes_tell_the_kind(head: bytes, kind: FileKind | None) -> None:
    assert kind_of(head) is kind


def test_a_file_of_the_kind_that_is_wanted_gives_no_sentence(hello_file: Path, tmp_path: Path) -> None:
    assert what_it_is(hello_file, CHECKPOINT) == ""
    assert what_it_is(tmp_path / "missing", CHECKPOINT) == ""


def test_names_are_quoted_in_commands_and_folders_and_empty_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "my text"
    path.write_text("ab\n")
    assert what_it_is(path, CHECKPOINT) == (
        f"{path} is a text, not an rnngen checkpoint: rnngen train '{path}' makes one of it"
    )
    path.write_text("")
    assert what_it_is(path, TOKENIZER) == f"{path} is empty, and not a tokenizer file: name another file"
    assert what_it_is(tmp_path, ARPA) == f"{tmp_path} is a folder, not an ARPA file: name a file in it"
