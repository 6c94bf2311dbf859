"""What the bytes of a text suggest about its encoding, for messages. Nothing is decoded by a guess."""

from __future__ import annotations

import codecs
import re

from rnngen.errors import DataError

_MARKS = {  # the longer first, as FF FE starts both
    codecs.BOM_UTF32_LE: ("utf-32", "utf-32-le"),
    codecs.BOM_UTF32_BE: ("utf-32", "utf-32-be"),
    codecs.BOM_UTF16_LE: ("utf-16", "utf-16-le"),
    codecs.BOM_UTF16_BE: ("utf-16", "utf-16-be"),
    codecs.BOM_UTF8: ("utf-8", "utf-8-sig"),
}
_NO_MARK = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_LOOKED_AT = 1 << 12  # bytes
_LEAST_ASCII = 0.02  # of the characters of a text whose NULs tell its encoding
_FEWEST_ASCII = 3
_MOST_ACCENTS = 0.4  # of the bytes of a text in Latin letters
_CUT = ("unexpected end of data", "truncated data", "incomplete multibyte sequence")
_CONTROLS = re.compile("[\x80-\x84\x86-\x9f]")  # without U+0085, a line end of IBM
_UNUSED_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")


def check_mark(head: bytes, name: str, encoding: str) -> None:
    """Refuse an encoding that the byte order mark at the start of a file contradicts. Raises DataError."""
    for mark, fitting in _MARKS.items():
        if head.startswith(mark):
            if codecs.lookup(encoding).name not in fitting:
                convert = "" if mark == codecs.BOM_UTF8 else f", or convert it: iconv -f {fitting[0]} -t utf-8"
                raise DataError(
                    f"{name} is not {encoding}: it starts with the byte order mark of {fitting[0].upper()}; "
                    f"read it with --encoding {fitting[0]}{convert}"
                )
            return


def about_bytes(head: bytes, encoding: str, error: UnicodeDecodeError | None = None, at_end: bool = False) -> str:
    """What to do about bytes that cannot be decoded.

    Args:
        head: the first bytes of the file.
        encoding: that it was read with.
        error: names the bytes, which are in the middle of those that were read together.
        at_end: the file ends with them.
    """
    if b"\0" in head[:_LOOKED_AT] and not head.startswith(tuple(_MARKS)):
        return about_nuls(head, encoding)
    if error is None:
        return "name its encoding with --encoding"
    if at_end and error.reason in _CUT:
        return "the text was cut inside a character, as head -c does: leave out its last bytes"
    if b"\0" in error.object and error.encoding == "utf-8":
        return (
            "there are NULs near it, so a binary file may be in the text, as find . | xargs cat takes all: leave it out"
        )
    if error.encoding == "utf-8":
        if _is_mostly_utf8(error.object):
            return "the rest is UTF-8: iconv -c -f utf-8 -t utf-8 leaves out the bytes that are not"
    elif _is_utf8(head):
        return "it looks like UTF-8: leave out --encoding"
    return f"name the file's encoding with --encoding, for example {_examples(head[:_LOOKED_AT] + error.object)}"


def about_nuls(head: bytes, encoding: str) -> str:
    """What to do about a text with NULs.

    Args:
        head: the first bytes of the file.
        encoding: that it was read with.
    """
    return _utf_without_mark(head, encoding) or (
        "it is a binary file, or has another encoding (--encoding NAME); tr -d '\\000' leaves the NULs of a text out"
    )


def looks_like_utf8(head: bytes, encoding: str) -> bool:
    """Whether a text that starts with these bytes is UTF-8, and is read as something else; not for ASCII alone."""
    is_another = not codecs.lookup(encoding).name.startswith("utf")
    return is_another and not head.isascii() and _is_utf8(head)


def controls_of_cp1252(encoding: str) -> re.Pattern[str] | None:
    """What finds the control characters that a text of cp1252 gets in latin-1; None for all other encodings."""
    return _CONTROLS if codecs.lookup(encoding).name == "iso8859-1" else None


def _utf_without_mark(head: bytes, encoding: str) -> str | None:
    """Advice for a text that looks like UTF-16 or UTF-32, from its NULs: they belong to its ASCII characters."""
    head = head[:_LOOKED_AT]
    found = {candidate: _ascii_share(head, candidate) for candidate in _NO_MARK}
    likeliest = max(_NO_MARK, key=lambda candidate: found[candidate])
    if found[likeliest] < _LEAST_ASCII or codecs.lookup(encoding).name == likeliest:
        return None
    return f"it looks like {likeliest.upper()} without a byte order mark: read it with --encoding {likeliest}"


def _ascii_share(head: bytes, encoding: str) -> float:
    """The share of ASCII in the characters of a text; 0 if the bytes are no text in this encoding."""
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head)
    n_ascii = sum(map(str.isascii, text))
    return 0 if "\0" in text or "\ufffd" in text or n_ascii < _FEWEST_ASCII else n_ascii / len(text)


def _is_mostly_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8 with a few others between: they have more characters beyond ASCII than wrong bytes."""
    signs = [sign for sign in data.decode("utf-8", "surrogateescape") if sign > "\x7f" and sign != "\ufeff"]
    n_wrong = sum("\ud800" <= sign <= "\udfff" for sign in signs)
    return n_wrong < len(signs) - n_wrong


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _examples(data: bytes) -> str:
    """Encodings to try for bytes that are not UTF-8."""
    data = data.replace(codecs.BOM_UTF8, b"")
    high = [byte for byte in data if byte >= 0x80]
    if not _UNUSED_IN_CP1252.isdisjoint(high) or len(high) > _MOST_ACCENTS * len(data):
        return (
            "cp1250 for Czech or Polish, cp1251 for Russian, cp1253 for Greek, cp1256 for Arabic or Persian, "
            "gb18030 for Chinese, shift_jis for Japanese, cp850 for DOS"
        )
    if any(byte < 0xA0 for byte in high):
        return "--encoding cp1252 (cp1250 for Czech or Polish, cp1254 for Turkish)"
    return "--encoding latin-1 (iso8859-2 for Czech or Polish, iso8859-9 for Turkish)"
