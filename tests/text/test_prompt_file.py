"""Prompts from files: the line break at the end belongs to the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnngen.errors import DataError
from rnngen.text.prompt_file import LONGEST_PROMPT, read_prompt


@pytest.mark.parametrize(
    ("content", "prompt"),
    [
        (b"Bel\n", "Bel"),
        (b"Bel\r\n", "Bel"),
        (b"Bel", "Bel"),
        (b"Bel\n\n", "Bel\n"),
        (b"one\r\ntwo\r\n", "one\ntwo"),
        (b"\n", ""),
        (b"", ""),
    ],
)
def test_one_final_line_break_is_dropped_from_a_prompt_that_comes_from_a_file(
    content: bytes, prompt: str, tmp_path: Path
) -> None:
    (tmp_path / "prompt").write_bytes(content)
    assert read_prompt(str(tmp_path / "prompt")) == prompt


def test_a_prompt_that_no_model_would_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prompt").write_bytes(b"a\n" * LONGEST_PROMPT)
    with pytest.raises(DataError, match="more than 1,048,576 characters: give its end"):
        read_prompt(str(tmp_path / "prompt"))
