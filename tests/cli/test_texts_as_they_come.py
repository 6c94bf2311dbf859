"""Line ends, byte order marks, NULs and packed files mean the same to every command, from files and pipes."""

from __future__ import annotations

import bz2
import gzip
import os
import pty
import sys
import threading
from pathlib import Path

import pytest

import rnngen as library
from rnngen.cli.app import run

LOG = b"loss 10 %\rloss 20 %\rdone\nend\n"
SMALL = ("--steps", "1", "--hidden-size", "8", "--threads", "1", "--force", "-q")

# A command that reads a text; {} is the text.
COMMANDS = {
    "train": ("train", "{}", "-o", "new", *SMALL),
    "train --lines": ("train", "{}", "-o", "new", "--lines", *SMALL),
    "score": ("score", "{}", "-m", "hello", "-q"),
    "n-best": ("score", "{}", "--nbest", "kaldi", "-m", "hello", "-q"),
    "perplexity": ("perplexity", "{}", "-m", "hello", "-q"),
    "tokenize": ("tokenize", "{}", "-q"),
    "tokenize -m": ("tokenize", "{}", "-m", "hello", "-q"),
    "tokenize --stats": ("tokenize", "{}", "-m", "hello", "--stats", "-q"),
    "sample": ("sample", "--prompt-file", "{}", "-m", "hello", "--seed", "1", "--length", "3", "-q"),
}


@pytest.fixture
def write(hello, tmp_path: Path):
    """Writes a file into the working folder, which has the model hello."""

    def write(content: bytes, name: str = "text.txt") -> str:
        (tmp_path / name).write_bytes(content)
        return name

    return write


def arguments_of(command: str, text: str) -> list[str]:
    return [argument.format(text) for argument in COMMANDS[command]]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_reads_the_same_text_from_a_file_a_pipe_and_gzip_under_another_name(rnngen, write, command):
    plain = b"hello\nhello ll\nhe\n" * 9
    expected = rnngen(*arguments_of(command, write(plain)))
    assert (expected.code, expected.err) == (0, "")
    packed = rnngen(*arguments_of(command, write(gzip.compress(plain), "packed.txt")))
    assert (packed.code, packed.out, packed.err) == (0, expected.out, "")
    for content in (plain, gzip.compress(plain), b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n")):
        piped = rnngen(*arguments_of(command, "-"), stdin=content)
        assert (piped.code, piped.out, piped.err) == (0, expected.out, "")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello\nhel\0lo\n", "has a NUL character at character 10"),
        (b"hel\x93lo\n", "--encoding cp1252"),
        ("hello\nhello\n".encode("utf-16"), "--encoding utf-16"),
        ("hello\nhello\n".encode("utf-16-be"), "--encoding utf-16-be"),
        (bz2.compress(b"hello\n"), "is a bzip2 file, not a text: bzip2 -dc"),
    ],
    ids=["NUL", "cp1252", "UTF-16", "UTF-16 without a mark", "bzip2"],
)
def test_a_text_with_nuls_or_undecodable_bytes_is_refused_by_every_command(rnngen, write, command, content, said):
    for text, name in ((write(content), "text.txt"), ("-", "standard input")):
        result = rnngen(*arguments_of(command, text), stdin=content)
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert said in result.err
        assert name in result.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_lone_cr_is_noted_once_by_every_command_and_not_with_q(rnngen, write, command):
    arguments = arguments_of(command, write(LOG * 9))
    assert rnngen(*arguments).err == ""
    arguments.remove("-q")
    notes = [line for line in rnngen(*arguments).err.splitlines() if "carriage returns (CR) inside its lines" in line]
    assert len(notes) == 1
    assert notes[0].startswith("text.txt has ")


def test_a_lone_cr_inside_an_n_best_line_or_a_scored_line_ends_no_line(rnngen, write):
    nbest = b"0 ||| he\rllo ||| lm= 1 ||| 1\r\n0 ||| hello ||| lm= 1 ||| 1\r\n"
    found = rnngen("score", write(nbest), "--nbest", "moses", "-m", "hello", "-q")
    assert found.code == 0
    lines = found.out.split("\n")[:-1]
    assert [line.split(" ||| ")[1] for line in lines] == ["he\rllo", "hello"]
    scored = rnngen("score", write(b"he\rllo\nhello\n"), "-m", "hello", "-q", "--no-header")
    assert [line.split("\t")[-1] for line in scored.out.split("\n")[:-1]] == ["he\rllo", "hello"]


def test_training_and_scoring_agree_about_the_lines_of_one_file(rnngen, write):
    path = write(LOG * 9)
    assert rnngen("train", path, "-o", "log", *SMALL).code == 0
    scored = rnngen("score", path, "-m", "log", "--json", "-q").records
    assert len(scored) == 18
    assert {record["n_unknown"] for record in scored} == {0}
    measured = rnngen("perplexity", path, "-m", "log", "--json", "-q").records[0]
    assert measured["n_tokens"] == sum(record["n_tokens"] for record in scored) == len(LOG) * 9


def test_the_byte_order_marks_of_files_joined_by_cat_are_no_symbols_of_the_model(rnngen, write, tmp_path):
    files = b"\xef\xbb\xbfhello\r\nyellow\r\n" * 9  # cat of nine files of Windows
    for level in ("char", "word"):
        assert rnngen("train", write(files), "-o", level, "--level", level, *SMALL).code == 0
        model = library.load(level)
        assert not any("\ufeff" in model.tokenizer.token(id) for id in range(model.tokenizer.vocab_size))
    assert rnngen("score", write(files), "-m", "char", "-q").out == (
        rnngen("score", "-", "-m", "char", "-q", stdin=files.replace(b"\xef\xbb\xbf", b"")).out
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_text_typed_at_a_terminal_is_ended_by_one_ctrl_d(write, command, monkeypatch, capsys):
    keyboard, terminal = pty.openpty()
    needed: list[str] = []

    def type_another() -> None:
        needed.append("a second Ctrl-D")
        os.write(keyboard, b"\x04")

    # Where one is not enough, the test fails instead of waiting.
    later = threading.Timer(30, type_another)
    later.daemon = True
    with open(terminal) as stdin, open(keyboard, "rb", buffering=0):
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(keyboard, b"hello\nhello\n" * 5 + b"\x04")
        later.start()
        code = run(arguments_of(command, "-"))
        later.cancel()
    assert (code, needed) == (0, [])
    assert capsys.readouterr().out
