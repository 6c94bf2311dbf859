"""Token ids on disk."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnngen.errors import DataError, TokenizerError
from rnngen.text.ids_on_disk import LONGEST_SYMBOL, write_ids
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.symbols import Unknown
from rnngen.tokenizers.word import WordTokenizer


def text_of(*chunks: str) -> Any:
    return SimpleNamespace(chunks=lambda: iter(chunks))


def test_the_ids_on_disk_are_those_of_the_chunks_one_after_another() -> None:
    tokens = write_ids(text_of("to be\n", "é\n"), ByteTokenizer())
    assert tokens.ids.tolist() == list("to be\né\n".encode())
    assert isinstance(tokens.ids, np.memmap)
    assert tokens.n_unknown == 0


@pytest.mark.parametrize(
    ("vocab_size", "dtype"),
    [(256, np.uint8), (257, np.uint16), (1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)],
)
def test_an_id_takes_as_few_bytes_as_the_vocabulary_allows(vocab_size: int, dtype: type) -> None:
    characters = "".join(map(chr, range(0x10000, 0x10000 + vocab_size - 2)))
    tokens = write_ids(text_of("\n" + characters[-1]), CharTokenizer(characters))
    assert tokens.ids.dtype == dtype
    assert tokens.ids.tolist() == [1, vocab_size - 1]


@pytest.mark.parametrize(("on_unknown", "ids"), [("unk", [2, 0, 3, 0]), ("skip", [2, 3])])
def test_unknown_symbols_are_counted_over_all_chunks(on_unknown: Any, ids: list[int]) -> None:
    tokens = write_ids(text_of("a?", "b!"), CharTokenizer("ab"), on_unknown)
    assert (tokens.ids.tolist(), tokens.n_unknown) == (ids, 2)


def test_of_a_very_long_unknown_symbol_the_begin_is_kept() -> None:
    first = write_ids(text_of("so ", "é" * 5000), WordTokenizer(["so"], "whitespace")).first_unknown
    assert first == Unknown("é" * LONGEST_SYMBOL, 3)


def test_unknown_symbols_can_be_an_error() -> None:
    with pytest.raises(TokenizerError, match=r"^the text has a symbol that the model does not know: '!' \(U\+0021 "):
        write_ids(text_of("a", "b!"), CharTokenizer("ab"), "error")


def test_a_text_without_tokens_gives_an_empty_array() -> None:
    tokens = write_ids(text_of("??"), CharTokenizer("ab"), "skip")
    assert (tokens.ids.shape, tokens.ids.dtype, tokens.n_unknown) == ((0,), np.uint8, 2)


def test_no_file_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tokens = write_ids(text_of("abc" * 1000), ByteTokenizer())
    assert list(tmp_path.iterdir()) == []
    assert bytes(tokens.ids[-3:].tolist()) == b"abc"


@pytest.mark.parametrize("n_chars", [2_000, 100_000], ids=["within a buffer", "beyond it"])
def test_a_full_disk_is_named_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_chars: int) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DataError) as error:
            write_ids(text_of("x" * n_chars), ByteTokenizer())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(error.value) == (
        f"cannot keep the tokens in {tmp_path}: File too large; set TMPDIR to a folder with more room"
    )


def test_a_temporary_folder_that_is_not_there_is_named_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"^cannot keep the tokens in .*gone.*: No such file or directory; set TMPDIR "):
        write_ids(text_of("x"), ByteTokenizer())
