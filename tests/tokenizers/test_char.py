"""Char and byte level."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnngen.errors import TokenizerError
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.symbols import Unknown

any_text = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("\0\t\n\r \u2581\u0301\u200d\ufeff\ufffd\U0001f600\U0010ffff")
)


def text_of(*chunks: str) -> Any:
    return SimpleNamespace(chunks=lambda: iter(chunks))


def test_hello_has_four_letters_and_four_training_pairs() -> None:
    tokenizer = CharTokenizer.build(text_of("hello"), None, None)
    assert tokenizer.characters == "ehlo"
    ids = tokenizer.encode("hello").tolist()
    assert ids == [3, 2, 4, 4, 5]
    pairs = [(tokenizer.token(x), tokenizer.token(y)) for x, y in pairwise(ids)]
    assert pairs == [("h", "e"), ("e", "l"), ("l", "l"), ("l", "o")]


def test_the_unknown_symbol_is_0_and_the_line_break_1_even_where_the_text_has_none() -> None:
    tokenizer = CharTokenizer.build(text_of("ab"), None, None)
    assert (tokenizer.unk_id, tokenizer.newline_id, tokenizer.vocab_size) == (0, 1, 4)
    assert tokenizer.encode("b\n\na?").tolist() == [3, 1, 1, 2, 0]
    assert tokenizer.encode("").dtype == np.int32
    assert [tokenizer.token(id) for id in range(4)] == ["<unk>", "\n", "a", "b"]
    assert tokenizer.decode([2, 0, 1]) == "a\ufffd\n"
    assert tokenizer.never_drawn == (0,)


@pytest.mark.parametrize(
    ("vocab_size", "min_count", "characters"),
    [(None, None, "abcz"), (None, 2, "abc"), (None, 3, "ab"), (5, None, "abc"), (4, 3, "ab"), (3, None, "a")],
)
def test_a_limited_vocabulary_keeps_the_most_frequent_characters(
    vocab_size: int | None, min_count: int | None, characters: str
) -> None:
    text = text_of("zbbb\n\n\n\n", "aaaa", "cc\n")
    tokenizer = CharTokenizer.build(text, vocab_size, min_count)
    assert tokenizer.characters == characters
    assert vocab_size is None or tokenizer.vocab_size <= vocab_size


@settings(deadline=None)
@given(any_text)
def test_decode_undoes_encode_within_the_char_vocabulary(text: str) -> None:
    tokenizer = CharTokenizer.build(text_of(text), None, None)
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert not np.isin(ids, tokenizer.never_drawn).any()
    assert tokenizer.decode(ids) == text
    decoder = tokenizer.decoder()
    assert "".join(map(decoder.push, ids.tolist())) == text


@settings(deadline=None)
@given(any_text)
def test_unknown_characters_are_those_that_encode_makes_the_unknown_symbol(text: str) -> None:
    tokenizer = CharTokenizer("ab \u0301\U0001f600")
    places = np.flatnonzero(tokenizer.encode(text) == 0).tolist()
    assert places == [place for place, c in enumerate(text) if c not in tokenizer.characters + "\n"]
    assert list(tokenizer.unknowns(text)) == [Unknown(text[place], place) for place in places]


@given(any_text | st.text(st.characters()))
def test_a_char_token_stands_where_its_character_stands_even_an_unknown_one(text: str) -> None:
    spans = CharTokenizer("ab").spans(text)
    assert spans.dtype == np.int64
    assert [text[start:end] for start, end in spans.tolist()] == list(text)


@pytest.mark.parametrize("characters", ["aba", "a\n"])
def test_a_char_vocabulary_with_a_character_twice_or_the_line_break_is_refused(characters: str) -> None:
    with pytest.raises(TokenizerError, match=r"^a char vocabulary needs distinct characters without the line break$"):
        CharTokenizer(characters)


def test_the_id_of_a_byte_is_its_value() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.encode("a\né").tolist() == [97, 10, 0xC3, 0xA9]
    assert (tokenizer.vocab_size, tokenizer.newline_id, tokenizer.unk_id) == (256, 10, None)
    assert [tokenizer.token(id) for id in (97, 10, 0xC3)] == ["a", "\n", "<0xC3>"]


@settings(deadline=None)
@given(any_text)
def test_decode_undoes_encode_for_the_bytes_of_any_text(text: str) -> None:
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(text)
    assert bytes(ids.tolist()) == text.encode()
    assert tokenizer.decode(ids) == text
    assert list(tokenizer.unknowns(text)) == []
    decoder = tokenizer.decoder()
    assert "".join(map(decoder.push, ids.tolist())) == text


def test_every_byte_of_a_character_has_the_span_of_the_character() -> None:
    spans = ByteTokenizer().spans("aé\n\u3000\U0001f600\ud800").tolist()
    one, two, three, four = [[0, 1]], [[1, 2]] * 2, [[3, 4]] * 3, [[4, 5]] * 4
    assert spans == [*one, *two, [2, 3], *three, *four, *[[5, 6]] * 3]


@given(any_text | st.text(st.characters()))
@example("\x7f\x80\u07ff\u0800\uffff\U00010000")
def test_a_character_has_as_many_byte_spans_as_utf8_gives_it_bytes(text: str) -> None:
    spans = ByteTokenizer().spans(text)
    assert spans.shape == (len(ByteTokenizer().encode(text)), 2)
    sizes = [len(character.encode("utf-8", "surrogatepass")) for character in text]
    assert spans.tolist() == [[place, place + 1] for place, size in enumerate(sizes) for _ in range(size)]


def test_bytes_are_held_back_until_their_character_is_whole() -> None:
    decoder = ByteTokenizer().decoder()
    assert [decoder.push(byte) for byte in "aé\U0001f600".encode()] == ["a", "", "é", "", "", "", "\U0001f600"]


def test_bytes_that_are_no_character_become_the_replacement_character() -> None:
    decoder = ByteTokenizer().decoder()
    assert [decoder.push(byte) for byte in b"\xffa\xc3"] == ["\ufffd", "a", ""]
    assert ByteTokenizer().decode([0xFF, 97, 0xC3]) == "\ufffda\ufffd"


def test_a_vocabulary_longer_than_there_are_characters_is_refused_at_once() -> None:
    with pytest.raises(TokenizerError, match=r"^a char vocabulary needs distinct characters"):
        CharTokenizer("ab" * 30_000_000)


def test_every_character_but_the_line_break_can_be_in_a_vocabulary() -> None:
    characters = "".join(chr(code) for code in range(0x110000) if code != ord("\n"))
    tokenizer = CharTokenizer(characters)
    assert tokenizer.decode(tokenizer.encode(characters[-3:] + "\ud800\0")) == characters[-3:] + "\ud800\0"
