"""Files, standard input, .gz and strings as one text."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnngen.errors import ConfigError, DataError
from rnngen.text import corpus, unpacking
from rnngen.text.corpus import READ_BYTES, FileText, StringText, Survey, survey
from rnngen.tokenizers.base import Text

Write = Callable[..., str]
short_lines = st.text(st.sampled_from("ab \t\né\u2028\x0b"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file and returns its path."""

    def write(content: bytes, name: str = "text") -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


def text_of(*chunks: str) -> Any:
    return SimpleNamespace(chunks=lambda: iter(chunks))


def whole(text: Text) -> str:
    return "".join(text.chunks())


# Reading


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        (b"a\nb\n", "utf-8", "a\nb\n"),
        (b"a\r\nb\r\n\r\nc", "utf-8", "a\nb\n\nc"),
        (b"a\rb\r\rc\r", "utf-8", "a\nb\n\nc\n"),
        (b"a\n\r\r\nb", "utf-8", "a\n\r\nb"),
        (b"\xef\xbb\xbfa", "utf-8", "a"),
        (b"\xef\xbb\xbfa", "utf-8-sig", "a"),
        (b"a\xef\xbb\xbfb", "utf-8", "a\ufeffb"),
        (b"\xef\xbb\xbf", "utf-8", ""),
        ("é\u2028\x85\x0c\u0301\U0001f600\t ".encode(), "utf-8", "é\u2028\x85\x0c\u0301\U0001f600\t "),
        ("é\r\nb".encode("utf-16"), "utf-16", "é\nb"),
        ("\ufeffé\U0001f600".encode("utf-16-le"), "utf-16-le", "é\U0001f600"),
        (b"caf\xe9", "latin-1", "café"),
        (b"\x93caf\xe9\x94", "cp1252", "\u201ccafé\u201d"),
        ("日本\r\n語".encode("shift_jis"), "shift_jis", "日本\n語"),
        (b"", "utf-8", ""),
    ],
)
def test_bytes_become_text_wherever_the_reads_cut_them(
    write: Write, monkeypatch: pytest.MonkeyPatch, content: bytes, encoding: str, text: str
) -> None:
    file_text = FileText([write(content), write(gzip.compress(content), "text.gz")], encoding)
    for read_bytes in (1, 2, 3, READ_BYTES):
        monkeypatch.setattr(unpacking, "READ_BYTES", read_bytes)
        assert whole(file_text) == text + ("\n" if text and not text.endswith("\n") else "") + text
        assert whole(file_text) == whole(file_text), "it can be read again"


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from("\r\n\ufeff")))
def test_line_breaks_and_marks_at_them_are_all_that_reading_changes(text: str) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\xef\xbb\xbf" + text.encode())
        file.flush()
        expected = text.replace("\r\n", "\n") if "\n" in text else text.replace("\r", "\n")
        assert whole(FileText([file.name])) == re.sub("^\ufeff+|(?<=\n)\ufeff+", "", expected)


def test_characters_and_line_breaks_that_a_read_boundary_cuts_stay_whole(write: Write) -> None:
    line = "x" * (READ_BYTES - 1)
    assert whole(FileText([write((line + "\r\n" + line[:-1] + "é").encode())])) == line + "\n" + line[:-1] + "é"


def test_several_files_are_one_text_and_each_starts_on_its_own_line(write: Write) -> None:
    paths = [
        write(b"one", "1"),
        write(b"", "2"),
        write(b"\xef\xbb\xbftwo\r", "3"),
        write(gzip.compress(b"three\n") + gzip.compress(b"four"), "4.gz"),
        write(b"five\n", "5"),
    ]
    assert whole(FileText(paths)) == "one\ntwo\nthree\nfour\nfive\n"


NAME_IT = "name the file's encoding with --encoding, for example "
LATIN = NAME_IT + "--encoding latin-1 (iso8859-2 for Czech or Polish, iso8859-9 for Turkish)"
OTHERS = (
    NAME_IT + "cp1250 for Czech or Polish, cp1251 for Russian, cp1253 for Greek, cp1256 for Arabic or Persian, "
    "gb18030 for Chinese, shift_jis for Japanese, cp850 for DOS"
)
WINDOWS = NAME_IT + "--encoding cp1252 (cp1250 for Czech or Polish, cp1254 for Turkish)"
WAS_CUT = "the text was cut inside a character, as head -c does: leave out its last bytes"


