"""What every tokenizer can do, and building, saving and loading one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnngen.config import OnUnknown, TokenizerConfig
from rnngen.errors import TokenizerError, brief
from rnngen.storage import untrusted_json
from rnngen.storage.files import write_atomically
from rnngen.text.corpus import Text
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer, Ids, Spans
from rnngen.tokenizers.subword import SubwordTokenizer
from rnngen.tokenizers.symbols import Unknown
from rnngen.tokenizers.word import WordTokenizer

FILE_FORMAT = "rnngen-tokenizer"
FILE_VERSION = 1
MOST_FILE_BYTES = 100_000_000


class Decoder(Protocol):
    """Ids to text, one at a time."""

    def push(self, id: int) -> str:
        """The characters that are whole with this id; may be none."""


class Tokenizer(Protocol):
    """Text to ids and back.

    Attributes:
        newline_id: the line break; it begins a text and ends a line.
        unk_id: the unknown symbol; None where every text is known.
        never_drawn: ids that stand for no text and are not sampled.
    """

    @property
    def level(self) -> str: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def newline_id(self) -> int: ...
    @property
    def unk_id(self) -> int | None: ...
    @property
    def never_drawn(self) -> tuple[int, ...]: ...

    def encode(self, text: str) -> Ids:
        """Ids of a text, int32; the unknown symbol for what the vocabulary lacks."""

    def spans(self, text: str) -> Spans:
        """Where the tokens stand in a text, so that `text[start:end]` is what was written, of an unknown symbol too.

        White space that tokens imply is in no span; a byte has the whole character that it is a part of.

        Returns:
            For each id of `encode(text)`, in order, its first character and the one after its last.
        """

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids; for known symbols the inverse of encode."""

    def decoder(self) -> Decoder:
        """A new decoder that takes ids one at a time."""

    def token(self, id: int) -> str:
        """The symbol itself; a single byte of a longer character reads `<0xE2>`."""

    def unknowns(self, text: str) -> Iterator[Unknown]:
        """The symbols of a text that encode would make the unknown symbol."""

    def to_dict(self) -> dict[str, Any]:
        """All that `from_dict` needs, ready for JSON."""


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


@dataclass(frozen=True)
class Encoded:
    """Ids of a text with its unknown symbols handled.

    Attributes:
        n_unknown: how many it had, whether kept or left out.
    """

    ids: Ids
    n_unknown: int = 0
    _find_first: Callable[[], Unknown | None] = lambda: None

    @cached_property
    def first_unknown(self) -> Unknown | None:
        """The first that stands in the text as such (not as a written `<unk>`); looked for when it is asked for."""
        return self._find_first()


def encode_known(tokenizer: Tokenizer, text: str, on_unknown: OnUnknown, where: str, offset: int = 0) -> Encoded:
    """Encode a text and handle what the vocabulary lacks.

    Args:
        on_unknown: "error" raises TokenizerError that names the first one, "unk" keeps the unknown symbol,
            "skip" leaves it out.
        where: names the text in the error.
        offset: of the text in a longer one, for the places of unknown symbols.
    """
    ids = tokenizer.encode(text)
    unknown = ids == tokenizer.unk_id if tokenizer.unk_id is not None else np.zeros(0, bool)
    n_unknown = int(np.count_nonzero(unknown))
    if not n_unknown:
        return Encoded(ids)

    def find_first() -> Unknown | None:
        first = next(tokenizer.unknowns(text), None)
        return first and replace(first, offset=first.offset + offset)

    encoded = Encoded(ids[~unknown] if on_unknown == "skip" else ids, n_unknown, find_first)
    if on_unknown == "error" and encoded.first_unknown is not None:
        raise TokenizerError(
            f"{where} has a symbol that the model does not know: {encoded.first_unknown}; "
            "--on-unknown skip leaves such symbols out, --on-unknown unk takes them as the unknown symbol"
        )
    return encoded


def shared_ids(old: Tokenizer, new: Tokenizer) -> npt.NDArray[np.int64]:
    """For each symbol of `new` its id in `old`, shape [V of new]; -1 where it has none."""
    old_id = {old.token(id): id for id in reversed(range(old.vocab_size))}
    return np.fromiter((old_id.get(new.token(id), -1) for id in range(new.vocab_size)), np.int64, new.vocab_size)
