"""Files, standard input and strings as one text in bounded memory.

A text is read in chunks, as many times as it is needed. Nothing here knows of tokens. `unpacking` gives the bytes,
`decoding` makes characters of them; line breaks are `\\n`.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from rnngen import work
from rnngen.errors import ConfigError, DataError, brief
from rnngen.text.decoding import Say, decoded, normalized, nul_error, once
from rnngen.text.reading import Reading
from rnngen.text.unpacking import READ_BYTES, of_file, reads, shown, text_bytes
from rnngen.tokenizers.base import Text

LONGEST_CHUNK = 1 << 18  # characters of several lines
# Characters, where lines are taken one by one: score --tokens --json holds almost a kilobyte for each. Elsewhere a
# longer line is cut at a space, or anywhere.
LONGEST_LINE = 1 << 20
_SURROGATE = re.compile("[\ud800-\udfff]")


class FileText:
    """One file, or several one after another. Each file starts on a new line.

    Every reading gives the same text or an error: the size and time of every file are compared.

    Args:
        paths: file names. `-` is standard input; gzip is decompressed, whatever its name.
        encoding: any that Python knows.
        say: takes notes on what was found while reading.

    Raises:
        DataError: a file does not exist or cannot be read; while reading, it is no text, cannot be decoded, or has
            changed since it was first opened.
        ConfigError: there is no such encoding.
    """

    def __init__(self, paths: Sequence[str], encoding: str = "utf-8", say: Say = lambda note: None) -> None:
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
        self._note = once(say)
        self._spools: dict[int, BinaryIO] = {}
        self._first_seen: dict[int, tuple[int, int]] = {}

    def chunks(self) -> Iterator[str]:
        reading = Reading(self.paths)
        return reading.follow(_cut_in_fixed_places(self._pieces(reading)), len)

    def lines(self) -> Iterator[str]:
        """Every line with its line break; an unterminated last line has none."""
        for block in self.line_blocks():
            yield from block

    def line_blocks(self) -> Iterator[list[str]]:
        """The lines, in the blocks that were read together."""
        reading = Reading(self.paths)
        return reading.follow(line_blocks_of(self._pieces(reading)), lambda lines: sum(map(len, lines)))

    def chunks_by_file(self) -> Iterator[tuple[int, str]]:
        """The chunks of each file, each with the file's place among the paths."""
        reading = Reading(self.paths)
        chunks = (
            (index, chunk)
            for index in range(len(self.paths))
            for chunk in _cut_in_fixed_places(self._pieces_of(index, reading))
        )
        return reading.follow(chunks, lambda found: len(found[1]))

    def line_blocks_by_file(self) -> Iterator[tuple[int, list[str]]]:
        """The lines of each file in the blocks that were read together, each with the file's place among the paths."""
        reading = Reading(self.paths)
        blocks = (
            (index, lines)
            for index, path in enumerate(self.paths)
            for lines in line_blocks_of(self._pieces_of(index, reading), path if len(self.paths) > 1 else None)
        )
        return reading.follow(blocks, lambda found: sum(map(len, found[1])))

    def _pieces(self, reading: Reading) -> Iterator[str]:
        for index in range(len(self.paths)):
            yield from self._pieces_of(index, reading)

    def _pieces_of(self, index: int, reading: Reading) -> Iterator[str]:
        """Of one file; where another one follows, its last line is ended."""
        path, unterminated = self.paths[index], False
        with self._open(index) as file:
            reading.opened(index, file)
            head, data = text_bytes(file, path, self._note)
            for piece in decoded(head, data, shown(path), self.encoding, self._note):
                reading.took(file, len(piece))
                unterminated = not piece.endswith("\n")
                yield piece
        self._check_same(index)
        if unterminated and index + 1 < len(self.paths):
            yield "\n"

    def _open(self, index: int) -> BinaryIO:
        path = self.paths[index]
        try:
            if path == "-":
                if sys.stdin is None:
                    raise DataError("standard input is closed: name a file")
                return self._reread(index, sys.stdin.buffer)
            self._check_same(index)
            if not os.path.isfile(path):
                # A pipe such as bash's <(command) can be read only once.
                return self._reread(index, None)
            return open(path, "rb")
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from None

    def _check_same(self, index: int) -> None:
        """Check that a file has not changed since the first call. A pipe is read once, and its content kept."""
        path = self.paths[index]
        if path == "-" or (index not in self._first_seen and not os.path.isfile(path)):
            return
        try:
            found = os.stat(path)
        except OSError:
            raise DataError(f"{path} was removed while it was read: put it back and start again") from None
        # Not the inode: some network file systems give a file another one when it is opened again.
        now = (found.st_size, found.st_mtime_ns)
        if self._first_seen.setdefault(index, now) != now:
            raise DataError(f"{path} changed while it was read: start again when nothing writes to it")

    def _reread(self, index: int, stream: BinaryIO | None) -> BinaryIO:
        if index not in self._spools:
            name = shown(self.paths[index])
            stream = stream or open(self.paths[index], "rb")  # noqa: SIM115 - of a pipe
            pieces = reads(stream, name)
            if not stream.isatty():
                pieces = work.follow(pieces, "reading", None, work.BYTES, len)
            try:
                self._spools[index] = _spool(pieces)
            except OSError as error:
                raise DataError(
                    f"cannot keep {name} in a temporary file: {error.strerror}; "
                    "set TMPDIR to a folder with room, or name a file"
                ) from None
        duplicate = os.fdopen(os.dup(self._spools[index].fileno()), "rb")
        duplicate.seek(0)
        return duplicate


def _spool(pieces: Iterator[bytes]) -> BinaryIO:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - read again and again, gone with the process
    spool.writelines(pieces)
    spool.flush()
    return spool


