"""Subword level: SentencePiece, trained on the text, without loss.

Identity normalisation, no added or removed white space, bytes for what has no piece. Every line is encoded by itself;
the line break between two lines is a symbol of its own.
"""

from __future__ import annotations

import base64
import io
import random
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen import work
from rnngen.config import SubwordModel
from rnngen.errors import TokenizerError
from rnngen.printable import SPACE_MARK
from rnngen.tokenizers import sentencepiece_model
from rnngen.tokenizers.base import Ids, Spans, Text
from rnngen.tokenizers.char import ByteDecoder, ByteTokenizer
from rnngen.tokenizers.symbols import NEWLINE, Unknown

MOST_CHARS = 10_000_000  # that SentencePiece trains on, about; from a larger text lines are drawn
MOST_SENTENCES = 500_000  # of these, at most
LONGEST_SENTENCE = 2_000  # characters; longer lines are cut for training only
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # of an argument that is not UTF-8; SentencePiece refuses it
_FIXED_PIECES = 258  # the bytes, the line break and the unknown piece
# Of a vocabulary whose size nobody chose. Beside the fixed pieces and an alphabet there is room for some subwords, and
# not for so many that a small text has each of them a few times only.
_FEWEST_PIECES, _MOST_PIECES = 450, 8_000


class SubwordTokenizer:
    """Wraps a SentencePiece model, which may be untrusted. Raises TokenizerError for one that cannot be used."""

    level = "subword"
    unk_id: int | None = None

    def __init__(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        self.model = model
        checked = sentencepiece_model.read(model)
        self._processor = SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(checked.serialized)
        except (RuntimeError, OSError) as error:
            raise TokenizerError(f"not a SentencePiece model: {' '.join(str(error).split())}") from None
        self._pieces = checked.pieces
        self._is_byte = [type == sentencepiece_model.BYTE for type in checked.types]
        self.vocab_size = len(self._pieces)
        self._bytes_of = list(map(_piece_bytes, self._pieces, self._is_byte))
        id_of = {piece: id for id, piece in enumerate(self._pieces)}
        self.newline_id = id_of[NEWLINE]
        self._mark_ids = [id_of[f"<0x{byte:02X}>"] for byte in SPACE_MARK.encode()]
        self.never_drawn: tuple[int, ...] = (checked.unk_id,)

    @classmethod
    def build(cls, text: Text, vocab_size: int | None, subword_model: SubwordModel) -> SubwordTokenizer:
        """Train SentencePiece. Raises TokenizerError when the text is too small for the vocabulary asked for."""
        n_chars = sum(len(chunk) for chunk in text.chunks())
        share = MOST_CHARS / max(n_chars, 1)
        # SentencePiece does not say how far it is.
        with work.named("SentencePiece learns the subwords"):
            if vocab_size is None:
                vocab_size = min(max(n_chars // 400, _FEWEST_PIECES), _MOST_PIECES)
                return cls(_train_downwards(text, share, vocab_size, subword_model))
            return cls(_train(text, share, vocab_size, subword_model))

    def encode(self, text: str) -> Ids:
        lines = _LONE_SURROGATE.sub("\ufffd", text).split(NEWLINE)
        ids: list[int] = []
        # A list is shared among threads, which take longer to start than a line to encode.
        together = len(lines) > 1 and SPACE_MARK not in text
        for turn, line_ids in enumerate(self._processor.EncodeAsIds(lines) if together
                                        else map(self._encode_marked, lines)):  # fmt: skip
            if turn:
                ids.append(self.newline_id)
            ids += line_ids
        return np.fromiter(ids, np.int32, len(ids))

    def _encode_marked(self, line: str) -> list[int]:
        # SentencePiece writes a space as U+2581; a U+2581 of the text itself goes as its three bytes.
        ids: list[int] = []
        for turn, part in enumerate(line.split(SPACE_MARK)):
            ids += self._mark_ids * bool(turn)
            ids += self._processor.EncodeAsIds(part)
        return ids

    def spans(self, text: str, ids: Ids | None = None) -> Spans:
        ids = self.encode(text) if ids is None else ids
        if self.decode(ids) != _LONE_SURROGATE.sub("\ufffd", text):
            raise TokenizerError(
                "the SentencePiece model changes the text, so its tokens have no place in it; train another"
            )
        # The bytes of the pieces are the bytes of the text.
        n_bytes = np.fromiter(map(len, map(self._bytes_of.__getitem__, ids.tolist())), np.int64)
        ends = np.cumsum(n_bytes)
        characters = ByteTokenizer().spans(text)
        return np.stack([characters[ends - n_bytes, 0], characters[ends - 1, 1]], axis=1)

    def decode(self, ids: npt.ArrayLike) -> str:
        return b"".join(map(self._bytes_of.__getitem__, np.asarray(ids).tolist())).decode("utf-8", "replace")

    def decoder(self, after: str = "") -> ByteDecoder:
        return ByteDecoder(self._bytes_of)

    def token(self, id: int) -> str:
        piece = self._pieces[id]
        return piece if self._is_byte[id] else piece.replace(SPACE_MARK, " ")

    def unknowns(self, text: str) -> Iterator[Unknown]:
        return iter(())

    def to_dict(self) -> dict[str, Any]:
        return {"level": self.level, "sentencepiece": base64.b64encode(self.model).decode("ascii")}


def _piece_bytes(piece: str, is_byte: bool) -> bytes:
    return bytes([int(piece[3:5], 16)]) if is_byte else piece.replace(SPACE_MARK, " ").encode()


class _Sentences:
    """An iterator for SentencePiece, which in C++ makes one error of all that a text may fail with.

    Attributes:
        failure: what it ended with, if that was not its end; a Ctrl-C too.
    """

    def __init__(self, text: Text, share: float) -> None:
        self._sentences = _sentences(text, share)
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self._sentences)
        except StopIteration:
            raise
        except BaseException as error:
            self.failure = error
            raise


def _sentences(text: Text, share: float) -> Iterator[str]:
    """Lines, the longest ones cut; of a `share` below 1 so many of them, drawn the same way every time."""
    draw = random.Random(0).random
    for chunk in text.chunks():
        for line in chunk.split(NEWLINE):
            line = line.replace(SPACE_MARK, "")
            for start in range(0, len(line), LONGEST_SENTENCE):
                if share >= 1 or draw() < share:
                    yield line[start : start + LONGEST_SENTENCE]


def _train(text: Text, share: float, vocab_size: int, subword_model: SubwordModel) -> bytes:
    from sentencepiece import SentencePieceTrainer

    if vocab_size < _FIXED_PIECES + 10:
        raise TokenizerError(f"vocab_size is {vocab_size}: a subword vocabulary needs {_FIXED_PIECES + 10} or more")
    model = io.BytesIO()
    sentences = _Sentences(text, share)
    try:
        SentencePieceTrainer.Train(
            sentence_iterator=sentences,
            model_writer=model,
            model_type=subword_model,
            vocab_size=vocab_size,
            hard_vocab_limit=subword_model == "bpe",
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            byte_fallback=True,
            character_coverage=0.9995,
            user_defined_symbols=[NEWLINE],
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            input_sentence_size=MOST_SENTENCES,
            shuffle_input_sentence=True,
            max_sentence_length=4 * LONGEST_SENTENCE,
            num_threads=2,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise sentences.failure or TokenizerError(_remedy(str(error), vocab_size)) from None
    return model.getvalue()


def _train_downwards(text: Text, share: float, vocab_size: int, subword_model: SubwordModel) -> bytes:
    """Train with the largest vocabulary up to `vocab_size` that the text allows."""
    try:
        return _train(text, share, vocab_size, subword_model)
    except TokenizerError as error:
        needed, allowed = _MORE_NEEDED.search(str(error)), _LARGEST_ALLOWED.search(str(error))
        try:
            if needed:
                return _train(text, share, int(needed[1]) + 1, subword_model)
            if allowed:
                return _train(text, share, int(allowed[1]), subword_model)
        except TokenizerError:
            pass
        raise TokenizerError("the text is too small to learn subwords from: give more, or use --level char") from None


_MORE_NEEDED = re.compile(r"raise --vocab-size above (\d+)")
_LARGEST_ALLOWED = re.compile(r"at most (\d+)")


def _remedy(message: str, vocab_size: int) -> str:
    limit = re.search(r"<= (\d+)", message)
    if limit:
        return f"vocab_size is {vocab_size}: this text allows at most {limit[1]} subwords; lower --vocab-size"
    least = re.search(r"smaller than required_chars\D+(\d+)\D+(\d+)", message)
    if least:
        return f"vocab_size is {vocab_size}: the characters of this text need more; raise --vocab-size above {least[2]}"
    lines = [line for line in message.strip().splitlines() if line.strip()]
    return f"SentencePiece cannot learn from this text: {lines[-1] if lines else 'no reason given'}"
