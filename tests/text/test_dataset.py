"""From texts to the token ids of a training run."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rnngen.config import TokenizerConfig, TrainConfig, ValidPart
from rnngen.errors import DataError
from rnngen.text import corpus, dataset, unpacking
from rnngen.text.corpus import FileText
from rnngen.text.dataset import Dataset, prepare
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer

CHAR = TokenizerConfig("char")


def text_of(*chunks: str) -> Any:
    return SimpleNamespace(chunks=lambda: iter(filter(None, chunks)))


def texts_of(data: Dataset) -> tuple[str, str]:
    return data.tokenizer.decode(data.train.ids), data.tokenizer.decode(data.valid.ids)


@pytest.mark.parametrize(("valid_fraction", "cut"), [(None, 90), (0.25, 75), (0.98, 2)])
def test_the_end_of_the_text_can_be_kept_for_validation(valid_fraction: float | None, cut: int) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 100)))
    config = TrainConfig(valid_fraction=valid_fraction, valid_part="last")
    data = prepare(text_of(text), None, config, CharTokenizer(text), CHAR)
    assert texts_of(data) == (text[:cut], text[cut:])
    assert (data.survey.n_chars, data.valid_chars, data.lines) == (100, 100 - cut, False)


def test_of_a_very_large_text_no_more_is_validated_on_than_is_useful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MOST_VALID_CHARS", 25)
    data = prepare(text_of("abcd" * 100), None, TrainConfig(), None, CHAR)
    assert (len(data.train.ids), data.valid_chars) == (375, 25)


def test_the_tokenizer_is_built_from_the_part_to_train_on_only() -> None:
    data = prepare(text_of("ab" * 45 + "c" * 10), None, TrainConfig(valid_part="last"), None, CHAR)
    assert data.tokenizer.to_dict()["characters"] == "ab"
    assert (data.train.n_unknown, data.valid.n_unknown) == (0, 10)


@pytest.mark.parametrize("part", ["spread", "last"])
@pytest.mark.parametrize("between", [" ", "\n"])
def test_the_training_cut_does_not_go_through_a_word(part: ValidPart, between: str) -> None:
    words = TokenizerConfig("word", min_count=1)
    text = between.join(["delphinium", "chrysanthemum"] * 299)
    data = prepare(text_of(text), None, TrainConfig(valid_part=part), None, words)
    assert set(data.tokenizer.to_dict()["words"]) == {"delphinium", "chrysanthemum"}
    assert data.train.n_unknown == data.valid.n_unknown == 0
    # No token for the space that a block starts with:
    assert between == "\n" or len(data.train.ids) + len(data.valid.ids) == 2 * 299


def test_a_tokenizer_that_is_given_is_taken() -> None:
    tokenizer = ByteTokenizer()
    assert prepare(text_of("ab" * 10), None, TrainConfig(), tokenizer, CHAR).tokenizer is tokenizer


def test_a_validation_text_of_its_own_leaves_the_text_whole() -> None:
    data = prepare(text_of("abab", "ba"), text_of("aab"), TrainConfig(), None, CHAR)
    assert texts_of(data) == ("ababba", "aab")
    assert (data.survey.n_chars, data.valid_chars) == (6, 3)


def test_with_lines_every_line_is_on_one_side_and_ends_in_a_line_break() -> None:
    names = ["ann", "bob", "cid", "dan", "eve"]
    data = prepare(text_of("\n\n".join(names)), None, TrainConfig(lines=True, valid_fraction=0.4), None, CHAR)
    train, valid = texts_of(data)
    assert (train.count("\n"), valid.count("\n"), data.lines, data.survey.n_lines) == (3, 2, True, 5)
    assert data.valid_chars == len(valid) == 8
    again = prepare(text_of("\n\n".join(names)), None, TrainConfig(lines=True, valid_fraction=0.4), None, CHAR)
    assert texts_of(again) == (train, valid)


def test_with_lines_and_a_validation_text_blank_lines_are_left_out_of_both() -> None:
    data = prepare(text_of("ann\n\nbob"), text_of(" \nnan\n\n"), TrainConfig(lines=True), None, CHAR)
    assert texts_of(data) == ("ann\nbob\n", "nan\n")


def test_a_text_of_ten_characters_is_enough() -> None:
    assert texts_of(prepare(text_of("abcabcabca"), None, TrainConfig(), None, CHAR)) == ("abcacabca", "b")


LINES = TrainConfig(lines=True)
FEW_TOKENS = "the text has {} tokens to train on and {} to validate on, and needs at least 2 and 1: give more text"


@pytest.mark.parametrize(
    ("text", "valid", "config", "wanted", "message"),
    [
        ("", None, TrainConfig(), CHAR, "the text is empty: there is nothing to learn from"),
        ("a", None, TrainConfig(), CHAR, "the text has 1 character: too few to keep 10% for validation; "),
        ("ab", None, TrainConfig(), CHAR, FEW_TOKENS.format(1, 1)),
        ("word\n \n\n", " ", TrainConfig(), TokenizerConfig("word", split="whitespace"), FEW_TOKENS.format(4, 0)),
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


@pytest.mark.parametrize(("valid", "config"), [("", TrainConfig()), (" \n", LINES)])
def test_a_validation_text_at_fault_is_told_from_the_text_to_train_on(valid: str, config: TrainConfig) -> None:
    with pytest.raises(DataError, match="validation text"):
        prepare(text_of("abc\n" * 10), text_of(valid), config, None, CHAR)


def test_what_was_prepared_before_is_reused(tmp_path: Path) -> None:
    for reused in (False, True):
        data = prepare(text_of("abab" * 9), text_of("aab"), TrainConfig(), None, CHAR, tmp_path)
        assert (data.reused, texts_of(data), data.valid_chars) == (reused, ("abab" * 9, "aab"), 3)
    assert not prepare(text_of("abab" * 9), text_of("abb"), TrainConfig(), None, CHAR, tmp_path).reused


@pytest.mark.parametrize("lines", [False, True])
def test_two_splits_of_one_text_are_not_taken_for_each_other(tmp_path: Path, lines: bool) -> None:
    text = "".join(f"{n}\n" for n in range(100, 200))
    splits = [(seed, fraction) for seed in (1, 2) for fraction in (0.1, 0.2)]
    found = set()
    for seed, fraction in splits * 2:
        config = TrainConfig(lines=lines, seed=seed, valid_fraction=fraction)
        found.add(texts_of(prepare(text_of(text), None, config, None, CHAR, tmp_path)))
    assert len(found) == (4 if lines else 2)
    assert all(len(train) + len(valid) == 400 for train, valid in found)


def test_a_validation_text_of_its_own_is_known_by_its_hash() -> None:
    assert prepare(text_of("ab" * 20), None, TrainConfig(), None, CHAR).valid_sha256 is None
    with_valid = prepare(text_of("ab" * 20), text_of("ba"), TrainConfig(), None, CHAR)
    assert with_valid.valid_sha256 == hashlib.sha256(b"ba").hexdigest()


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("level", ["char", "word", "subword"])
def test_the_ids_of_a_text_are_the_same_however_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: Any, lines: bool
) -> None:
    monkeypatch.setattr(corpus, "LONGEST_CHUNK", 100)
    monkeypatch.setattr(corpus, "LONGEST_LINE", 300 if not lines else 10_000)
    words = [f"word{n % 97}" + "ly" * (n % 300 == 299) * 400 for n in range(1500)]
    content = (" ".join(words[:1000]) + "\n" + "\n".join(words[1000:]) + "\n").encode()
    halves = content.index(b"\n") + 1
    paths = {name: str(tmp_path / name) for name in ("plain", "text.gz", "one", "two")}
    written = (content, gzip.compress(content), content[:halves], content[halves:])
    for path, data in zip(paths.values(), written, strict=True):
        Path(path).write_bytes(data)
    found = set()
    config = TrainConfig(lines=lines, valid_fraction=0.3)
    sources = (["plain"], ["text.gz"], ["one", "two"], ["-"])
    ways = [(["plain"], 1 << 18), (["-"], 1009), *((source, 37) for source in sources)]
    for number, (names, read_bytes) in enumerate(ways):
        monkeypatch.setattr(unpacking, "READ_BYTES", read_bytes)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        text = FileText([paths.get(name, name) for name in names])
        data = prepare(text, None, config, None, TokenizerConfig(level), tmp_path / f"cache{number}")
        assert not data.reused
        found.add((data.survey.sha256, data.train.ids.tobytes(), data.valid.ids.tobytes()))
    assert len(found) == 1


class Counting:
    """A text that counts how often it is read."""

    def __init__(self, content: str) -> None:
        self.n_readings, self._content = 0, content

    def chunks(self) -> Iterator[str]:
        self.n_readings += 1
        yield self._content


@pytest.mark.parametrize("lines", [False, True])
def test_a_text_is_read_to_be_known_to_build_a_tokenizer_and_to_encode_both_parts(tmp_path: Path, lines: bool) -> None:
    config = TrainConfig(lines=lines)
    text = Counting("ab\n" * 60)
    prepare(text, None, config, None, CHAR, tmp_path)
    assert text.n_readings == 3
    prepare(text, None, config, None, CHAR, tmp_path)
    assert text.n_readings == 4  # only its hash was needed
    prepare(text, None, config, ByteTokenizer(), CHAR, tmp_path)
    assert text.n_readings == 6


def test_a_text_and_its_validation_text_are_each_encoded_in_one_reading(tmp_path: Path) -> None:
    text, valid = Counting("abab" * 30), Counting("ba")
    prepare(text, valid, TrainConfig(), None, CHAR, tmp_path)
    assert (text.n_readings, valid.n_readings) == (3, 2)


@pytest.mark.parametrize("reading", [1, 2])
def test_a_text_that_changes_between_its_readings_is_noticed_and_not_cached(tmp_path: Path, reading: int) -> None:
    class Changing:
        n_readings = 0

        def chunks(self) -> Iterator[str]:
            self.n_readings += 1
            yield "abab" * 50 if self.n_readings <= reading else "abba" * 50

    with pytest.raises(DataError, match=r"^the text changed while it was read: start again when nothing writes to it$"):
        prepare(Changing(), None, TrainConfig(), None, CHAR, tmp_path)
    data = prepare(text_of("abab" * 50), None, TrainConfig(), None, CHAR, tmp_path)
    assert "".join(texts_of(data)) == "abab" * 50
