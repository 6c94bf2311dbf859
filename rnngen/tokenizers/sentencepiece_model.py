"""Checks a SentencePiece model, and makes a new one of the parts that encoding needs.

The library reads models in C++, and a hostile model can crash it. So it gets only models that are made here.
Source: sentencepiece_model.proto of SentencePiece, in the wire format of Protocol Buffers.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from rnngen.errors import TokenizerError

MOST_MODEL_BYTES = 1 << 26
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

_UNIGRAM, _BPE = 1, 2
_LARGEST_SCORE = 1e9
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# The fields of the three messages that are read here, by their numbers.
_PIECES, _TRAINER_SPEC, _NORMALIZER_SPEC = 1, 2, 3
_PIECE, _SCORE, _TYPE = 1, 2, 3
_MODEL_TYPE, _SUFFIX_SPACE, _BYTE_FALLBACK = 3, 24, 35
_CHARSMAP, _DUMMY_PREFIX, _REMOVE_SPACES, _ESCAPE_SPACES = 2, 3, 4, 5
# A piece as SentencePiece itself writes it, in a tenth of the time that its fields one by one take.
_WRITTEN_PIECE = re.compile(rb"\x0a([\x01-\x7f])(.+)\x15(.{4})(?:\x18([\x01-\x06]))?", re.DOTALL)
_BYTE_PIECE = re.compile("<0x[0-9A-F]{2}>")

Fields = dict[int, "int | bytes"]


@dataclass(frozen=True)
class SentencePieceModel:
    """What a model holds that encoding and decoding need.

    Attributes:
        pieces: distinct, none empty; the id of a piece is its place.
        types: of the pieces, NORMAL to BYTE.
        serialized: for the library.
    """

    pieces: list[str]
    types: list[int]
    serialized: bytes

    @property
    def unk_id(self) -> int:
        return self.types.index(UNKNOWN)


def read(model: bytes) -> SentencePieceModel:
    """Parse a serialized model. Raises TokenizerError unless it is a unigram or BPE model with byte fallback."""
    try:
        return _read(model)
    except _FormError as error:
        raise TokenizerError(f"not a SentencePiece model: {error}") from None


class _FormError(Exception):
    """What is wrong with the bytes of a model."""


def _read(model: bytes) -> SentencePieceModel:
    if len(model) > MOST_MODEL_BYTES:
        raise _FormError(f"it has {len(model):,} bytes, and {MOST_MODEL_BYTES:,} is the most")
    entries: list[bytes] = []
    specs: Fields = {}
    for number, value in _fields(model):
        if number == _PIECES:
            entries.append(_bytes(value))
        elif number in (_TRAINER_SPEC, _NORMALIZER_SPEC):
            if number in specs:
                raise _FormError("it has its settings twice")
            specs[number] = value
    pieces, types, written = _pieces(entries)
    trainer = dict(_fields(_bytes(specs.get(_TRAINER_SPEC, b""))))
    normalizer = dict(_fields(_bytes(specs.get(_NORMALIZER_SPEC, b""))))
    model_type = trainer.get(_MODEL_TYPE, _UNIGRAM)
    if model_type not in (_UNIGRAM, _BPE):
        raise _FormError("it is neither unigram nor bpe")
    if "\n" not in pieces or not trainer.get(_BYTE_FALLBACK) or types.count(BYTE) != 256:
        raise TokenizerError("the SentencePiece model has no line break symbol or no byte fallback")
    if trainer.get(_SUFFIX_SPACE):
        raise TokenizerError("the SentencePiece model writes spaces as suffixes: train one that does not")
    if normalizer.get(_CHARSMAP):
        raise TokenizerError("the SentencePiece model rewrites characters: train one with identity normalization")
    flags = {number: int(bool(normalizer.get(number, 1))) for number in (_DUMMY_PREFIX, _REMOVE_SPACES, _ESCAPE_SPACES)}
    serialized = b"".join(
        [
            *written,
            _tagged(_TRAINER_SPEC, _varints({_MODEL_TYPE: int(model_type), _BYTE_FALLBACK: 1})),
            _tagged(_NORMALIZER_SPEC, _varints(flags)),
        ]
    )
    return SentencePieceModel(pieces, types, serialized)


def _pieces(entries: list[bytes]) -> tuple[list[str], list[int], list[bytes]]:
    """Texts and types of the pieces, checked, and the pieces as they are written."""
    texts, scores, types, written = [], [], [], []
    for entry in entries:
        found = _WRITTEN_PIECE.fullmatch(entry)
        if found and len(found[2]) == found[1][0] and len(entry) < 0x80:
            text, score, type = found[2], found[3], (found[4] or b"\x01")[0]
            written.append(b"\x0a%c" % len(entry) + entry)
        else:
            text, score, type = _parts(dict(_fields(entry)))
            written.append(_tagged(_PIECES, _tagged(_PIECE, text) + b"\x15" + score + _varints({_TYPE: type})))
        texts.append(text)
        scores.append(score)
        types.append(type)
    try:
        pieces = [text.decode() for text in texts]
    except UnicodeDecodeError:
        raise _FormError("it has a piece that is not UTF-8") from None
    _check_pieces(pieces, scores, types)
    return pieces, types, written


def _check_pieces(pieces: list[str], scores: list[bytes], types: list[int]) -> None:
    if len(set(pieces)) != len(pieces) or "" in pieces:
        raise _FormError("it has a piece twice, or an empty one")
    if any("\0" in piece for piece in pieces):
        raise _FormError("it has a piece with a NUL in it")
    # NaN fails every comparison.
    if not all(abs(score) < _LARGEST_SCORE for (score,) in struct.iter_unpack("<f", b"".join(scores))):
        raise _FormError("it has a score that is no number, or too large")
    if types.count(UNKNOWN) != 1:
        raise _FormError(f"it has {types.count(UNKNOWN)} unknown pieces, and needs one")
    bytes_of = {piece for piece, type in zip(pieces, types, strict=True) if type == BYTE}
    if not all(_BYTE_PIECE.fullmatch(piece) for piece in bytes_of):
        raise _FormError("it has an invalid byte")


def _parts(fields: Fields) -> tuple[bytes, bytes, int]:
    text, score, type = fields.get(_PIECE, b""), fields.get(_SCORE, bytes(4)), fields.get(_TYPE, NORMAL)
    if not isinstance(text, bytes) or not isinstance(score, bytes) or len(score) != 4:
        raise _FormError("it has a piece of another form")
    if not isinstance(type, int) or not NORMAL <= type <= BYTE:
        raise _FormError("it has a piece of an unknown type")
    return text, score, type


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: an int where the message has a varint, else its bytes."""
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            length, place = _varint(message, place)
        elif kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise _FormError("it has a field of an unknown kind")
        if length > end - place:
            raise _FormError("it ends within a field")
        yield number, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """The varint that starts at `place`, and the place after it."""
    if place < len(message) and message[place] < 0x80:
        return message[place], place + 1
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise _FormError("it ends within a number")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise _FormError("it has a number too long")


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _FormError("it has a number where a part must be")
    return value


def _tagged(number: int, content: bytes) -> bytes:
    return _written_varint(number << 3 | _BYTES) + _written_varint(len(content)) + content


def _varints(values: dict[int, int]) -> bytes:
    return b"".join(_written_varint(number << 3 | _VARINT) + _written_varint(value) for number, value in values.items())


def _written_varint(value: int) -> bytes:
    if value < 0x80:
        return bytes([value])
    return bytes([value & 0x7F | 0x80]) + _written_varint(value >> 7)