@pytest.mark.parametrize("name", ["text", "text.gz"])
@pytest.mark.parametrize(
    ("content", "encoding", "byte", "offset", "advice"),
    [
        (b"abc\xff", "utf-8", "0xFF", 3, LATIN),
        (b"\xef\xbb\xbfab\r\n\xe9t\xe9", "utf-8", "0xE9", 7, LATIN),
        (b"a\r\nb\xc3", "utf-8", "0xC3", 4, WAS_CUT),
        (b"x" * (READ_BYTES - 1) + b"\xff", "utf-8", "0xFF", READ_BYTES - 1, LATIN),
        (b"x" * READ_BYTES + b"\xff", "utf-8", "0xFF", READ_BYTES, LATIN),
        (b"x" * (READ_BYTES - 1) + b"\xc3(", "utf-8", "0xC3", READ_BYTES - 1, LATIN),
        (b"x" * (READ_BYTES - 2) + b"\r\xe2\x82(", "utf-8", "0xE2", READ_BYTES - 1, WINDOWS),
        (b"x" * (READ_BYTES - 1) + b"\xe2\x82", "utf-8", "0xE2", READ_BYTES - 1, WAS_CUT),
        (b"abc\x80", "ascii", "0x80", 3, WINDOWS),
        ("ab".encode("utf-16") + b"\x00", "utf-16", "0x00", 6, WAS_CUT),
        (b"abcdef\x81\xff", "shift_jis", "0x81", 6, OTHERS),
    ],
)
def test_undecodable_bytes_are_named_with_file_offset_and_remedy(
    write: Write, content: bytes, encoding: str, byte: str, offset: int, advice: str, name: str
) -> None:
    path = write(gzip.compress(content, 1) if name.endswith(".gz") else content, name)
    with pytest.raises(DataError) as error:
        whole(FileText([path], encoding))
    assert str(error.value) == (f"{path} is not {encoding}: byte {byte} at offset {offset} cannot be decoded; {advice}")


def test_utf16_without_a_byte_order_mark_is_refused_with_a_remedy(write: Write) -> None:
    path = write(b"abcd")
    with pytest.raises(DataError, match=f"^{path} is not utf-16: .*BOM.*; name its encoding with --encoding$"):
        whole(FileText([path], "utf-16"))


@pytest.mark.parametrize("encoding", ["utf-9", "", "rot13", "hex", "undefined", "a\0b"])
def test_an_encoding_that_python_does_not_know_is_refused_before_reading(encoding: str) -> None:
    with pytest.raises(ConfigError) as error:
        FileText([], encoding)
    assert str(error.value) == (
        f"encoding is {encoding!r}: Python knows no such text encoding; try utf-8, utf-16, latin-1 or cp1252"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone", "cannot read {path}: there is no such file"), ("", "{path} is a folder: name the files in it")],
    ids=["missing", "folder"],
)
def test_a_file_that_cannot_be_read_is_named_before_any_work(tmp_path: Path, name: str, message: str) -> None:
    path = str(tmp_path / name)
    with pytest.raises(DataError) as error:
        FileText([path])
    assert str(error.value) == message.format(path=path)


def test_a_file_without_permission_is_named(as_ordinary_user: Any, shared_path: Path) -> None:
    path = shared_path / "text"
    path.touch(mode=0)

    def read() -> None:
        with pytest.raises(DataError, match=f"^cannot read {path}: permission denied; make it readable$"):
            FileText([str(path)])

    as_ordinary_user(read)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not compressed", "not a gzip file; give it a name without .gz if it is a text"),
        (gzip.compress(b"some text")[:-9], "ended before the end-of-stream marker"),
        (gzip.compress(b"some text" * 9)[:10] + b"\xff" * 40, "decompressing"),
    ],
    ids=["not gzip", "truncated", "broken"],
)
def test_a_broken_gz_file_is_named_with_the_reason(write: Write, content: bytes, reason: str) -> None:
    path = write(content, "text.gz")
    with pytest.raises(DataError, match=f"^cannot read {path}: .*{reason}"):
        whole(FileText([path]))


