"""Tokens and words as fields of a line."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from small_tokenizers import CONFIGS, TEXT, build

from rnngen.config import TokenizerConfig
from rnngen.printable import marked
from rnngen.tokenizers.fields import token_field, word_field
from rnngen.tokenizers.word import WordTokenizer

WHITE = {"▁": " ", "␉": "\t", "␊": "\n", "␍": "\r"}


def unmarked(field: str) -> str:
    """The inverse of `marked`, as `docs/formats.md` describes it."""

    def read(found: re.Match[str]) -> str:
        backslashes, sign = found.groups()
        return "\\" * (len(backslashes) // 2) + (sign if len(backslashes) % 2 else WHITE[sign])

    return re.sub(r"(\\*)([▁␉␊␍])", read, field)


@pytest.mark.parametrize(
    ("token", "field"),
    [
        (" ", "▁"),
        (" the", "▁the"),
        ("\t", "␉"),
        ("\n", "␊"),
        ("\r", "␍"),
        ("▁", r"\▁"),
        (r"C:\tmp", r"C:\tmp"),
        ("soft\u00adhyphen", "soft\u00adhyphen"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\\ ", r"\\▁"),
        ("\x1b", "\x1b"),
    ],
)
def test_only_white_space_is_written_as_signs(token: str, field: str) -> None:
    assert marked(token) == field


@given(st.text(st.sampled_from(" \t\n\r▁␉␊␍\\ab\u00a0\u200c")))
@example(r"\\ \▁\\▁")
def test_a_field_has_no_white_space_that_ends_it_and_can_be_read_back(token: str) -> None:
    field = marked(token)
    assert not set(field) & set(" \t\n\r")
    assert unmarked(field) == token


@pytest.mark.parametrize("word", [r"C:\tmp", "▁the", "a\u00a0b", "\\n", "␊"])
def test_a_word_is_written_as_it_stands(word: str) -> None:
    assert word_field(word) == token_field(WordTokenizer([], "whitespace"))(word) == word
    assert word_field("\n") == "␊"


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_tokens_of_every_level_are_different_fields(config: TokenizerConfig) -> None:
    tokenizer: Any = build(config)
    fields = [token_field(tokenizer)(tokenizer.token(id)) for id in range(tokenizer.vocab_size)]
    assert len(set(fields)) == tokenizer.vocab_size
    shown = " ".join(fields[id] for id in tokenizer.encode(TEXT).tolist())
    assert shown.split() == shown.split(" ")
