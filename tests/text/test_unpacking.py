"""Files that are no plain text: gzip is read, all others are named."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnngen.errors import DataError
from rnngen.text import unpacking
from rnngen.text.corpus import FileText
from rnngen.text.streams import stream_lines
from rnngen.text.unpacking import text_bytes

TEXT = b"The bell shall ring again.\n" * 40


def zipped(*names: str, content: bytes = TEXT) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    return file.getvalue()


@pytest.mark.parametrize("read_bytes", [1, 7, 1 << 18])
def test_gzip_under_another_name_is_read_as_such_from_files_and_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_bytes: int
) -> None:
    monkeypatch.setattr(unpacking, "READ_BYTES", read_bytes)
    path = tmp_path / "text.txt"
    path.write_bytes(gzip.compress(TEXT) + b"\0" * 9 + gzip.compress(b"") + gzip.compress(b"end"))
    assert "".join(FileText([str(path)]).chunks()) == TEXT.decode() + "end"
    assert "".join(line for block in stream_lines([str(path)]) for line in block) == TEXT.decode() + "end"


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300)), st.integers(1, 40))
def test_gzip_is_unpacked_as_pythons_own_module_does_it(members: list[bytes], read_bytes: int) -> None:
    data = b"".join(map(gzip.compress, members))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpacking, "READ_BYTES", read_bytes)
        found = b"".join(unpacking._gunzipped(unpacking.reads(io.BytesIO(data), "a"), "a")) if data else b""
    assert found == gzip.decompress(data)


def test_a_little_gzip_becomes_much_text_in_bounded_pieces() -> None:
    file = io.BytesIO(gzip.compress(b"a" * 20_000_000, 9))
    _, pieces = text_bytes(file, "a.gz")
    assert max(map(len, pieces)) <= unpacking.READ_BYTES


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bz2.compress(TEXT), "is a bzip2 file, not a text: bzip2 -dc {path} unpacks it"),
        (lzma.compress(TEXT), "is an xz file, not a text: xz -dc {path} unpacks it"),
        (b"\x28\xb5\x2f\xfd\x24\x05", "is a zstd file, not a text: zstd -dc {path} unpacks it"),
        (zipped("a.txt"), "is a zip file, not a text: unzip -p {path} unpacks it"),
        (
            zipped("[Content_Types].xml", "word/document.xml"),
            "is a Word document (docx), not a text: pandoc -t plain {path}",
        ),
        (
            zipped("mimetype", content=b"application/epub+zip"),
            "is an e-book (epub), not a text: pandoc -t plain {path}",
        ),
        (
            zipped("[Content_Types].xml", "xl/workbook.xml"),
            "is a spreadsheet (xlsx), not a text: save it as text or CSV",
        ),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "is a PDF file, not a text: pdftotext {path} - makes a text of it"),
        (tar(), "is a tar file, not a text: tar -xOf {path} unpacks it"),
        (gzip.compress(tar()), "is a tar file, not a text: tar -xOf {path} unpacks it"),
        (gzip.compress(bz2.compress(TEXT)), "is a bzip2 file, not a text"),
    ],
    # Of the archives, the bytes hold the time, which would make other names each second.
    ids=["bzip2", "xz", "zstd", "zip", "docx", "epub", "xlsx", "PDF", "tar", "tar in gzip", "bzip2 in gzip"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_bzip2_xz_zip_and_their_like_are_named_with_the_command_that_unpacks_them(
    tmp_path: Path, content: bytes, said: str, encoding: str
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    message = f"{path} {said.format(path=path)}"
    for reader in (FileText([str(path)], encoding).chunks(), stream_lines([str(path)], encoding)):
        with pytest.raises(DataError) as error:
            list(reader)
        assert str(error.value).startswith(message)


def test_standard_input_is_named_without_a_path() -> None:
    with pytest.raises(DataError, match=r"^standard input is an xz file, not a text: xz -dc unpacks it$"):
        text_bytes(io.BytesIO(lzma.compress(TEXT)), "-")


def test_a_text_is_not_taken_for_something_else() -> None:
    for text in (b"PK said", b"BZh, she said", b"Rar! cried he", b"%P", b"\x1f", b"{", b"7z", b"", b"GGUF is a format"):
        head, pieces = text_bytes(io.BytesIO(text), "a.txt")
        assert b"".join(pieces) == text == head


def test_the_end_of_the_input_is_read_once() -> None:
    class Terminal(io.RawIOBase):
        def __init__(self) -> None:
            self.answers = [b"one\n", b"two\n", b""]

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            data = self.answers.pop(0)  # a read after the end fails
            buffer[: len(data)] = data
            return len(data)

    for file in (Terminal(), io.BufferedReader(Terminal())):
        _, pieces = text_bytes(file, "-")  # type: ignore[arg-type]
        assert list(pieces) == [b"one\n", b"two\n"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(TEXT)[:-3], "its gzip data ended before the end-of-stream marker"),
        (gzip.compress(TEXT) + b"more", "incorrect header check"),
        (gzip.compress(TEXT)[:-8] + b"\0" * 8, "incorrect data check"),
    ],
    ids=["truncated", "more after it", "wrong sum"],  # as above
)
def test_damaged_gzip_is_named(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"^cannot read a.gz: .*{reason}"):
        list(text_bytes(io.BytesIO(content), "a.gz")[1])