def test_standard_input_can_be_read_again_and_stands_where_the_dash_is(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbftwo\r\nthree")))
    text = FileText([write(b"one", "1"), "-", write(b"four", "4")])
    assert whole(text) == whole(text) == "one\ntwo\nthree\nfour"


def test_undecodable_standard_input_is_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff")))
    with pytest.raises(DataError, match=r"^standard input is not utf-8: byte 0xFF at offset 2 cannot be decoded; "):
        whole(FileText(["-"]))


def test_without_room_for_standard_input_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one")))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"standard input.*TMPDIR"):
        whole(FileText(["-"]))


@pytest.mark.parametrize("read", ["list(FileText(['-']).chunks())", "list(stream_lines(['-']))"])
def test_a_closed_standard_input_is_an_error_of_the_user(read: str) -> None:
    names = "from rnngen.errors import DataError\nfrom rnngen.text.streams import FileText, stream_lines\n"
    script = f"{names}try:\n    {read}\nexcept DataError as error:\n    print(error)"
    command = 'exec "$0" -c "$1" <&-'
    found = subprocess.run(["sh", "-c", command, sys.executable, script], capture_output=True, text=True, timeout=60)
    assert "standard input" in found.stdout, found.stderr


def test_a_named_pipe_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"one\r\ntwo",), daemon=True)
    writer.start()
    text = FileText([str(path)])
    assert whole(text) == whole(text) == "one\ntwo"
    writer.join()


# Files that change


def test_a_file_that_is_removed_while_it_is_looked_at_is_said_to_be_removed(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(b"one\n")
    text = FileText([path])
    os.unlink(path)
    monkeypatch.setattr(os.path, "isfile", lambda path: True)  # as it was a moment before
    with pytest.raises(DataError, match=f"^{path} was removed while it was read: put it back and start again$"):
        whole(text)


@pytest.mark.parametrize("name", ["text.txt", "text.gz"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes() * 2), "changed while it was read: start again when nothing "),
        (lambda path: os.utime(path, (1, 1)), "changed while it was read: start again when nothing writes to it"),
        (lambda path: path.unlink(), "was removed while it was read: put it back and start again"),
    ],
    ids=["grown", "written", "removed"],
)
@pytest.mark.parametrize("between", [True, False], ids=["between two readings", "during one"])
def test_a_file_that_changes_while_it_is_read_is_noticed(
    write: Write, name: str, change: Callable[[Path], None], message: str, between: bool
) -> None:
    content = b"to be\n" * READ_BYTES
    path = write(gzip.compress(content) if name.endswith("gz") else content, name)
    text = FileText([path])
    chunks = text.chunks()
    assert next(chunks)
    if between:
        list(chunks)
    change(Path(path))
    with pytest.raises(DataError, match=f"^{path} {message}"):
        list(text.chunks() if between else chunks)


# Chunks and lines


@settings(deadline=None)
@given(short_lines, st.integers(1, 9), st.integers(1, 12), st.integers(0, 12))
def test_chunks_end_at_line_breaks_unless_lines_are_long(text: str, read_bytes: int, longest: int, more: int) -> None:
    with tempfile.NamedTemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        file.write(text.encode())
        file.flush()
        patch.setattr(unpacking, "READ_BYTES", read_bytes)
        patch.setattr(corpus, "LONGEST_CHUNK", longest)
        patch.setattr(corpus, "LONGEST_LINE", longest + more)
        chunks = list(FileText([file.name]).chunks())
        assert "".join(chunks) == text
        assert "" not in chunks
        if max(map(len, text.split("\n"))) <= longest + more:
            assert all(chunk.endswith("\n") for chunk in chunks[:-1])
        assert all(len(chunk) <= longest + more + 1 for chunk in chunks)
        assert all(len(chunk) <= longest + 1 for chunk in chunks if "\n" in chunk[:-1])
        patch.setattr(unpacking, "READ_BYTES", 100)
        assert list(FileText([file.name]).chunks()) == chunks


@settings(deadline=None)
@given(short_lines, st.integers(1, 9))
def test_lines_are_those_of_the_text_wherever_the_reads_cut_them(text: str, read_bytes: int) -> None:
    with tempfile.NamedTemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        file.write(text.encode())
        file.flush()
        patch.setattr(unpacking, "READ_BYTES", read_bytes)
        assert list(FileText([file.name]).lines()) == io.StringIO(text, newline="\n").readlines()


