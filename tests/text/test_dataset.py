"""From texts to the token ids of a training run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rnngen.config import TokenizerConfig, TrainConfig
from rnngen.errors import DataError
from rnngen.text import dataset
from rnngen.text.char import ByteTokenizer, CharTokenizer
from rnngen.text.dataset import Dataset, prepare

CHAR = TokenizerConfig("char")


def text_of(*chunks: str) -> Any:
    return SimpleNamespace(chunks=lambda: iter(filter(None, chunks)))


def texts_of(data: Dataset) -> tuple[str, str]:
    return data.tokenizer.decode(data.train.ids), data.tokenizer.decode(data.valid.ids)


@pytest.mark.parametrize(("valid_fraction", "cut"), [(None, 90), (0.25, 75), (0.98, 2)])
def test_the_end_of_the_text_is_kept_for_validation(valid_fraction: float | None, cut: int) -> None:
    text = "".join(map(chr, range(33, 133)))
    config = TrainConfig(valid_fraction=valid_fraction)
    data = prepare(text_of(text), None, config, CharTokenizer(text), CHAR)
    assert texts_of(data) == (text[:cut], text[cut:])
    assert (data.found.n_chars, data.valid_chars, data.lines) == (100, 100 - cut, False)


def test_of_a_very_large_text_no_more_is_validated_on_than_is_useful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MOST_VALID_CHARS", 25)
    data = prepare(text_of("abcd" * 100), None, TrainConfig(), None, CHAR)
    assert (len(data.train.ids), data.valid_chars) == (375, 25)


def test_the_tokenizer_is_built_from_the_part_to_train_on_only() -> None:
    data = prepare(text_of("ab" * 45 + "c" * 10), None, TrainConfig(), None, CHAR)
    assert data.tokenizer.to_dict()["characters"] == "ab"
    assert (data.train.n_unknown, data.valid.n_unknown) == (0, 10)


def test_a_tokenizer_that_is_given_is_taken() -> None:
    tokenizer = ByteTokenizer()
    assert prepare(text_of("ab" * 10), None, TrainConfig(), tokenizer, CHAR).tokenizer is tokenizer


def test_a_validation_text_of_its_own_leaves_the_text_whole() -> None:
    data = prepare(text_of("abab", "ba"), text_of("aab"), TrainConfig(), None, CHAR)
    assert texts_of(data) == ("ababba", "aab")
    assert (data.found.n_chars, data.valid_chars) == (6, 3)


def test_with_lines_every_line_is_on_one_side_and_ends_in_a_line_break() -> None:
    names = ["ann", "bob", "cid", "dan", "eve"]
    data = prepare(text_of("\n\n".join(names)), None, TrainConfig(lines=True, valid_fraction=0.4), None, CHAR)
    train, valid = texts_of(data)
    assert (train.count("\n"), valid.count("\n"), data.lines, data.found.n_lines) == (3, 2, True, 5)
    assert data.valid_chars == len(valid) == 8
    again = prepare(text_of("\n\n".join(names)), None, TrainConfig(lines=True, valid_fraction=0.4), None, CHAR)
    assert texts_of(again) == (train, valid)


def test_with_lines_and_a_validation_text_blank_lines_are_left_out_of_both() -> None:
    data = prepare(text_of("ann\n\nbob"), text_of(" \nnan\n\n"), TrainConfig(lines=True), None, CHAR)
    assert texts_of(data) == ("ann\nbob\n", "nan\n")


def test_a_text_of_ten_characters_is_enough() -> None:
    assert texts_of(prepare(text_of("abcabcabca"), None, TrainConfig(), None, CHAR)) == ("abcabcabc", "a")


LINES = TrainConfig(lines=True)
FEW_TOKENS = "the text has {} tokens to train on and {} to validate on, and needs at least 2 and 1: give more text"


@pytest.mark.parametrize(
    ("text", "valid", "config", "wanted", "message"),
    [
        ("", None, TrainConfig(), CHAR, "the text is empty: there is nothing to learn from"),
        ("a\0b", None, TrainConfig(), CHAR, "the text has a NUL character at character 2: it is a binary file, "),
        ("a", None, TrainConfig(), CHAR, "the text has 1 character: too few to keep 10% for validation; "),
        ("ab", None, TrainConfig(), CHAR, FEW_TOKENS.format(1, 1)),
        ("a\nb\n ", None, TrainConfig(), TokenizerConfig("word", split="whitespace"), FEW_TOKENS.format(4, 0)),
        ("word word", " ", TrainConfig(), TokenizerConfig("word", split="whitespace"), FEW_TOKENS.format(2, 0)),
        ("ann\n\n", None, LINES, CHAR, "the text has 1 line that is not blank: too few to keep 1 for validation; "),
        (" \n\n", "a\n", LINES, CHAR, "the text has blank lines only: --lines needs lines to learn from"),
    ],
)
def test_a_text_too_small_to_learn_from_says_what_is_missing(
    text: str, valid: str | None, config: TrainConfig, wanted: TokenizerConfig, message: str
) -> None:
    with pytest.raises(DataError) as error:
        prepare(text_of(text), None if valid is None else text_of(valid), config, None, wanted)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(("valid", "config"), [("", TrainConfig()), ("a\0", TrainConfig()), (" \n", LINES)])
def test_a_validation_text_at_fault_is_told_from_the_text_to_train_on(valid: str, config: TrainConfig) -> None:
    with pytest.raises(DataError, match="validation text"):
        prepare(text_of("abc\n" * 10), text_of(valid), config, None, CHAR)