class StringText:
    """A string, read like a file that holds it: with the same line breaks and the same chunks.

    Args:
        say: as in `FileText`.

    Raises:
        ConfigError: it is no string.
        DataError: it holds a NUL, or a surrogate, which cannot be written as UTF-8.
    """

    def __init__(self, text: str, say: Say = lambda note: None) -> None:
        if not isinstance(text, str):
            raise ConfigError(f"text is {brief(text)}: it must be a string")
        if surrogate := _SURROGATE.search(text):
            raise DataError(
                f"the text has U+{ord(surrogate[0]):04X} at character {surrogate.start() + 1}: a surrogate is half of "
                "a character and cannot be written as UTF-8"
            )
        if "\0" in text:
            raise nul_error(text, 0, "the text", "leave it out")
        self._text = text
        self._note = once(say)

    def chunks(self) -> Iterator[str]:
        pieces = (self._text[start : start + READ_BYTES] for start in range(0, len(self._text), READ_BYTES))
        return _cut_in_fixed_places(normalized(pieces, "the text", self._note))


def _check_readable(path: str) -> None:
    if path == "-":
        return
    if os.path.isdir(path):
        raise DataError(f"{path} is a folder: name the files in it")
    if not os.path.exists(path):
        raise DataError(f"cannot read {path}: there is no such file")
    if not os.access(path, os.R_OK):
        raise DataError(f"cannot read {path}: permission denied; make it readable")


def _cut_in_fixed_places(pieces: Iterator[str]) -> Iterator[str]:
    pending: list[str] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if size > LONGEST_LINE or (size > LONGEST_CHUNK and "\n" in piece):
            text = "".join(pending)
            start = 0
            while end := _end_of_chunk(text, start):
                yield text[start:end]
                start = end
            pending = [text[start:]]
            size = len(text) - start
    text = "".join(pending)
    start = 0
    while start < len(text):
        end = _end_of_chunk(text, start) or len(text)
        yield text[start:end]
        start = end


def _end_of_chunk(text: str, start: int) -> int:
    """Where the chunk that starts at `start` ends, whatever follows the text; 0 if that depends on what follows.

    A chunk ends after the last line that ends within `LONGEST_CHUNK`, or after the first line. A line that is too long
    is cut before its last space.
    """
    if len(text) - start <= LONGEST_CHUNK:
        return 0
    # One character more, because that may be the line break.
    ended = start + LONGEST_CHUNK + 1
    end = text.rfind("\n", start, ended) + 1 or text.find("\n", ended, start + LONGEST_LINE + 1) + 1
    if end or len(text) - start <= LONGEST_LINE:
        return end
    # The space stays with the word after it, as in SentencePiece.
    return max(text.rfind(" ", start + 1, start + LONGEST_LINE), 0) or start + LONGEST_LINE


def line_blocks_of(chunks: Iterator[str], path: str | None = None) -> Iterator[list[str]]:
    """Whole lines with their line breaks, however the chunks are cut.

    Args:
        path: of the text, where an error must name it.

    Raises:
        DataError: a line is longer than `LONGEST_LINE`. It is raised before the rest of the line is read, and after
            the lines before it have been given.
    """
    parts: list[str] = []
    n_lines = n_chars = 0  # complete lines, and characters of the incomplete one
    for chunk in chunks:
        lines = [line + "\n" for line in chunk.split("\n")]
        parts.append(lines.pop()[:-1])
        if lines:
            lines[0] = "".join([*parts[:-1], lines[0]])
            del parts[:-1]
            yield from _short_enough(lines, n_lines, path)
            n_lines += len(lines)
            n_chars = 0
        n_chars += len(parts[-1])
        if n_chars > LONGEST_LINE:
            raise _too_long(n_lines + 1, path)
    if any(parts):
        yield ["".join(parts)]


def _short_enough(lines: list[str], n_before: int, path: str | None) -> Iterator[list[str]]:
    """The lines in one block. Raises DataError for one that is too long, after giving those before it."""
    if max(map(len, lines)) <= LONGEST_LINE + 1:  # with its line break
        yield lines
        return
    place = next(place for place, line in enumerate(lines) if len(line) > LONGEST_LINE + 1)
    if place:
        yield lines[:place]
    raise _too_long(n_before + place + 1, path)


def _too_long(number: int, path: str | None) -> DataError:
    return DataError(
        f"line {number}{of_file(path)} has more than {LONGEST_LINE:,} characters, too many where each line is taken as "
        "a whole: break it into shorter ones (fold -s does); perplexity --state carry, and train without --lines, take "
        "lines of any length"
    )


@dataclass(frozen=True)
class Survey:
    """Counts and the hash of a text, from one reading.

    Attributes:
        sha256: hexadecimal, of the text in UTF-8 with `\\n` line breaks.
        n_lines: lines that are not blank.
    """

    n_chars: int
    n_lines: int
    sha256: str


def survey(text: Text, name: str = "the text") -> Survey:
    """Count and hash a text. Raises DataError when it is empty, or cannot be read."""
    n_chars = n_lines = 0
    ended = True  # whether the line before this chunk is complete, or has been blank so far
    digest = hashlib.sha256()
    for chunk in text.chunks():
        n_chars += len(chunk)
        lines = chunk.split("\n")
        n_lines += sum(1 for line in lines if line.strip()) - (not ended and bool(lines[0].strip()))
        if len(lines) > 1 or ended:
            ended = not lines[-1].strip()
        digest.update(chunk.encode("utf-8", "surrogatepass"))
    if not n_chars:
        raise DataError(f"{name} is empty: there is nothing to learn from")
    return Survey(n_chars, n_lines, digest.hexdigest())
