"""The four levels: building a tokenizer of any of them from a text, saving it and loading it again."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from rnngen.config import TokenizerConfig
from rnngen.errors import TokenizerError, brief
from rnngen.storage import untrusted_json
from rnngen.storage.atomic import write_atomically
from rnngen.tokenizers.base import Text, Tokenizer
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.subword import SubwordTokenizer
from rnngen.tokenizers.word import WordTokenizer

FILE_FORMAT = "rnngen-tokenizer"
FILE_VERSION = 1
MOST_FILE_BYTES = 100_000_000


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
        case {"level": "word", "split": "punctuation" | "whitespace" as split, "words": list(words)}:
            if not all(isinstance(word, str) for word in words):
                raise TokenizerError("a word vocabulary must hold strings only")
            return WordTokenizer(words, split)
        case {"level": "subword", "sentencepiece": str(encoded)}:
            try:
                return SubwordTokenizer(base64.b64decode(encoded, validate=True))
            except ValueError:
                raise TokenizerError("the SentencePiece model is not base64") from None
    raise TokenizerError("it describes no tokenizer of level char, byte, word or subword")


def save(tokenizer: Tokenizer, path: Path, *, replace: bool = True) -> None:
    """Write one JSON file; without `replace` never over another. Raises OutputError."""
    content = {"format": FILE_FORMAT, "format_version": FILE_VERSION, **tokenizer.to_dict()}
    data = json.dumps(content, ensure_ascii=False, indent=0).encode("utf-8", "surrogatepass")
    write_atomically(path, data, replace=replace)


def load(path: Path) -> Tokenizer:
    """Read what `save` wrote. Raises TokenizerError."""
    try:
        with open(path, "rb") as file:
            content = untrusted_json.parse(file.read(MOST_FILE_BYTES + 1).decode("utf-8", "surrogatepass"))
    except OSError as error:
        raise TokenizerError(f"cannot read the tokenizer {path}: {error.strerror}") from None
    # For a file larger than that too, as JSON that is cut is none.
    except ValueError:
        raise TokenizerError(f"{path} is not a tokenizer file: make one with rnngen tokenize --save") from None
    if not isinstance(content, dict) or content.get("format") != FILE_FORMAT:
        raise TokenizerError(f"{path} is not a tokenizer file: make one with rnngen tokenize --save")
    version = content.get("format_version")
    if type(version) is not int or version != FILE_VERSION:
        raise TokenizerError(f"{path} has tokenizer format {brief(version)}; this rnngen reads {FILE_VERSION}")
    try:
        return from_dict(content)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None
