"""The four levels: building a tokenizer of any of them from a text, saving it and loading it again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from rnngen.config import TokenizerConfig
from rnngen.errors import OutputError, TokenizerError, brief
from rnngen.storage import untrusted_json
from rnngen.storage.atomic import write_atomically
from rnngen.storage.file_kinds import TOKENIZER, what_it_is
from rnngen.tokenizers.base import Text, Tokenizer
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.subword import SubwordTokenizer
from rnngen.tokenizers.symbols import NEWLINE
from rnngen.tokenizers.word import WordTokenizer

FILE_FORMAT = "rnngen-tokenizer"
FILE_VERSION = 1
MOST_FILE_CHARS = 16_000_000  # a vocabulary of a million words; 800 MB of values at most
VOCABULARIES = ("characters", "words", "sentencepiece")
_MOST_FILE_BYTES = 4 * MOST_FILE_CHARS


def build(config: TokenizerConfig, text: Text) -> Tokenizer:
    """Make the tokenizer that `config` asks for out of a text."""
    match config.level:
        case "char":
            return CharTokenizer.build(text, config.vocab_size, config.min_count)
        case "byte":
            return ByteTokenizer()
        case "word":
            return WordTokenizer.build(text, config.vocab_size, config.min_count, config.split)
        case "subword":
            return SubwordTokenizer.build(text, config.vocab_size, config.subword_model)


def from_dict(values: object) -> Tokenizer:
    """The tokenizer of `to_dict`. Raises TokenizerError."""
    match values:
        case {"level": "char", "characters": str(characters)}:
            return CharTokenizer(characters)
        case {"level": "byte"}:
            return ByteTokenizer()
        case {"level": "word", "split": "punctuation" | "whitespace" as split, "words": list(words), **others}:
            if not all(isinstance(word, str) for word in words):
                raise TokenizerError("a word vocabulary must hold strings only")
            return WordTokenizer(words, split, _split_version(others))
        case {"level": "subword", "sentencepiece": str(encoded)}:
            try:
                return SubwordTokenizer(base64.b64decode(encoded, validate=True))
            except ValueError:
                raise TokenizerError("the SentencePiece model is not base64") from None
    raise TokenizerError("it describes no tokenizer of level char, byte, word or subword")


def to_parts(tokenizer: Tokenizer) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A tokenizer as a short description, ready for JSON, and its vocabulary as bytes under one of `VOCABULARIES`.

    Characters are written one after another in UTF-8. Words are too, each with the line break after it, which no word
    has. A SentencePiece model is written as its library does it.
    """
    vocabulary = {}
    if isinstance(tokenizer, CharTokenizer):
        vocabulary["characters"] = tokenizer.characters.encode("utf-8", "surrogatepass")
    elif isinstance(tokenizer, WordTokenizer):
        words = (f"{word}{NEWLINE}" for word in tokenizer.words[2:])
        vocabulary["words"] = "".join(words).encode("utf-8", "surrogatepass")
    elif isinstance(tokenizer, SubwordTokenizer):
        vocabulary["sentencepiece"] = tokenizer.model
    description = {name: value for name, value in tokenizer.to_dict().items() if name not in vocabulary}
    return description, vocabulary


def from_parts(description: object, vocabulary: dict[str, bytes], vocab_size: int) -> Tokenizer:
    """The tokenizer of `to_parts`, which must have `vocab_size` symbols. Raises TokenizerError."""
    if "words" in vocabulary:  # counted first: taken apart, words take ten times their memory and more
        _check_size(vocabulary["words"].count(NEWLINE.encode()) + 2, vocab_size)
    tokenizer = _from_parts(description, vocabulary)
    _check_size(tokenizer.vocab_size, vocab_size)
    return tokenizer


def _from_parts(description: object, vocabulary: dict[str, bytes]) -> Tokenizer:
    if isinstance(description, dict) and description.keys() & vocabulary.keys():
        raise TokenizerError("it has two vocabularies")
    match description, list(vocabulary.items()):
        case _, []:
            return from_dict(description)  # byte level, or a file from before vocabularies were apart
        case {"level": "char"}, [("characters", content)]:
            return CharTokenizer(_decoded(content))
        case {"level": "word", "split": "punctuation" | "whitespace" as split, **others}, [("words", content)]:
            *words, cut = _decoded(content).split(NEWLINE)
            if cut:
                raise TokenizerError("its last word is cut")
            return WordTokenizer(words, split, _split_version(others))
        case {"level": "subword"}, [("sentencepiece", content)]:
            return SubwordTokenizer(content)
    raise TokenizerError("its vocabulary is not that of its level")


def _split_version(values: dict[Any, Any]) -> Any:
    """Files from before the rules had versions do not name one."""
    return values.get("split_version", 1)


def _check_size(n_symbols: int, vocab_size: int) -> None:
    if n_symbols != vocab_size:
        raise TokenizerError(f"its tokenizer has {n_symbols} symbols, its model {vocab_size}")


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise TokenizerError("its vocabulary is not UTF-8") from None


def save(tokenizer: Tokenizer, path: Path, *, replace: bool = True) -> None:
    """Write one JSON file; without `replace` never over another. Raises OutputError."""
    content = {"format": FILE_FORMAT, "format_version": FILE_VERSION, **tokenizer.to_dict()}
    text = json.dumps(content, ensure_ascii=False, indent=0)
    if len(text) > MOST_FILE_CHARS:
        raise OutputError(
            f"cannot write {path}: it would have {len(text):,} characters, and {MOST_FILE_CHARS:,} are the most that "
            "can be read again; lower --vocab-size"
        )
    write_atomically(path, text.encode("utf-8", "surrogatepass"), replace=replace)


def load(path: Path) -> Tokenizer:
    """Read what `save` wrote. Raises TokenizerError."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        reason = what_it_is(path, TOKENIZER) or f"cannot read the tokenizer {path}: {error.strerror}"
        raise TokenizerError(reason) from None
    try:
        content = untrusted_json.parse(data.decode("utf-8", "surrogatepass"), MOST_FILE_CHARS)
    # A file that is too large was cut, and is no JSON.
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("format") != FILE_FORMAT:
        no_file = f"{path} is not a tokenizer file: make one with rnngen tokenize --save"
        raise TokenizerError(what_it_is(path, TOKENIZER) or no_file)
    version = content.get("format_version")
    if type(version) is not int or version != FILE_VERSION:
        raise TokenizerError(f"{path} has tokenizer format {brief(version)}; this rnngen reads {FILE_VERSION}")
    try:
        return from_dict(content)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None
