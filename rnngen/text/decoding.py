"""From bytes to the characters of a text, by the same rules for files, streams and strings.

- LF and CRLF end a line. CR alone ends a line only where the first `LF_WITHIN` characters have no LF, as in files of
  the old Mac OS. Elsewhere it is a character of its line. So a stream can be read as it arrives, and a file that is
  scored as a stream has the lines that it had in training.
- A byte order mark at the start of a line is dropped, as files have them that were joined by `cat`. Elsewhere U+FEFF is
  a character.
- A text has no NULs.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from itertools import chain

from rnngen.errors import DataError
from rnngen.text import encodings

LF_WITHIN = 1 << 20

_MARK = "\ufeff"
_MARKED_LINES = re.compile(f"\n{_MARK}+")

Say = Callable[[str], object]


def once(say: Say) -> Say:
    """A function that passes each note on one time: a text is read several times."""
    noted: set[str] = set()

    def note(text: str) -> None:
        if text not in noted:
            noted.add(text)
            say(text)

    return note


def decoded(head: bytes, pieces: Iterator[bytes], name: str, encoding: str, say: Say) -> Iterator[str]:
    """The characters of a file.

    Args:
        head: its first bytes.
        pieces: all of its bytes.
        name: of the file, in messages.
        say: takes notes.

    Raises:
        DataError: a byte cannot be decoded, or stands for no character of a text.
    """
    encodings.check_mark(head, name, encoding)
    return normalized(_characters(head, pieces, name, encoding, say), name, say)


def normalized(pieces: Iterator[str], name: str, say: Say) -> Iterator[str]:
    """Characters by the rules for line ends and byte order marks, in pieces that are not empty."""
    at_line_start = True
    for text in _with_line_breaks(pieces, name, say):
        if _MARK in text:
            text = _MARKED_LINES.sub("\n", text.lstrip(_MARK) if at_line_start else text)
        if text:
            at_line_start = text[-1] == "\n"
            yield text


def nul_error(text: str, n_before: int, name: str, advice: str) -> DataError:
    """The error for a text with a NUL, which is none.

    Args:
        n_before: characters before these.
        advice: what to do about it.
    """
    place = n_before + text.index("\0") + 1
    return DataError(f"{name} has a NUL character at character {place}: {advice}")


def _characters(head: bytes, pieces: Iterator[bytes], name: str, encoding: str, say: Say) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    controls = encodings.controls_of_cp1252(encoding)
    if encodings.looks_like_utf8(head, encoding):
        controls = None
        say(f"{name} looks like UTF-8 and is read as {encoding}: leave out --encoding if its letters come out wrong")
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    n_before = n_chars = 0
    for data in chain(pieces, [b""]):
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            place = n_before + len(data) - len(error.object) + error.start
            raise DataError(
                f"{name} is not {encoding}: byte 0x{error.object[error.start]:02X} at offset {place} cannot be "
                f"decoded; {encodings.about_bytes(head, encoding, error, not data)}"
            ) from None
        except UnicodeError as error:
            raise DataError(f"{name} is not {encoding}: {error}; {encodings.about_bytes(head, encoding)}") from None
        # In bytes it is found much faster than in a string of wide characters.
        if (b"\0" in data or not is_utf8) and "\0" in text:
            raise nul_error(text, n_chars, name, encodings.about_nuls(head, encoding))
        n_before += len(data)
        n_chars += len(text)
        if controls and (found := controls.search(text)):
            say(
                f"{name} has the control character U+{ord(found[0]):04X}, which is a letter or a quotation mark in "
                f"cp1252: if the text is from Windows, read it with --encoding cp1252"
            )
            controls = None
        if text:
            yield text


def _with_line_breaks(pieces: Iterator[str], name: str, say: Say) -> Iterator[str]:
    """The text with LF for all line ends, however the pieces are cut."""
    pieces = iter(pieces)
    cr_ends_lines = True
    held, n_chars = "", 0  # from the first CR on, and the characters before it
    for piece in pieces:
        held += piece
        if held.find("\n", 0, LF_WITHIN - n_chars) >= 0:
            cr_ends_lines = False
            break
        if n_chars + len(held) >= LF_WITHIN:
            break
        known, cr, rest = held.partition("\r")
        n_chars += len(known)
        held = cr + rest
        yield known
    translator = io.IncrementalNewlineDecoder(None, translate=True)  # in C: twice as fast as `str.replace`
    last, is_noted = "", False
    for piece in chain([held], pieces, [""]):
        text = last + piece
        last = "\r" if piece and text[-1] == "\r" else ""  # the next character may be an LF
        text = text.removesuffix(last)
        if not cr_ends_lines and "\r" not in text:
            yield text
            continue
        translated = translator.decode(text, final=True)  # no CRLF is cut here
        kinds = translator.newlines if isinstance(translator.newlines, tuple) else (translator.newlines,)
        mixed = "\r" in kinds and (len(kinds) > 1 or not cr_ends_lines)
        if mixed and not is_noted:
            say(_note(name, cr_ends_lines))
            is_noted = True
        yield text.replace("\r\n", "\n") if mixed and not cr_ends_lines else translated


def _note(name: str, cr_ends_lines: bool) -> str:
    if cr_ends_lines:
        return f"{name} has both CR and LF as line ends: each is read as a line break"
    return (
        f"{name} has carriage returns (CR) inside its lines, which end with LF: they are kept as characters; "
        "tr '\\r' '\\n' makes line ends of them"
    )
