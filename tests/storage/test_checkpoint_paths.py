"""Where a checkpoint is, from a path, a name, the environment or its age."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnngen.errors import CheckpointError
from rnngen.storage.checkpoint_paths import find, find_resume, path_of, resume_path


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNGEN_MODEL", raising=False)
    Path("checkpoints").mkdir()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("play", "checkpoints/play.safetensors"),
        ("play.safetensors", "play.safetensors"),
        ("folder/play", "folder/play.safetensors"),
        ("v1.5", "checkpoints/v1.5.safetensors"),
    ],
)
def test_a_name_is_in_the_folder_of_checkpoints_and_a_path_is_itself(name, path):
    assert path_of(name) == Path(path)


def test_the_newest_checkpoint_is_found_and_no_resume_file():
    for age, name in enumerate(["new.safetensors", "old.safetensors"]):
        Path("checkpoints", name).touch()
        os.utime(Path("checkpoints", name), (1_000_000 - age,) * 2)
    Path("checkpoints/newest.resume.safetensors").touch()
    said = []
    assert find(say=said.append) == Path("checkpoints/new.safetensors")
    assert said == ["model: checkpoints/new.safetensors"]


def test_a_name_comes_before_the_environment_and_the_environment_before_the_newest(monkeypatch):
    for name in ("a", "b", "c"):
        Path(f"checkpoints/{name}.safetensors").touch()
    monkeypatch.setenv("RNNGEN_MODEL", "a")
    assert find() == Path("checkpoints/a.safetensors")
    assert find("b") == find(Path("checkpoints/b.safetensors")) == Path("checkpoints/b.safetensors")


def test_without_any_checkpoint_a_caller_learns_what_to_do():
    with pytest.raises(CheckpointError, match="train one with rnngen train TEXT"):
        find()


def test_a_misspelt_name_gets_a_suggestion_and_the_list_of_what_is_there():
    for age, name in enumerate(["play", "names", "words"]):
        Path(f"checkpoints/{name}.safetensors").touch()
        os.utime(Path(f"checkpoints/{name}.safetensors"), (1_000_000 - age,) * 2)
    Path("checkpoints/other.resume.safetensors").touch()
    said = []
    with pytest.raises(CheckpointError) as error:
        find("naems", said.append)
    assert str(error.value) == (
        "there is no checkpoint checkpoints/naems.safetensors: did you mean names? "
        "The folder checkpoints has play, names, words"
    )
    assert said == []
    with pytest.raises(
        CheckpointError, match=r"gone/plays\.safetensors: did you mean play\? The folder checkpoints has"
    ):
        find("gone/plays")
    with pytest.raises(CheckpointError, match=r"zebra\.safetensors: the folder checkpoints has play, names, words$"):
        find("zebra")


def test_the_list_of_what_is_there_is_short_and_printable():
    for number in range(12):
        Path(f"checkpoints/a{number}\n.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"the folder checkpoints has (a\d+\\n, ){9}a\d+\\n and 2 more$"):
        find("zebra")


def test_where_nothing_is_there_a_misspelt_name_is_told_how_to_train_one():
    with pytest.raises(CheckpointError, match=r"^there is no checkpoint checkpoints/a\.safetensors: train one with"):
        find("a")


def test_a_misspelt_name_of_a_stopped_run_gets_a_suggestion_too():
    with pytest.raises(CheckpointError, match=r"paly\.resume\.safetensors: name the checkpoint that it was to write$"):
        find_resume("paly")
    Path("checkpoints/play.resume.safetensors").touch()
    Path("checkpoints/pal.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"did you mean play\? The folder checkpoints has play$"):
        find_resume("paly")


def test_a_resume_file_is_found_by_its_own_name_and_by_that_of_the_checkpoint():
    checkpoint = Path("checkpoints/play.safetensors")
    resume_path(checkpoint).touch()
    assert find_resume("play") == find_resume("checkpoints/play.resume.safetensors") == (
        checkpoint, Path("checkpoints/play.resume.safetensors"),
    )  # fmt: skip
