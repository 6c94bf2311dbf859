"""What is read of a prompt, and how the text after it goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import CONFIGS, build

from rnngen.config import TokenizerConfig
from rnngen.errors import TokenizerError
from rnngen.tokenizers import levels
from rnngen.tokenizers.prompts import encode_prompt
from rnngen.tokenizers.splitting import JOINER
from rnngen.tokenizers.word import WordTokenizer

RUNNING = WordTokenizer(["The", "bell", "rings", JOINER + ",", "  "], "punctuation")
SPLIT = WordTokenizer(["The", "bell", "rings"], "whitespace")
OLD = [WordTokenizer(["The", "bell", "rings"], split, split_version=1) for split in ("punctuation", "whitespace")]
TEXT: Any = SimpleNamespace(chunks=lambda: iter(["the bell is slow to wake, the bells are slower\n" * 40]))
SUBWORDS: Any = levels.build(TokenizerConfig("subword", vocab_size=300), TEXT)


def continued(tokenizer: Any, text: str, *tokens: str) -> str:
    """The prompt and the text of tokens after it, as `sample` prints them."""
    prompt = encode_prompt(tokenizer, text, "skip")
    decoder = prompt.decoder()
    ids = [next(id for id in range(tokenizer.vocab_size) if tokenizer.token(id) == token) for token in tokens]
    assert prompt.first_ids is None or ids[0] in prompt.first_ids
    new = "".join(map(decoder.push, ids))
    assert new.startswith(prompt.owed)
    return text + new.removeprefix(prompt.owed)


def tokens_read(tokenizer: Any, text: str) -> list[str]:
    return [tokenizer.token(id) for id in encode_prompt(tokenizer, text, "error").ids.tolist()]


def first_tokens(tokenizer: Any, text: str) -> list[str] | None:
    """The tokens that may come first; None for all."""
    first = encode_prompt(tokenizer, text, "error").first_ids
    return None if first is None else [tokenizer.token(id) for id in first.tolist()]


@pytest.mark.parametrize("tokenizer", [RUNNING, SPLIT, *OLD], ids=["running", "split", "old running", "old split"])
@pytest.mark.parametrize(
    ("prompt", "whole"),
    [
        ("The bell", "The bell rings"),
        ("The bell ", "The bell rings"),
        ("The bell\t", "The bell\trings"),
        (" The bell ", " The bell rings"),
        ("Zyxxy", "Zyxxy rings"),  # an unknown word, which is left out
        ("Zyxxy ", "Zyxxy rings"),
        ("The Zyxxy", "The Zyxxy rings"),
        ("The bell\n", "The bell\nrings"),
        ("The bell \n", "The bell \nrings"),
        ("The bell\n ", "The bell\n rings"),
        ("", "rings"),
        (" ", " rings"),
    ],
)
def test_one_space_stands_between_a_prompt_and_the_next_word(tokenizer: Any, prompt: str, whole: str) -> None:
    assert continued(tokenizer, prompt, "rings") == whole


def test_after_a_space_the_next_token_is_a_word() -> None:
    assert tokens_read(RUNNING, "The bell ") == tokens_read(RUNNING, "The bell") == ["The", "bell"]
    assert first_tokens(RUNNING, "The bell ") == ["The", "bell", "rings", "  "]
    assert first_tokens(SPLIT, "The bell ") == ["The", "bell", "rings"]
    assert first_tokens(RUNNING, "The bell") is None
    assert continued(RUNNING, "The bell", JOINER + ",", "rings") == "The bell, rings"


def test_two_spaces_that_the_vocabulary_has_are_a_token_of_the_prompt() -> None:
    assert tokens_read(RUNNING, "The bell  ") == ["The", "bell", "  "]
    assert continued(RUNNING, "The bell  ", "rings") == "The bell  rings"


def test_other_white_space_is_followed_by_no_space_at_a_level_where_it_separates_words() -> None:
    assert continued(RUNNING, "The bell\u00a0", "rings") == "The bell\u00a0rings"
    assert continued(SPLIT, "The bell\u00a0", "rings") == "The bell\u00a0 rings"  # a part of the word


@pytest.mark.parametrize(
    ("prompt", "whole"),
    [("the bell ", "the bell slower"), ("the  ", "the  slower"), (" ", " slower"), ("the\n ", "the\n slower")],
)
def test_the_space_at_the_end_of_a_prompt_of_subwords_is_that_of_the_next_piece(prompt: str, whole: str) -> None:
    assert tokens_read(SUBWORDS, prompt) == subwords_of(prompt[:-1])
    first = first_tokens(SUBWORDS, prompt)
    assert first is not None
    pieces = map(SUBWORDS.token, range(SUBWORDS.vocab_size))
    assert set(first) == {piece for piece in pieces if piece[0] == " "} | {"<0x20>"}
    assert continued(SUBWORDS, prompt, " slower") == whole


def subwords_of(text: str) -> list[str]:
    return [SUBWORDS.token(id) for id in SUBWORDS.encode(text).tolist()]


@pytest.mark.parametrize("prompt", ["", "the bel", "the\n", "the\t", "\u2603", "the\u00a0"])
def test_subwords_without_a_space_at_the_end_are_read_as_they_stand(prompt: str) -> None:
    assert tokens_read(SUBWORDS, prompt) == subwords_of(prompt)
    assert first_tokens(SUBWORDS, prompt) is None


@pytest.mark.parametrize("level", ["char", "byte"])
def test_characters_and_bytes_are_read_as_they_stand(level: str) -> None:
    tokenizer = build(CONFIGS[level])
    prompt = encode_prompt(tokenizer, "to be ", "skip")
    assert (prompt.ids.tolist(), prompt.first_ids) == (tokenizer.encode("to be ").tolist(), None)


def test_an_unknown_word_of_a_prompt_is_an_error_where_that_is_asked_for() -> None:
    with pytest.raises(TokenizerError, match="the prompt has a symbol that the model does not know: 'Zyxxy'"):
        encode_prompt(RUNNING, "The Zyxxy ", "error")


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@settings(deadline=None, max_examples=50)
@given(st.text(st.sampled_from("to be,\t\n \u2581\u00a0é")), st.sampled_from(["unk", "skip"]))
def test_some_token_can_follow_every_prompt(config: TokenizerConfig, text: str, on_unknown: Any) -> None:
    prompt = encode_prompt(build(config), text, on_unknown)
    first = prompt.first_ids
    assert text.startswith(prompt.read.text + prompt.owed * (first is not None and "\t" not in text))
    assert first is None or len(first)
    assert first is None or all(prompt.decoder().peek(id).startswith(" ") for id in first.tolist())
