"""Building, saving and loading tokenizers, and what becomes of unknown symbols."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnngen.config import TokenizerConfig
from rnngen.errors import TokenizerError
from rnngen.tokenizers import base as tokenizers
from rnngen.tokenizers.base import Encoded, Tokenizer, encode_known
from rnngen.tokenizers.char import CharTokenizer
from rnngen.tokenizers.symbols import Unknown
from rnngen.tokenizers.word import WordTokenizer

TEXT = "to be, or not to be:\n\tthat is the question\u0301 \U0001f600\n" * 9
CONFIGS = {
    "char": TokenizerConfig("char"),
    "byte": TokenizerConfig("byte"),
    "word": TokenizerConfig("word"),
    "split word": TokenizerConfig("word", split="whitespace"),
    "unigram": TokenizerConfig("subword"),
    "bpe": TokenizerConfig("subword", subword_model="bpe"),
}


@cache
def build(config: TokenizerConfig) -> Tokenizer:
    text: Any = SimpleNamespace(chunks=lambda: iter([TEXT]))
    return tokenizers.build(config, text)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_loaded_tokenizer_is_the_saved_one(tmp_path: Path, config: TokenizerConfig) -> None:
    tokenizer = build(config)
    tokenizers.save(tokenizer, tmp_path / "tokenizer.json")
    loaded = tokenizers.load(tmp_path / "tokenizer.json")
    assert type(loaded) is type(tokenizer)
    assert loaded.to_dict() == tokenizer.to_dict()
    assert loaded.level == config.level
    assert loaded.encode(TEXT + "new ♜").tolist() == tokenizer.encode(TEXT + "new ♜").tolist()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_line_break_is_one_token_at_every_level(config: TokenizerConfig) -> None:
    tokenizer = build(config)
    assert tokenizer.encode("\n").tolist() == [tokenizer.newline_id]
    assert tokenizer.encode(TEXT).tolist().count(tokenizer.newline_id) == TEXT.count("\n")
    assert tokenizer.token(tokenizer.newline_id) == tokenizer.decode([tokenizer.newline_id]) == "\n"


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@settings(deadline=None)
@given(st.text(st.characters() | st.sampled_from("to be,\t\n\x1c\u2581\u3000\u0301\ufeff\U0001f600♜")))
def test_each_id_has_a_span_and_spans_run_on_through_the_text(config: TokenizerConfig, text: str) -> None:
    tokenizer = build(config)
    ids, spans = tokenizer.encode(text), tokenizer.spans(text)
    assert spans.dtype == np.int64
    assert spans.shape == (len(ids), 2)
    assert (spans[:, 0] < spans[:, 1]).all()
    assert (np.diff(spans, axis=0) >= 0).all()
    surfaces = [text[start:end] for start, end in spans.tolist()]
    assert [place for place, id in enumerate(ids.tolist()) if id == tokenizer.newline_id] == [
        place for place, surface in enumerate(surfaces) if surface == "\n"
    ]
    covered = {place for start, end in spans.tolist() for place in range(start, end)}
    assert all(text[place].isspace() for place in set(range(len(text))) - covered)


def test_the_settings_reach_the_tokenizer() -> None:
    assert build(TokenizerConfig("char", vocab_size=5)).vocab_size == 5
    assert build(TokenizerConfig("char", min_count=45)).to_dict()["characters"] == " ot"
    assert build(TokenizerConfig("word", min_count=10)).to_dict()["words"] == ["be", "to"]
    assert build(TokenizerConfig("word", vocab_size=4, split="whitespace")).to_dict()["words"] == ["to", "be,"]
    assert build(TokenizerConfig("subword", vocab_size=280, subword_model="bpe")).vocab_size == 280


def content(**changes: object) -> bytes:
    whole: dict[str, object] = {"format": "rnngen-tokenizer", "format_version": 1, "level": "byte"}
    return json.dumps(whole | changes).encode()


NOT_ONE = "{path} is not a tokenizer file: make one with rnngen tokenize --save"
NO_LEVEL = "{path}: it describes no tokenizer of level char, byte, word or subword"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", NOT_ONE),
        (b"\x00\xff\xfe binary", NOT_ONE),
        (b"[1, 2]", NOT_ONE),
        (b'{"version": "1.0"}', NOT_ONE),
        (b"[" * 100_000, NOT_ONE),
        (content()[:-1], NOT_ONE),
        (content(format_version=2), "{path} has tokenizer format 2; this rnngen reads 1"),
        (content(level="letter"), NO_LEVEL),
        (content(level="char"), NO_LEVEL),
        (content(level="char", characters=["a"]), NO_LEVEL),
        (content(level="word", split="comma", words=[]), NO_LEVEL),
        (content(level="char", characters="aa"), "{path}: a char vocabulary needs distinct characters"),
        (content(level="word", split="whitespace", words=["a", 1]), "{path}: a word vocabulary must hold strings only"),
        (content(level="word", split="whitespace", words=["a", "a"]), "{path}: a word vocabulary needs distinct words"),
        (content(level="subword", sentencepiece="?"), "{path}: the SentencePiece model is not base64"),
        (content(level="subword", sentencepiece="é"), "{path}: the SentencePiece model is not base64"),
        (content(level="subword", sentencepiece="AAAA"), "{path}: not a SentencePiece model: "),
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused_with_the_reason(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(data)
    with pytest.raises(TokenizerError) as error:
        tokenizers.load(path)
    assert str(error.value).startswith(message.format(path=path))


@pytest.mark.parametrize(("name", "reason"), [("gone", "No such file or directory"), ("", "Is a directory")])
def test_a_tokenizer_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / name
    with pytest.raises(TokenizerError) as error:
        tokenizers.load(path)
    assert str(error.value) == f"cannot read the tokenizer {path}: {reason}"


def parts(encoded: Encoded) -> tuple[list[int], int, Unknown | None]:
    return encoded.ids.tolist(), encoded.n_unknown, encoded.first_unknown


def test_unknown_symbols_are_counted_and_kept_or_left_out() -> None:
    tokenizer = CharTokenizer("abc")
    first = Unknown("é", 1)
    assert parts(encode_known(tokenizer, "aébéx", "unk", "the text")) == ([2, 0, 3, 0, 0], 3, first)
    assert parts(encode_known(tokenizer, "aébéx", "skip", "the text")) == ([2, 3], 3, first)
    assert encode_known(tokenizer, "aébéx", "unk", "the text", offset=100).first_unknown == Unknown("é", 101)


@pytest.mark.parametrize("on_unknown", ["error", "unk", "skip"])
def test_a_text_without_unknown_symbols_is_encoded_as_it_is(on_unknown: Any) -> None:
    assert parts(encode_known(CharTokenizer("abc"), "ab\n", on_unknown, "the text")) == ([2, 3, 1], 0, None)
    byte = tokenizers.from_dict({"level": "byte"})
    assert parts(encode_known(byte, "é", on_unknown, "the text")) == ([0xC3, 0xA9], 0, None)


@pytest.mark.parametrize(
    ("tokenizer", "text", "symbol"),
    [
        (CharTokenizer("abc"), "ab\né", "'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE) at character 4"),
        (WordTokenizer(["so"], "punctuation"), "so wherefore", "'wherefore' at character 4"),
        (WordTokenizer(["so"], "whitespace"), "<unk> so-so", "'so-so' at character 7"),
        (WordTokenizer(["so"], "punctuation"), "so ", "'\u2581' (U+0020 SPACE) at character 3"),
    ],
)
def test_an_unknown_symbol_can_be_an_error_that_names_it_and_the_options(
    tokenizer: Tokenizer, text: str, symbol: str
) -> None:
    with pytest.raises(TokenizerError) as error:
        encode_known(tokenizer, text, "error", "line 7")
    assert str(error.value) == (
        f"line 7 has a symbol that the model does not know: {symbol}; "
        "--on-unknown skip leaves such symbols out, --on-unknown unk takes them as the unknown symbol"
    )


def test_a_written_unk_in_split_text_counts_but_is_no_error() -> None:
    tokenizer = WordTokenizer(["so"], "whitespace")
    assert parts(encode_known(tokenizer, "so <unk>", "error", "the text")) == ([2, 0], 1, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": True}, "has tokenizer format True; this rnngen reads 1"),
        ({"format_version": "\x1b[2J" * 1000}, "; this rnngen reads 1"),
        ({"characters": ["a"]}, "it describes no tokenizer"),
        ({"characters": "aa"}, "distinct characters"),
        ({"level": "word", "split": "whitespace", "words": ["a", True]}, "must hold strings only"),
        ({"level": "subword", "sentencepiece": "\u00e9"}, "is not base64"),
        ({"level": ["char"]}, "it describes no tokenizer"),
    ],
)
def test_a_tokenizer_file_of_a_stranger_is_refused_in_a_short_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "tokenizer.json"
    content = {"format": "rnngen-tokenizer", "format_version": 1, **CharTokenizer("ab").to_dict()}
    path.write_text(json.dumps({**content, **change}), "utf-8")
    with pytest.raises(TokenizerError) as error:
        tokenizers.load(path)
    assert message in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300
