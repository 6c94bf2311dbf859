"""Damage to safetensors files that knows their structure: header, records, arrays, and SentencePiece models in them."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from faults.fuzz_mutations import ODD_JSON, ODD_TEXTS, ODD_VALUES, damaged, damaged_json, damaged_value

_METADATA = "__metadata__"
_SENTENCEPIECE = "tokenizer.sentencepiece"
_VOCABULARIES = (_SENTENCEPIECE, "tokenizer.characters", "tokenizer.words")
_ODD_FLOATS = tuple(map(float, ("nan", "inf", "-inf", "3e38", "-3e38", "1e-45", "-0.0")))
_ODD_WHOLE = (0, 1, -1, 2, 254, 255, 256, 1 << 31, 1 << 62, -(1 << 63))
_DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "X", "")

Parts = tuple[dict[str, Any], bytearray]


def damaged_file(random: Random, content: bytes) -> bytes:
    """A safetensors file that is damaged in one way; in some of them it is still right."""
    if random.random() < 0.25:
        return damaged(random, content)
    header, data = _taken_apart(content)
    damage: Callable[[Random, dict[str, Any], bytearray], bytes] = random.choice(
        [_lying_entry, _swapped_entries, _other_names, _odd_header, _odd_numbers, _odd_vocabulary, *[_odd_record] * 6]
    )
    return damage(random, header, data)


def _taken_apart(content: bytes) -> Parts:
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])


def _joined(header: Any, data: bytes | bytearray, written: str | None = None) -> bytes:
    text = (written if written is not None else json.dumps(header)).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + data


def _arrays(header: dict[str, Any]) -> list[str]:
    return sorted(set(header) - {_METADATA})


def _lying_entry(random: Random, header: dict[str, Any], data: bytearray) -> bytes:
    entry = header[random.choice(_arrays(header))]
    match random.randrange(6):
        case 0:
            entry["dtype"] = random.choice(_DTYPES)
        case 1:
            place = random.randrange(len(entry["shape"]) or 1)
            entry["shape"][place : place + 1] = [
                random.choice((0, 1, -1, 7, 1 << 40, 1 << 62, 1 << 63, 0.5, True, "3"))
            ]
        case 2:
            entry["shape"] = random.choice((entry["shape"][::-1], [math.prod(entry["shape"])], [0, 1 << 61], [1] * 40))
        case 3:
            entry["data_offsets"][random.randrange(2)] += random.choice(
                (1, -1, 4, -4, 4096, 1 << 40, 1 << 63, -(1 << 63))
            )
        case 4:
            entry["data_offsets"] = random.choice(([0, len(data)], [0, 0], entry["data_offsets"][::-1], [], [0], None))
        case _:
            return _joined(damaged_value(random, header), data)
    return _joined(header, data)


def _swapped_entries(random: Random, header: dict[str, Any], data: bytearray) -> bytes:
    first, second = (random.choice(_arrays(header)) for _ in range(2))
    part = random.choice(("data_offsets", "shape", "dtype"))
    header[first][part], header[second][part] = header[second][part], header[first][part]
    return _joined(header, data)


def _other_names(random: Random, header: dict[str, Any], data: bytearray) -> bytes:
    name = random.choice(_arrays(header))
    match random.randrange(4):
        case 0:
            header[random.choice((*ODD_TEXTS, _METADATA, "rnn.weight_ih_l99"))] = header.pop(name)
        case 1:
            header[random.choice(ODD_TEXTS)] = {"dtype": "F32", "shape": [0], "data_offsets": [len(data)] * 2}
        case 2:
            written = json.dumps({name: header[name]})[:-1] + ", " + json.dumps(header)[1:]  # the name twice
            return _joined(header, data, written)
        case _:
            del header[name]
    return _joined(header, data)


def _odd_header(random: Random, header: dict[str, Any], data: bytearray) -> bytes:
    match random.randrange(4):
        case 0:
            return _joined(header, data, random.choice(ODD_JSON))
        case 1:
            header[_METADATA] = random.choice(ODD_VALUES)
        case 2:
            header[_METADATA][random.choice(sorted(header[_METADATA]))] = random.choice(ODD_VALUES)
        case _:
            header.update({f"x{turn}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for turn in range(3000)})
    return _joined(header, data)


def _odd_numbers(random: Random, header: dict[str, Any], data: bytearray) -> bytes:
    entry = header[random.choice(_arrays(header))]
    start, end = entry["data_offsets"]
    size, form = {"F32": (4, "<f"), "F64": (8, "<d"), "I64": (8, "<q")}.get(entry["dtype"], (1, "<B"))
    for _ in range(random.choice((1, 1, 5, 100))):
        place = start + size * random.randrange(max((end - start) // size, 1))
        if place + size <= end:
            odd = {1: range(256), 4: _ODD_FLOATS, 8: _ODD_WHOLE if form == "<q" else _ODD_FLOATS}[size]
            data[place : place + size] = struct.pack(form, random.choice(odd))
    return _joined(header, data)


def _odd_record(random: Random, header: dict[str, Any], data: bytearray) -> bytes:
    records = header[_METADATA]
    key = random.choice([name for name in sorted(records) if name not in ("format", "format_version")])
    records[key] = damaged_json(random, records[key])
    return _joined(header, data)


def _odd_vocabulary(random: Random, header: dict[str, Any], data: bytearray) -> bytes:
    found = [name for name in _VOCABULARIES if name in header]
    if not found:
        return _odd_record(random, header, data)
    start, end = header[found[0]]["data_offsets"]
    damage = _damaged_model if found[0] == _SENTENCEPIECE else _damaged_symbols
    vocabulary = damage(random, bytes(data[start:end]))
    data[start:end] = vocabulary
    # The file is right again around the vocabulary, whose own damage is to be found.
    header[found[0]]["shape"] = [len(vocabulary)]
    for name in _arrays(header):
        offsets = header[name]["data_offsets"]
        header[name]["data_offsets"] = [at + (len(vocabulary) - (end - start)) * (at >= end) for at in offsets]
    if random.random() < 0.2:  # under the name of another level
        header[random.choice(_VOCABULARIES)] = header.pop(found[0])
    return _joined(header, data)


def _damaged_symbols(random: Random, symbols: bytes) -> bytes:
    """Characters or words, as many as before if possible, so that their number does not tell."""
    if random.random() < 0.5:
        return damaged(random, symbols)
    signs = list(symbols.decode("utf-8", "surrogatepass"))
    for _ in range(random.choice((1, 2, 5))):
        signs[random.randrange(len(signs))] = random.choice((*signs, *" \0\x1b\ud800\u2028\n\u0301"))
    return "".join(signs).encode("utf-8", "surrogatepass")


def _damaged_model(random: Random, model: bytes) -> bytes:
    if random.random() < 0.3:
        return damaged(random, model)
    pieces = _messages(model)
    place = random.randrange(len(pieces))
    text, _, rest = pieces[place][4:].partition(b"\x15")
    match random.randrange(6):
        case 0:
            pieces[place : place + 1] = [pieces[place]] * random.choice((0, 2, 3))
        case 1:
            pieces[place] = pieces[random.randrange(len(pieces))]
        case 2:
            random.shuffle(pieces)
        case 3:
            pieces[place] = _message(random.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")[:100], b"\x15" + rest)
        case 4:
            score = struct.pack("<f", random.choice(_ODD_FLOATS))
            pieces[place] = _message(text, b"\x15" + score + rest[4:])
        case _:
            pieces[place] = _message(text, b"\x15" + rest[:4] + b"\x18" + bytes([random.randrange(9)]))
    return b"".join(pieces)


def _messages(model: bytes) -> list[bytes]:
    """The fields of a model, each with its tag; lengths below 128 take one byte, and others are cut in two."""
    found, place = [], 0
    while place < len(model):
        end = place + 2 + (model[place + 1] if place + 1 < len(model) else 0)
        found.append(model[place:end])
        place = end
    return found


def _message(text: bytes, rest: bytes) -> bytes:
    piece = b"\x0a" + bytes([len(text) & 0x7F]) + text + rest
    return b"\x0a" + bytes([len(piece) & 0x7F]) + piece
