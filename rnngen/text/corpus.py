"""Files, standard input and .gz as one text in bounded memory, and its parts for training and validation.

A text is read as many times as it is needed, in chunks; nothing here knows of tokens.
Line breaks are `\\n` whatever the file has (LF, CRLF, CR); a byte order mark is dropped.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import random
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from rnngen.errors import ConfigError, DataError

READ_BYTES = 1 << 18  # with 1 << 20, byte ids of 100 MB took twice as long, char ids a fifth longer
LONGEST_CHUNK = 1 << 22  # characters; a longer line is cut at a space, or anywhere


class Text(Protocol):
    """A text that can be read again and again."""

    def chunks(self) -> Iterator[str]:
        """The text in pieces, none empty; they end after a line break wherever lines are not too long."""


class FileText:
    """One or several files, one after another. Each starts on a line of its own.

    Args:
        paths: file names; `-` is standard input, `.gz` is uncompressed.
        encoding: any that Python knows.

    Raises:
        DataError: a file is not there or cannot be read; while reading, it cannot be decoded.
        ConfigError: there is no such encoding.
    """

    def __init__(self, paths: Sequence[str], encoding: str = "utf-8") -> None:
        try:
            codecs.lookup(encoding)
            "".encode(encoding)
        except (LookupError, ValueError):
            raise ConfigError(
                f"encoding is {encoding!r}: Python knows no such text encoding; try utf-8, utf-16, latin-1 or cp1252"
            ) from None
        for path in paths:
            _check_readable(path)
        self.paths = list(paths)
        self.encoding = encoding
        self._spools: dict[int, BinaryIO] = {}

    def chunks(self) -> Iterator[str]:
        return _cut_at_line_breaks(self._pieces())

    def lines(self) -> Iterator[str]:
        """Every line with the line break that ends it; an unterminated last line has none."""
        for block in self.line_blocks():
            yield from block

    def line_blocks(self) -> Iterator[list[str]]:
        """The lines, those together that were read together."""
        return _line_blocks(self.chunks())

    def _pieces(self) -> Iterator[str]:
        unterminated = False
        for index, path in enumerate(self.paths):
            if unterminated:
                yield "\n"
                unterminated = False
            with self._open(index) as file:
                for piece in _decode(file, _shown(path), self.encoding):
                    unterminated = not piece.endswith("\n")
                    yield piece

    def _open(self, index: int) -> BinaryIO:
        path = self.paths[index]
        try:
            if path == "-":
                if sys.stdin is None:
                    raise DataError("standard input is closed: name a file")
                return self._reread(index, sys.stdin.buffer)
            if path.endswith(".gz"):
                return gzip.open(path, "rb")  # type: ignore[return-value]
            if not os.path.isfile(path):
                # A pipe such as bash's <(command) can be read only once.
                return self._reread(index, None)
            return open(path, "rb")
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from None

    def _reread(self, index: int, stream: BinaryIO | None) -> BinaryIO:
        if index not in self._spools:
            try:
                self._spools[index] = self._spool(stream or open(self.paths[index], "rb"))  # noqa: SIM115
            except OSError as error:
                raise DataError(
                    f"cannot keep {_shown(self.paths[index])} in a temporary file: {error.strerror}; "
                    "set TMPDIR to a folder with room, or name a file"
                ) from None
        duplicate = os.fdopen(os.dup(self._spools[index].fileno()), "rb")
        duplicate.seek(0)
        return duplicate

    @staticmethod
    def _spool(stream: BinaryIO) -> BinaryIO:
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - read again and again, gone with the process
        shutil.copyfileobj(stream, spool)
        spool.flush()
        return spool


def stream_lines(paths: Sequence[str], encoding: str = "utf-8") -> Iterator[list[str]]:
    """The lines of texts, read once, as they come in, those together that came together."""
    return _StreamedText(paths, encoding).line_blocks()


class _StreamedText(FileText):
    def _reread(self, index: int, stream: BinaryIO | None) -> BinaryIO:
        if stream is None:
            return open(self.paths[index], "rb")
        return os.fdopen(os.dup(stream.fileno()), "rb", buffering=0)


def _check_readable(path: str) -> None:
    if path == "-":
        return
    if os.path.isdir(path):
        raise DataError(f"{path} is a folder: name the files in it")
    if not os.path.exists(path):
        raise DataError(f"cannot read {path}: there is no such file")
    if not os.access(path, os.R_OK):
        raise DataError(f"cannot read {path}: permission denied; make it readable")


def _shown(path: str) -> str:
    return "standard input" if path == "-" else path


def _decode(file: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    offset = 0
    at_start = True
    while True:
        try:
            data = file.read1(READ_BYTES) if hasattr(file, "read1") else file.read(READ_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from None
        try:
            text = newlines.decode(data, final=not data)
        except UnicodeDecodeError as error:
            place = offset + len(data) - len(error.object) + error.start
            byte = error.object[error.start]
            raise DataError(
                f"{name} is not {encoding}: byte 0x{byte:02X} at offset {place} cannot be decoded; "
                "name the file's encoding with --encoding, for example --encoding latin-1"
            ) from None
        except UnicodeError as error:
            raise DataError(f"{name} is not {encoding}: {error}; name its encoding with --encoding") from None
        offset += len(data)
        if at_start and text:
            text = text.removeprefix("\ufeff")
            at_start = False
        if text:
            yield text
        if not data:
            return


def _cut_at_line_breaks(pieces: Iterator[str]) -> Iterator[str]:
    pending: list[str] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if "\n" in piece or size > LONGEST_CHUNK:
            text = "".join(pending)
            end = text.rfind("\n") + 1 or max(text.rfind(" "), 0) or len(text)
            yield text[:end]
            pending = [text[end:]]
            size = len(text) - end
    if size:
        yield "".join(pending)


def _line_blocks(chunks: Iterator[str]) -> Iterator[list[str]]:
    """Whole lines with their line breaks, however the chunks are cut."""
    parts: list[str] = []
    for chunk in chunks:
        lines = [line + "\n" for line in chunk.split("\n")]
        parts.append(lines.pop()[:-1])
        if lines:
            lines[0] = "".join([*parts[:-1], lines[0]])
            del parts[:-1]
            yield lines
    if any(parts):
        yield ["".join(parts)]


@dataclass(frozen=True)
class Survey:
    """What one reading of a text tells.

    Attributes:
        sha256: of the text in UTF-8 with `\\n` line breaks, in hexadecimal.
        n_lines: lines that are not blank.
    """

    n_chars: int
    n_lines: int
    sha256: str


def survey(text: Text, name: str = "the text") -> Survey:
    """Count and hash a text. Raises DataError when it is empty, or holds NUL characters as binary files do."""
    n_chars = n_lines = 0
    ended = True  # whether the line before this chunk has ended, or was blank so far
    digest = hashlib.sha256()
    for chunk in text.chunks():
        if "\0" in chunk:
            place = n_chars + chunk.index("\0")
            raise DataError(
                f"{name} has a NUL character at character {place + 1}: it is a binary file, "
                "or it has another encoding (try --encoding utf-16)"
            )
        n_chars += len(chunk)
        lines = chunk.split("\n")
        n_lines += sum(1 for line in lines if line.strip()) - (not ended and bool(lines[0].strip()))
        if len(lines) > 1 or ended:
            ended = not lines[-1].strip()
        digest.update(chunk.encode("utf-8", "surrogatepass"))
    if not n_chars:
        raise DataError(f"{name} is empty: there is nothing to learn from")
    return Survey(n_chars, n_lines, digest.hexdigest())


class Slice:
    """The characters `start` to `stop` of a text."""

    def __init__(self, text: Text, start: int, stop: int) -> None:
        self._text, self._start, self._stop = text, start, stop

    def chunks(self) -> Iterator[str]:
        position = 0
        for chunk in self._text.chunks():
            part = chunk[max(self._start - position, 0) : max(self._stop - position, 0)]
            position += len(chunk)
            if part:
                yield part
            if position >= self._stop:
                return


class ChosenLines:
    """The lines of a text whose turn (blank ones do not count) is marked; each ends in a line break."""

    def __init__(self, text: Text, marks: bytes) -> None:
        self._text, self._marks = text, marks

    def chunks(self) -> Iterator[str]:
        turn = 0
        for block in _line_blocks(self._text.chunks()):
            chosen = []
            for line in block:
                if line.strip():
                    if self._marks[turn]:
                        chosen.append(line if line.endswith("\n") else line + "\n")
                    turn += 1
            if chosen:
                yield "".join(chosen)


def split_by_characters(text: Text, found: Survey, fraction: float) -> tuple[Text, Text]:
    """The first part of a text to train on and its last `fraction`, in characters, to validate on.

    The cut is at `int((1 - fraction) * n)`, as everyone cuts tinyshakespeare. Raises DataError when a part is empty.
    """
    cut = int((1 - fraction) * found.n_chars)
    if not 0 < cut < found.n_chars:
        raise DataError(
            f"the text has {_counted(found.n_chars, 'character')}: too few to keep {fraction:.0%} for validation; "
            "give more text, or a validation text with --valid FILE"
        )
    return Slice(text, 0, cut), Slice(text, cut, found.n_chars)


def split_by_lines(text: Text, found: Survey, fraction: float, seed: int) -> tuple[Text, Text]:
    """All lines but a random `fraction` to train on, and these to validate on. Raises DataError for too few lines."""
    n_valid = round(fraction * found.n_lines) or 1
    if n_valid >= found.n_lines:
        lines = _counted(found.n_lines, "line") + (" that is" if found.n_lines == 1 else " that are")
        raise DataError(
            f"the text has {lines} not blank: too few to keep {n_valid} for validation; "
            "give more lines, or a validation text with --valid FILE"
        )
    marks = bytearray(found.n_lines)
    for turn in random.Random(seed).sample(range(found.n_lines), n_valid):
        marks[turn] = 1
    return ChosenLines(text, bytes(1 - mark for mark in marks)), ChosenLines(text, bytes(marks))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)