@pytest.mark.parametrize("read_bytes", [1, 4, 100])
@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("to be or not to be\nthat is", ["to be or", " not to", " be\n", "that is"]),
        ("tobeornottobe\n\nthat", ["tobeornot", "tobe\n\n", "that"]),
        ("a\nb\nc\nd\ne\n", ["a\nb\nc\n", "d\ne\n"]),
        ("a\ntobeorno\nb", ["a\n", "tobeorno\n", "b"]),
        (" tobeornot be", [" tobeorno", "t be"]),
        ("tobeornot\nbe", ["tobeornot\n", "be"]),
    ],
)
def test_a_line_is_cut_in_the_same_places_however_it_is_read(
    write: Write, monkeypatch: pytest.MonkeyPatch, text: str, chunks: list[str], read_bytes: int
) -> None:
    monkeypatch.setattr(corpus, "LONGEST_CHUNK", 6)
    monkeypatch.setattr(corpus, "LONGEST_LINE", 9)
    monkeypatch.setattr(unpacking, "READ_BYTES", read_bytes)
    assert list(FileText([write(text.encode())]).chunks()) == chunks


# Survey and split


def test_a_survey_counts_characters_and_lines_that_are_not_blank_and_hashes_the_text(write: Write) -> None:
    found = survey(FileText([write(b"\xef\xbb\xbfone\r\n\r\n \t\r\ntwo\n\xc3\xa9")]))
    text = "one\n\n \t\ntwo\né"
    assert found == Survey(len(text), 3, hashlib.sha256(text.encode()).hexdigest())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the text is empty: there is nothing to learn from"),
        (b"\xef\xbb\xbf", "the text is empty: there is nothing to learn from"),
    ],
    ids=["empty", "byte order mark only"],
)
def test_a_text_that_cannot_teach_is_refused(write: Write, content: bytes, message: str) -> None:
    with pytest.raises(DataError) as error:
        survey(FileText([write(content)]))
    assert str(error.value) == message


# A string


@settings(deadline=None)
@given(content=st.text(st.sampled_from("ab\r\n\ufeff\u2028é 😀")), read_chars=st.integers(1, 9))
def test_a_string_gives_the_chunks_of_a_file_that_holds_it(
    tmp_path_factory: pytest.TempPathFactory, content: str, read_chars: int
) -> None:
    path = tmp_path_factory.mktemp("string") / "text"
    path.write_bytes(content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "LONGEST_CHUNK", 5)
        patch.setattr(corpus, "LONGEST_LINE", 12)
        expected = list(FileText([str(path)]).chunks())
        patch.setattr(corpus, "READ_BYTES", read_chars)
        assert list(StringText(content).chunks()) == expected


def test_a_string_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(DataError, match=r"^the text has U\+D800 at character 3: a surrogate is half of a character"):
        StringText("ab\ud800")


# Lines that are too long


@pytest.mark.parametrize("before", ["", "a\nb\n"])
def test_a_line_that_is_too_long_is_refused_after_the_lines_before_it(
    write: Write, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr(corpus, "LONGEST_LINE", 10)
    blocks = FileText([write((before + "c" * 11 + "\nd\n").encode())]).line_blocks()
    given: list[str] = []
    with pytest.raises(DataError, match=f"line {1 + before.count(chr(10))} has more than 10 characters"):
        given.extend(itertools.chain.from_iterable(blocks))
    assert "".join(given) == before


def test_lines_of_the_greatest_length_are_given_whole(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "LONGEST_LINE", 10)
    text = "\n".join(["c" * 10] * 3)
    assert "".join(FileText([write(text.encode())]).lines()) == text


def test_a_line_without_an_end_is_refused_before_it_is_read() -> None:
    n_read = 0

    def chunks() -> Iterator[str]:
        nonlocal n_read
        while True:
            n_read += 1
            yield "x" * (1 << 18)

    with pytest.raises(DataError, match="line 1 has more than"):
        list(corpus.line_blocks_of(chunks()))
    assert n_read <= corpus.LONGEST_LINE // (1 << 18) + 1
