"""Line ends, byte order marks and NULs: one rule for files, streams and strings."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnngen.errors import DataError
from rnngen.text import decoding, unpacking
from rnngen.text.corpus import FileText, StringText
from rnngen.text.decoding import normalized
from rnngen.text.streams import stream_lines

INSIDE = "carriage returns (CR) inside its lines"
BOTH = "both CR and LF as line ends"


def read(text: str, notes: list[str] | None = None) -> str:
    say: Callable[[str], object] = (lambda note: None) if notes is None else notes.append
    return "".join(normalized(iter([text]), "a.txt", say))


@pytest.mark.parametrize(
    ("text", "lines", "note"),
    [
        ("0 ||| a\rb ||| c\n", "0 ||| a\rb ||| c\n", INSIDE),
        ("10 %\r100 %\ndone\n", "10 %\r100 %\ndone\n", INSIDE),
        ("a\r\nb\rc\r\n", "a\nb\rc\n", INSIDE),
        ("a\r\r\n", "a\r\n", INSIDE),
        ("a\nb\r", "a\nb\r", INSIDE),
        ("one\rtwo\rthree", "one\ntwo\nthree", None),
        ("one\rtwo\r", "one\ntwo\n", None),
        ("\r", "\n", None),
        ("a\r\nb\r\n", "a\nb\n", None),
        ("a\nb", "a\nb", None),
        ("a", "a", None),
    ],
)
def test_only_lf_and_crlf_end_lines_of_a_text_that_has_lfs_and_a_file_of_crs_alone_stays_readable(
    text: str, lines: str, note: str | None
) -> None:
    notes: list[str] = []
    assert read(text, notes) == lines
    assert len(notes) == (note is not None)
    assert all(note in found and found.startswith("a.txt has ") for found in notes if note)


def test_a_text_without_lf_in_its_first_million_characters_has_cr_as_line_end_and_is_noted_when_lf_comes() -> None:
    notes: list[str] = []
    start = "x" * 99 + "\r"
    many = start * (decoding.LF_WITHIN // 100 + 1)
    assert read(many + "a\nb\r\nc", notes) == many.replace("\r", "\n") + "a\nb\nc"
    assert [BOTH in note for note in notes] == [True]
    assert read(many[: decoding.LF_WITHIN - 2] + "\n" + many).count("\n") == 1


@settings(deadline=None)
@given(st.text(st.sampled_from("ab\r\n\ufeff"), max_size=40), st.integers(1, 30), st.integers(0, 9))
def test_a_text_is_the_same_however_it_arrives(text: str, lf_within: int, seed: int) -> None:
    cuts = sorted(random.Random(seed).choices(range(len(text) + 1), k=5))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if start < end]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "LF_WITHIN", lf_within)
        whole, cut = [], []
        assert "".join(normalized(iter(pieces), "a", cut.append)) == "".join(
            normalized(iter([text]), "a", whole.append)
        )
        assert cut == whole


def test_a_stream_and_a_file_have_the_same_lines_and_the_note_comes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "READ_BYTES", 3)
    path = tmp_path / "log"
    path.write_bytes(b"\xef\xbb\xbf1 %\r2 %\rdone\nend\r\n")
    notes: list[str] = []
    text = FileText([str(path)], say=notes.append)
    lines = ["1 %\r2 %\rdone\n", "end\n"]
    assert [line for block in stream_lines([str(path)]) for line in block] == lines
    assert list(text.lines()) == list(text.lines()) == lines
    assert list(StringText("\ufeff1 %\r2 %\rdone\nend\r\n").chunks()) == ["".join(lines)]
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffone\n\ufefftwo\n", "one\ntwo\n"),
        ("\ufeffone\r\n\ufefftwo\r\n", "one\ntwo\n"),
        ("one\r\ufefftwo", "one\ntwo"),
        ("\ufeff\ufeffone\n\ufeff\ufeff\n\ufeff", "one\n\n"),
        ("o\ufeffne \ufeff\n", "o\ufeffne \ufeff\n"),
    ],
    ids=["LF", "CRLF", "CR", "empty files", "inside a line"],
)
def test_a_byte_order_mark_in_the_middle_of_cat_a_b_is_dropped_and_inside_a_line_it_is_a_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    path = tmp_path / "text"
    for encoding in ("utf-8", "utf-16-le", "gb18030"):
        path.write_bytes(text.encode(encoding))
        for read_bytes in (1, 2, 5, 100):
            monkeypatch.setattr(unpacking, "READ_BYTES", read_bytes)
            assert "".join(FileText([str(path)], encoding).chunks()) == expected
            assert "".join(line for block in stream_lines([str(path)], encoding) for line in block) == expected
    assert "".join(StringText(text).chunks()) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "utf-7"])
def test_a_text_with_nuls_is_refused_by_whatever_reads_it(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "text"
    path.write_bytes("ab\nc\0d".encode(encoding))
    message = r"text has a NUL character at character 5: it is a binary file, or has another encoding"
    for reader in (FileText([str(path)], encoding).chunks(), stream_lines([str(path)], encoding)):
        with pytest.raises(DataError, match=message):
            list(reader)
    with pytest.raises(DataError, match=r"^the text has a NUL character at character 5: leave it out$"):
        StringText("ab\nc\0d")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp1251", "gb18030"])
def test_utf_8_that_is_read_as_something_else_is_noted(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "text"
    notes: list[str] = []
    path.write_bytes("Ñandú, année\n".encode())
    list(FileText([str(path)], encoding, notes.append).chunks())
    assert [f"looks like UTF-8 and is read as {encoding}" in note for note in notes] == [True]
    for content in (b"ASCII\n", "§ 12\n".encode(encoding)):
        path.write_bytes(content)
        list(FileText([str(path)], encoding, notes.append).chunks())
    assert len(notes) == 1


def test_a_text_of_cp1252_that_is_read_as_latin_1_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\x93caf\xe9\x94\n" * 2)
    notes: list[str] = []
    assert "".join(FileText([str(path)], "latin-1", notes.append).chunks()) == "\x93caf\xe9\x94\n" * 2
    assert len(notes) == 1
    assert "U+0093" in notes[0]
    assert "--encoding cp1252" in notes[0]
