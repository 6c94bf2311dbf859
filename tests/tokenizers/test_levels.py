"""Building, saving and loading tokenizers of every level."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_tokenizers import CONFIGS, TEXT, build

from rnngen.config import TokenizerConfig
from rnngen.errors import TokenizerError
from rnngen.tokenizers import levels
from rnngen.tokenizers.char import CharTokenizer
from rnngen.tokenizers.word import WordTokenizer


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_loaded_tokenizer_is_the_saved_one(tmp_path: Path, config: TokenizerConfig) -> None:
    tokenizer = build(config)
    levels.save(tokenizer, tmp_path / "tokenizer.json")
    loaded = levels.load(tmp_path / "tokenizer.json")
    assert type(loaded) is type(tokenizer)
    assert loaded.to_dict() == tokenizer.to_dict()
    assert loaded.level == config.level
    assert loaded.encode(TEXT + "new ♜").tolist() == tokenizer.encode(TEXT + "new ♜").tolist()


def test_a_file_of_words_says_which_rules_they_are_split_by_and_one_that_does_not_is_of_version_1(tmp_path):
    config = TokenizerConfig("word", min_count=1)
    tokenizer = levels.build(config, SimpleNamespace(chunks=lambda: iter(["so\u00adbe"])))
    levels.save(tokenizer, tmp_path / "new.json")
    assert levels.load(tmp_path / "new.json").encode("so\u00adbe").tolist() == [2]
    values = json.loads((tmp_path / "new.json").read_text())
    assert values.pop("split_version") == 2
    (tmp_path / "old.json").write_text(json.dumps({**values, "words": ["so", "\uffed\u00ad", "\uffedbe"]}))
    assert levels.load(tmp_path / "old.json").encode("so\u00adbe").tolist() == [2, 3, 4]
    for version in (1, 2):
        parts = levels.to_parts(WordTokenizer(["so"], "whitespace", version))
        assert levels.from_parts(*parts, 3).to_dict() == WordTokenizer(["so"], "whitespace", version).to_dict()


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
        (b"", "{path} is empty, and not a tokenizer file: name another file"),
        (b"\x00\xff\xfe binary", NOT_ONE),
        (b"[1, 2]", "{path} is a text, not a tokenizer file: rnngen tokenize {path} --save FILE makes one of it"),
        (
            b'{"version": "1.0"}',
            "{path} is a JSON file, not a tokenizer file: train, score and the other commands read",
        ),
        (b"[" * 100_000, "{path} is a text, not a tokenizer file: "),
        (content()[:-1], NOT_ONE),
        (content(format_version=2), "{path} has tokenizer format 2; this rnngen reads 1"),
        (content(level="letter"), NO_LEVEL),
        (content(level="char"), NO_LEVEL),
        (content(level="char", characters=["a"]), NO_LEVEL),
        (content(level="word", split="comma", words=[]), NO_LEVEL),
        (
            content(level="word", split="whitespace", split_version=3, words=[]),
            "{path}: its words are split by version",
        ),
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
        levels.load(path)
    assert str(error.value).startswith(message.format(path=path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "cannot read the tokenizer {path}: No such file or directory"),
        ("", "{path} is a folder, not a tokenizer file: name a file in it"),
    ],
)
def test_a_tokenizer_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / name
    with pytest.raises(TokenizerError) as error:
        levels.load(path)
    assert str(error.value) == message.format(path=path)


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
def test_an_untrusted_tokenizer_file_is_refused_in_a_short_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "tokenizer.json"
    content = {"format": "rnngen-tokenizer", "format_version": 1, **CharTokenizer("ab").to_dict()}
    path.write_text(json.dumps({**content, **change}), "utf-8")
    with pytest.raises(TokenizerError) as error:
        levels.load(path)
    assert message in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300
