"""Texts as a caller in Python names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnngen.errors import ConfigError, DataError
from rnngen.text.sources import open_text, path_names


def test_paths_are_one_or_several_strings_or_path_objects():
    assert path_names("a") == path_names(Path("a")) == path_names(["a"]) == ("a",)
    assert path_names(path for path in ("a", Path("b"))) == ("a", "b")
    assert path_names(None) == path_names([]) == ()


def test_a_text_is_that_of_the_files_or_the_string(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(f"{name}é\n".encode("latin-1"))
    files = open_text([tmp_path / "a", tmp_path / "b"], encoding="latin-1")
    assert "".join(files.chunks()) == "".join(open_text(text="aé\nbé\n").chunks()) == "aé\nbé\n"


def test_a_text_that_is_no_string_is_refused():
    with pytest.raises(ConfigError, match="text is b'hello': it must be a string"):
        open_text(text=b"hello")


@pytest.mark.parametrize("given", [{}, {"paths": []}, {"paths": "a", "text": "b"}])
def test_no_text_and_two_texts_are_refused(given):
    with pytest.raises(ConfigError, match="give a text: either the paths of files, or text= and a string"):
        open_text(**given)


def test_a_string_that_is_no_path_is_said_to_be_missing():
    with pytest.raises(DataError, match="hello there"):
        open_text("hello there")
