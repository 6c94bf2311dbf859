"""Hostile texts, made at random: bytes, the suffix of the file's name, and the encoding that is claimed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from rnngen.text.unpacking import READ_BYTES

BOMB = "gzip bomb"
_MOST = 4_000  # characters of most kinds: scoring them takes a moment
# White space that is no line break for rnngen, marks, joiners, directions, controls, the ends of the planes.
_ODD = (
    "\u2028\u2029\x85\x0b\x0c\x1c\x1e\t \xa0\u3000\u0301\u20dd\u200d\ufe0f\u202e\u2066"
    "\x1b\x07\x9b\x7f\ufeff\ufffe\U0010ffff"
)
_LETTERS = "the bell Ähre 漢字 😀 ▁￭<unk>ſ'’_-.!"
_WORDS = (
    "|||",
    "RNNLM=",
    "-1.5",
    "1e999",
    "nan",
    "7",
    "99999999999999999999",
    "<s>",
    "</s>",
    "<unk>",
    "￭,",
    "９",
    "-0",
)


_ENCODINGS = ["latin-1", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp1252", "shift_jis", "gb18030", "iso2022_jp",
              "unicode_escape", "raw_unicode_escape", "utf-8-sig", "ascii", "hz"]  # fmt: skip


class HostileText(NamedTuple):
    """A hostile text."""

    kind: str
    data: bytes
    suffix: str = ".txt"
    encoding: str = "utf-8"


def hostile_text(random: Random) -> HostileText:
    """One of the kinds, as the random numbers have it."""
    return random.choice(KINDS)(random)


def _noise(random: Random) -> HostileText:
    return HostileText("random bytes", random.randbytes(random.randrange(_MOST)))


def _noise_in_an_encoding(random: Random) -> HostileText:
    encoding = random.choice(_ENCODINGS)
    return HostileText("random bytes in an encoding", random.randbytes(random.randrange(_MOST)), encoding=encoding)


def _characters(random: Random) -> str:
    source = random.choice((_ODD, _LETTERS, _ODD + _LETTERS + "\n\r"))
    return "".join(random.choices(source, k=random.randrange(1, _MOST)))


def _odd(random: Random) -> HostileText:
    return HostileText("odd characters", _characters(random).encode())


def _words(random: Random) -> HostileText:
    separator = random.choice((" ", "\t", "  ", " \n", " ||| ", "\u2028"))
    return HostileText("words of lists", separator.join(random.choices(_WORDS, k=random.randrange(1, 300))).encode())


def _nuls(random: Random) -> HostileText:
    letters = _characters(random)
    place = random.randrange(len(letters))
    return HostileText("NULs", (letters[:place] + "\0" * random.choice((1, 2, _MOST)) + letters[place:]).encode())


def _breaks(random: Random) -> HostileText:
    ending = random.choice(("\n", "\r", "\r\n", "\n\r", "\r\r\n"))
    return HostileText("line breaks only", (ending * random.choice((1, 2, 5_000))).encode())


def _carriage_returns(random: Random) -> HostileText:
    return HostileText("CR only", _characters(random).replace("\n", "\r").encode())


def _surrogates(random: Random) -> HostileText:
    letters = [*_characters(random), *"\ud800\udfff\udbff\udc00"]
    random.shuffle(letters)
    encoding = random.choice(("utf-16", "utf-16-be", "utf-7", "unicode_escape", "utf-8"))
    if encoding == "utf-7":  # its encoder joins surrogates that stand side by side
        data = "".join(letters).encode(encoding, "replace") + random.choice((b"+2AA-", b"+3AA-", b"+2AA"))
    else:
        data = "".join(letters).encode(encoding, "surrogatepass")
    return HostileText("lone surrogates", data, encoding=encoding)


def _utf16_without_mark(random: Random) -> HostileText:
    encoding = random.choice(("utf-8", "utf-16", "utf-16-le", "utf-16-be"))
    data = _characters(random).encode(random.choice(("utf-16-le", "utf-16-be")), "surrogatepass")
    return HostileText("UTF-16 without a mark", data[: len(data) - random.randrange(2)], encoding=encoding)


def _marks(random: Random) -> HostileText:
    mark = random.choice(("\u0301", "\u20dd", "\u200d", "\ufe0f", "'", "\u0e33"))
    return HostileText("marks", (random.choice(("a", "")) + mark * random.randrange(1, 5_000)).encode())


def _no_spaces(random: Random) -> HostileText:
    return HostileText("no white space", "".join(random.choices("abcé!?.漢", k=5_000)).encode())


def _broken_at_a_border(random: Random) -> HostileText:
    line = ("\u00e9" * 40 + "\n").encode()
    place = READ_BYTES + random.randrange(-4, 5)
    good = (line * (READ_BYTES // len(line) + 2))[:place]
    return HostileText("invalid at a border", good + random.choice((b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xf8")))


def _gzip(random: Random) -> HostileText:
    content = random.choice((_characters(random).encode(), b"\n" * 10_000, b"", random.randbytes(100)))
    data = gzip.compress(content) * random.choice((1, 1, 2))
    match random.randrange(5):
        case 0:
            data = data[: random.randrange(len(data))]
        case 1:
            data += random.randbytes(random.randrange(1, 30))
        case 2:
            place = random.randrange(len(data))
            data = data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
    return HostileText("gzip", data, ".gz")


def _bomb(random: Random) -> HostileText:
    return HostileText(BOMB, gzip.compress(random.choice((b"\0", b"a")) * 50_000_000, 1), ".gz")


KINDS: tuple[Callable[[Random], HostileText], ...] = (
    _noise, _noise_in_an_encoding, _odd, _words, _nuls, _breaks, _carriage_returns, _surrogates, _utf16_without_mark,
    _marks, _no_spaces, _broken_at_a_border, _gzip, _bomb,
)  # fmt: skip
