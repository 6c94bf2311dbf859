"""The bytes of a text as they arrive. What is gzip is unpacked, whatever its name; what is no text is refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

from rnngen.errors import DataError
from rnngen.storage.file_kinds import ARPA, GZIP, HEAD_BYTES, TEXT, TOKENIZER, kind_of, may_be_cut, refusal

READ_BYTES = 1 << 18  # with 1 << 20, byte ids of 100 MB took twice as long, char ids a fifth longer


def text_bytes(
    file: BinaryIO, path: str, say: Callable[[str], object] = lambda note: None
) -> tuple[bytes, Iterator[bytes]]:
    """The bytes of a text, unpacked.

    Args:
        path: `-` is standard input.
        say: takes notes.

    Returns:
        The first bytes, as many as arrived together, and all of them in pieces. The pieces raise DataError when the
        file cannot be read or unpacked to its end.

    Raises:
        DataError: the same; or the file is no text.
    """
    name = shown(path)
    head, pieces = _with_head(reads(file, name))
    if head.startswith(GZIP):
        head, pieces = _with_head(_gunzipped(pieces, name))
    elif head and path.endswith(".gz"):
        raise DataError(f"cannot read {name}: it is not a gzip file; give it a name without .gz if it is a text")
    kind = kind_of(head[:HEAD_BYTES])
    if kind is not None and not kind.is_text:
        raise DataError(refusal(kind, TEXT, path, shown=name if path == "-" else ""))
    if kind in (TOKENIZER, ARPA):
        say(f"{name} is {kind.name}, and is read as a text: {kind.use}")
    return head, pieces


def shown(path: str) -> str:
    """A text's name in messages."""
    return "standard input" if path == "-" else path


def of_file(path: str | None) -> str:
    """What a message adds to a place: ` of NAME`; nothing where the file needs no name."""
    return f" of {shown(path)}" if path else ""


def reads(file: BinaryIO, name: str) -> Iterator[bytes]:
    """What each read gives. After the end nothing is read: at a terminal that would wait for a second Ctrl-D."""
    read = getattr(file, "read1", file.read)  # `read` of a buffered file would wait for more than there is
    while True:
        try:
            data = read(READ_BYTES)
        except OSError as error:
            raise DataError(f"cannot read {name}: {error.strerror or error}") from None
        if not data:
            return
        yield data


def _with_head(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, enough to know what they are the start of, and all pieces."""
    head = b""
    for piece in pieces:
        head += piece
        if not may_be_cut(head):
            break
    return head, chain([head] if head else [], pieces)


def _gunzipped(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The content of gzip members, one after another, as `gzip -d` gives it."""
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        for piece in pieces:
            while piece:
                if member.eof:
                    piece = piece.lstrip(b"\0")  # padding, of tapes
                    if not piece:
                        break
                    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                if data := member.decompress(piece, READ_BYTES):
                    yield data
                piece = member.unused_data if member.eof else member.unconsumed_tail
        if data := member.flush():
            yield data
    except zlib.error as error:
        raise DataError(f"cannot read {name}: {error}") from None
    if not member.eof:
        raise DataError(f"cannot read {name}: its gzip data ended before the end-of-stream marker")
