"""Untrusted SentencePiece models: what the library gets is made of checked parts."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rnngen_corpora
from sentencepiece import SentencePieceProcessor

from rnngen.errors import TokenizerError
from rnngen.tokenizers import sentencepiece_model
from rnngen.tokenizers.subword import SubwordTokenizer

CORPUS = Path(rnngen_corpora.__file__).with_name("marrowmere.txt").read_text("utf-8")[:200_000]


@cache
def trained(subword_model: Any) -> bytes:
    text: Any = SimpleNamespace(chunks=lambda: iter([CORPUS]))
    return SubwordTokenizer.build(text, 900, subword_model).model


def loaded(model: bytes) -> Any:
    processor = SentencePieceProcessor()
    processor.LoadFromSerializedProto(model)
    return processor


def piece(text: bytes, score: float = -1.0, type: int = 1) -> bytes:
    content = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([type])
    return b"\x0a" + bytes([len(content)]) + content


@pytest.mark.parametrize("subword_model", ["unigram", "bpe"])
def test_the_clean_model_encodes_and_names_its_pieces_as_the_trained_one(subword_model: str) -> None:
    model = trained(subword_model)
    found = sentencepiece_model.read(model)
    original, clean = loaded(model), loaded(found.serialized)
    lines = CORPUS.split("\n")
    assert clean.EncodeAsIds(lines) == original.EncodeAsIds(lines)
    size = original.GetPieceSize()
    assert found.pieces == [original.IdToPiece(id) for id in range(size)]
    assert found.unk_id == original.unk_id()
    assert [type == sentencepiece_model.BYTE for type in found.types] == [original.IsByte(id) for id in range(size)]


@pytest.mark.parametrize("subword_model", ["unigram", "bpe"])
def test_cleaning_a_clean_model_changes_nothing(subword_model: str) -> None:
    clean = sentencepiece_model.read(trained(subword_model)).serialized
    assert sentencepiece_model.read(clean).serialized == clean


def test_pieces_written_in_another_way_are_read_alike() -> None:
    # The score before the text, a length in two bytes, an unknown field.
    content = b"\x15" + struct.pack("<f", -2.5) + b"\x0a\x83\x00xyz" + b"\xa0\x06\x01"
    found = sentencepiece_model.read(trained("bpe") + b"\x0a" + bytes([len(content)]) + content)
    assert found.pieces[-1] == "xyz"
    assert loaded(found.serialized).GetScore(len(found.pieces) - 1) == -2.5


@pytest.mark.parametrize(
    ("addition", "reason"),
    [
        (piece(b"the") * 2, "it has a piece twice, or an empty one"),
        (piece(b""), "it has a piece twice, or an empty one"),
        (piece(b"\xff\xfe"), "it has a piece that is not UTF-8"),
        (piece(b"\xed\xa0\x80"), "it has a piece that is not UTF-8"),
        (piece(b"a\0b"), "it has a piece with a NUL in it"),
        (piece(b"qqqq", float("nan")), "it has a score that is no number, or too large"),
        (piece(b"qqqq", float("-inf")), "it has a score that is no number, or too large"),
        (piece(b"qqqq", 0.0, 2), "it has 2 unknown pieces, and needs one"),
        (piece(b"qqqq", 0.0, 7), "it has a piece of an unknown type"),
        (piece(b"qqqq", 0.0, 6), "it has an invalid byte"),
        (b"\x0a\x7fabc", "it ends within a field"),
        (b"\x08" + b"\xff" * 11, "it has a number too long"),
        (b"\x0a\xff", "it ends within a number"),
        (b"\x0b", "it has a field of an unknown kind"),
        (b"\x08\x05", "it has a number where a part must be"),
        (b"\x12\x00", "it has its settings twice"),
    ],
)
def test_what_no_model_has_is_refused_with_the_reason(addition: bytes, reason: str) -> None:
    with pytest.raises(TokenizerError) as error:
        sentencepiece_model.read(trained("bpe") + addition)
    assert str(error.value) == f"not a SentencePiece model: {reason}"


def test_rules_that_rewrite_the_text_are_refused_and_not_dropped() -> None:
    model = trained("bpe")
    start = model.rindex(b"\x0a\x08identity")
    length = model[start - 1]
    rules = b"\x12\x03abc"
    assert model[start - 2] == 0x1A
    end = start + length
    changed = model[: start - 1] + bytes([length + len(rules)]) + model[start:end] + rules + model[end:]
    with pytest.raises(TokenizerError, match="rewrites characters: train one with identity"):
        SubwordTokenizer(changed)
