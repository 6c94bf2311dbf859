"""Tokenizers built from texts, their files, ids that came from outside, and token counts."""

from __future__ import annotations

import pytest

from rnngen.config import TokenizerConfig
from rnngen.errors import DataError, OutputError, TokenizerError
from rnngen.text.corpus import StringText
from rnngen.text.tokens import build_tokenizer, count_tokens, decode_ids, load_tokenizer, save_tokenizer

AB = build_tokenizer(text="ab")


def test_a_tokenizer_is_built_from_a_file_as_from_its_text(tmp_path):
    (tmp_path / "text").write_text("so be it")
    assert build_tokenizer(tmp_path / "text").to_dict() == build_tokenizer(text="so be it").to_dict()


def test_an_empty_text_makes_a_tokenizer_of_bytes_only():
    assert build_tokenizer(text="", config=TokenizerConfig("byte")).vocab_size == 256
    with pytest.raises(DataError, match="empty"):
        build_tokenizer(text="")


def test_a_saved_tokenizer_is_loaded_and_not_overwritten_unasked(tmp_path):
    path = tmp_path / "ab.json"
    save_tokenizer(AB, path)
    assert load_tokenizer(str(path)).to_dict() == AB.to_dict()
    with pytest.raises(OutputError, match=r"ab\.json"):
        save_tokenizer(build_tokenizer(text="xyz"), path)
    assert load_tokenizer(path).to_dict() == AB.to_dict()
    save_tokenizer(build_tokenizer(text="xyz"), path, replace=True)
    assert load_tokenizer(path).vocab_size == 5


@pytest.mark.parametrize("id", [-1, 4])
def test_ids_that_do_not_exist_are_named(id):
    with pytest.raises(DataError, match=f"line 7 has the id {id}: this tokenizer has 0 to 3"):
        decode_ids(AB, [2, id, 3], "line 7")
    assert decode_ids(AB, [2, 3]) == "ab"


def test_counts_are_of_tokens_characters_and_unknown_symbols():
    counts = count_tokens(AB, StringText("ab☃\n☃☃\n "))
    assert counts.to_dict() == {"level": "char", "vocab_size": 4, "n_chars": 8, "n_tokens": 8, "chars_per_token": 1.0,
                                "n_unknown": 4, "unknown_rate": 0.5}  # fmt: skip
    assert "U+2603 SNOWMAN) at character 3" in counts.unknowns.note("the text", "unk")


def test_unknown_symbols_can_be_left_out_or_refused():
    counts = count_tokens(AB, StringText("a☃b"), "skip")
    assert (counts.n_tokens, counts.n_chars, counts.unknowns.count) == (2, 3, 1)
    with pytest.raises(TokenizerError, match="SNOWMAN"):
        count_tokens(AB, StringText("a☃b"), "error")


@pytest.mark.parametrize(("text", "how"), [("", "unk"), ("☃", "skip")])
def test_a_text_without_tokens_cannot_be_counted(text, how):
    with pytest.raises(DataError, match="empty"):
        count_tokens(AB, StringText(text), how)


def test_a_tokenizer_file_is_never_overwritten_unasked(tmp_path):
    save_tokenizer(AB, tmp_path / "ab.json")
    with pytest.raises(OutputError, match=r"ab.json exists already and is not overwritten: give replace=True, or name"):
        save_tokenizer(AB, tmp_path / "ab.json")
    save_tokenizer(AB, tmp_path / "ab.json", replace=True)
