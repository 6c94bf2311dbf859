"""Words of a line, and which of its tokens belong to each."""

from __future__ import annotations

import re
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnngen.config import TokenizerConfig
from rnngen.text.word_spans import line_words
from rnngen.tokenizers.base import Tokenizer
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.levels import build
from rnngen.tokenizers.word import WordTokenizer

TEXT: Any = SimpleNamespace(chunks=lambda: iter(["to be, or not to be:\n\tthat is the question\n" * 9]))
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer("tobe ,"),
    "byte": ByteTokenizer(),
    "word": WordTokenizer(["to", "be", " ", "  ", "\t"], "punctuation"),
    "split word": WordTokenizer(["to", "be,"], "whitespace"),
    "unigram": build(TokenizerConfig("subword"), TEXT),
    "bpe": build(TokenizerConfig("subword", subword_model="bpe"), TEXT),
}
each_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
any_line = st.text(st.characters() | st.sampled_from("to be,   \t\r\x1c\u2581\u3000\xa0\u0301\u200b\ufeff\U0001f600\n"))


def words_of(tokenizer: Tokenizer, line: str) -> tuple[list[str], list[int]]:
    words, numbers = line_words(line, tokenizer.spans(line))
    assert numbers.dtype == np.int64
    return words, numbers.tolist()


@pytest.mark.parametrize(
    ("name", "line", "words", "numbers"),
    [
        ("char", "to be", ["to", "be"], [0, 0, 1, 1, 1]),
        ("char", " to  be ", ["to", "be"], [0, 0, 0, 1, 1, 1, 1, 2]),
        ("char", "a? \u2581", ["a?", "\u2581"], [0, 0, 1, 1]),  # none of them known
        ("byte", "é\tb\u3000 ", ["é", "b\u3000"], [0, 0, 1, 1, 1, 1, 1, 2]),
        ("word", "to be, sir!", ["to", "be,", "sir!"], [0, 1, 1, 2, 2]),
        ("word", "\tto  be ", ["to", "be"], [0, 0, 1, 1, 2]),  # tab, to, two spaces, be, space
        ("word", "to \u00a0be", ["to", "\u00a0be"], [0, 1, 1]),
        ("split word", " to  be, ", ["to", "be,"], [0, 1]),
        ("char", "  ", [], [0, 0]),
        ("word", "  ", [], [0]),
        ("split word", "  ", [], []),
        ("byte", "", [], []),
        ("unigram", "", [], []),
        ("char", "to\nbe", ["to", "be"], [0, 0, 1, 1, 1]),
    ],
)
def test_white_space_belongs_to_the_word_after_it_and_at_the_end_to_the_line_s_end(
    name: str, line: str, words: list[str], numbers: list[int]
) -> None:
    assert words_of(TOKENIZERS[name], line) == (words, numbers)


@pytest.mark.parametrize(
    ("line", "spans", "numbers"),
    [
        ("to be", [(0, 2), (2, 5)], [0, 1]),  # "to", " be"
        ("to be", [(0, 3), (3, 5)], [0, 1]),  # "to ", "be": the space goes with its piece
        ("to be", [(0, 1), (1, 4), (4, 5)], [0, 1, 1]),  # "t", "o b", "e"
        ("a b c", [(0, 2), (2, 5)], [0, 2]),  # "a ", "b c": b has no token of its own
        ("a  b", [(0, 2), (2, 4)], [0, 1]),  # "a ", " b"
        ("a  ", [(0, 2), (2, 3)], [0, 1]),  # "a ", " "
        ("a", [(0, 1), (0, 1)], [0, 0]),  # two bytes of a character
    ],
)
def test_a_piece_belongs_to_the_word_of_its_last_character_that_is_no_white_space(
    line: str, spans: list[tuple[int, int]], numbers: list[int]
) -> None:
    assert line_words(line, np.array(spans, np.int64))[1].tolist() == numbers


def test_of_tokens_that_are_left_out_the_others_keep_their_words() -> None:
    tokenizer = TOKENIZERS["word"]
    known = tokenizer.encode("o to sir be") != tokenizer.unk_id
    words, numbers = line_words("o to sir be", tokenizer.spans("o to sir be")[known])
    assert words == ["o", "to", "sir", "be"]
    assert numbers.tolist() == [1, 3]


def test_words_are_separated_by_blank_tab_and_carriage_return_among_all_code_points() -> None:
    text = "".join(map(chr, range(0x110000)))
    words, numbers = words_of(TOKENIZERS["char"], text)
    borders = np.searchsorted(numbers, range(len(words) + 2)).tolist()
    assert [text[start:end].lstrip(" \t\r\n") for start, end in pairwise(borders)] == [*words, ""]
    assert len(words) == 4  # before the tab and the line break, before the carriage return, before the space, after it
    assert [word[0] for word in words[1:]] == ["\x0b", "\x0e", "!"]


def words_by_blanks(text: str) -> list[str]:
    return [word for word in re.split("[ \t\r\n]", text) if word]


@given(any_line, st.data())
def test_numbers_are_those_that_split_gives_for_the_text_so_far(line: str, data: st.DataObject) -> None:
    places = st.integers(0, max(len(line) - 1, 0))
    spans = data.draw(st.lists(st.tuples(places, places).map(sorted), max_size=9)) if line else []
    pairs = np.array([(first, last + 1) for first, last in spans], np.int64).reshape(-1, 2)
    words, numbers = line_words(line, pairs)
    assert words == words_by_blanks(line)
    for number, (start, end) in zip(numbers.tolist(), pairs.tolist(), strict=True):
        ink = line[start:end].rstrip(" \t\r\n")
        begun = len(words_by_blanks(line[: start + len(ink)])) - 1 if ink else len(words_by_blanks(line[:end]))
        assert number == begun


@each_tokenizer
@settings(deadline=None)
@given(any_line)
@example("to be, or not\u2581to be ")
@example("\ud800 \u3000\U0001f600")
def test_every_word_has_tokens_of_its_own_and_they_follow_one_another(tokenizer: Tokenizer, line: str) -> None:
    words, numbers = words_of(tokenizer, line)
    assert numbers == sorted(numbers)
    assert set(range(len(words))) <= set(numbers) <= set(range(len(words) + 1))


@each_tokenizer
@settings(deadline=None)
@given(any_line, st.data())
def test_words_and_the_end_of_the_line_sum_to_the_line(tokenizer: Tokenizer, line: str, data: st.DataObject) -> None:
    spans = tokenizer.spans(line)
    # Whole numbers, whose sums are exact in any order.
    logprobs = data.draw(st.lists(st.integers(-1000, 0), min_size=len(spans) + 1, max_size=len(spans) + 1))
    words, numbers = line_words(line, spans)
    sums = np.bincount(np.append(numbers, len(words)), logprobs, len(words) + 1)
    assert len(sums) == len(words) + 1
    assert sums.sum() == sum(logprobs)
