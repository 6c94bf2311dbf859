"""The lines of texts that are read once."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from rnngen.errors import DataError
from rnngen.text import corpus
from rnngen.text.corpus import READ_BYTES
from rnngen.text.streams import stream_files, stream_lines


@pytest.mark.parametrize("as_stdin", [True, False])
def test_streamed_lines_come_before_the_input_ends(monkeypatch: pytest.MonkeyPatch, as_stdin: bool) -> None:
    reading, writing = os.pipe()
    with open(reading) as stdin, open(writing, "wb", buffering=0) as writer:
        # Should a line not come, the end of the input does, and the test fails instead of waiting.
        give_up = threading.Timer(30, writer.close)
        give_up.daemon = True
        give_up.start()
        monkeypatch.setattr(sys, "stdin", stdin)
        lines = stream_lines(["-" if as_stdin else f"/dev/fd/{reading}"])
        writer.write(b"one\r\ntwo\nth")
        assert next(lines) == ["one\n", "two\n"]
        writer.write(b"ree\n\n")
        assert next(lines) == ["three\n", "\n"]
        writer.write(b"end")
        writer.close()
        assert list(lines) == [["end"]]
        give_up.cancel()


def test_a_file_that_grows_is_scored_as_far_as_it_goes(tmp_path: Path) -> None:
    path = str(tmp_path / "text")
    Path(path).write_bytes(b"one\n" * READ_BYTES)
    blocks = stream_lines([path])
    first = next(blocks)
    with open(path, "ab") as file:
        file.write(b"two\n")
    lines = [*first, *(line for block in blocks for line in block)]
    assert (len(lines), lines[-1]) == (READ_BYTES + 1, "two\n")


def test_each_file_has_its_name_and_its_lines_unless_there_is_one_only(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a", "none", "b")]
    for path, content in zip(paths, (b"one\ntwo", b"", b"three"), strict=True):
        Path(path).write_bytes(content)
    assert [(name, list(lines)) for name, lines in stream_files(paths)] == [
        (paths[0], [["one\n"], ["two\n"]]),
        (paths[2], [["three"]]),
    ]
    assert [(name, list(lines)) for name, lines in stream_files([paths[0]])] == [(None, [["one\n"], ["two"]])]
    assert [list(lines) for _, lines in stream_files([paths[0]] * 2)] == [[["one\n"], ["two\n"]], [["one\n"], ["two"]]]


def test_a_line_that_is_too_long_is_named_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "LONGEST_LINE", 3)
    for name in ("a", "b"):
        (tmp_path / name).write_text("one\n" if name == "a" else "two\nthree\n")
    paths = [str(tmp_path / name) for name in ("a", "b")]
    with pytest.raises(DataError, match=f"^line 2 of {paths[1]} has more than 3 characters"):
        [list(lines) for _, lines in stream_files(paths)]
