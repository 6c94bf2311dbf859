"""Word level: running text without loss, and text that is split already."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnngen.errors import TokenizerError
from rnngen.tokenizers import word
from rnngen.tokenizers.symbols import Unknown
from rnngen.tokenizers.word import WordTokenizer

JOINER = "\uffed"
running_text = st.text(st.sampled_from("aab'\u2019   \t\n\u0301\u00a0\u3000\x1c_-,.<>1\U0001f600\u00df" + JOINER))


def text_of(*chunks: str) -> Any:
    return SimpleNamespace(chunks=lambda: iter(chunks))


def tokens_of(tokenizer: WordTokenizer, text: str) -> list[str]:
    return [tokenizer.token(id) for id in tokenizer.encode(text).tolist()]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Ay, my lord!", ["Ay", "~,", "my", "lord", "~!"]),
        ("don't o\u2019er 'tis rock'", ["don't", "o\u2019er", "'", "~tis", "rock", "~'"]),
        ("well-known snake_case 3.14", ["well", "~-", "~known", "snake_case", "3", "~.", "~14"]),
        ("cafe\u0301 (nai\u0308ve)", ["cafe\u0301", "(", "~nai\u0308ve", "~)"]),
        ("one  two\tthree", ["one", "  ", "two", "\t", "three"]),
        (" led and trailed ", [" ", "led", "and", "trailed", " "]),
        ("\tindented line", ["\t", "indented", "line"]),
        ("a\tb  c", ["a", "\t", "b", "  ", "c"]),
        ("a\n\nb", ["a", "\n", "\n", "b"]),
        ("... ?!", [".", "~.", "~.", "?", "~!"]),
        ("", []),
    ],
)
def test_running_text_is_split_at_punctuation_and_implies_single_spaces(text: str, tokens: list[str]) -> None:
    tokenizer = WordTokenizer.build(text_of(text), None, 1, "punctuation")
    assert tokens_of(tokenizer, text) == [token.replace("~", JOINER) for token in tokens]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_word_is_the_same_symbol_at_the_start_of_a_line_and_in_the_middle() -> None:
    tokenizer = WordTokenizer(["so", "be", "it"], "punctuation")
    assert tokenizer.encode("so be it\nit be so").tolist() == [2, 3, 4, 1, 4, 3, 2]


@settings(deadline=None)
@given(running_text)
@example("\ta")
@example("a\t")
@example("a\tb  c")
@example(" a  b")
@example(f"{JOINER}a {JOINER}{JOINER} a{JOINER}")
@example("<unk> a<unk>")
def test_decode_undoes_encode_within_the_word_vocabulary(text: str) -> None:
    tokenizer = WordTokenizer.build(text_of(text), None, 1, "punctuation")
    ids = tokenizer.encode(text)
    assert not np.isin(ids, tokenizer.never_drawn).any()
    assert tokenizer.decode(ids) == text
    decoder = tokenizer.decoder()
    assert "".join(map(decoder.push, ids.tolist())) == text


@settings(deadline=None)
@given(running_text)
@example("a ")
@example(" a")
@example("\ta")
def test_the_named_unknowns_are_as_many_as_encode_makes_and_stand_at_their_places(text: str) -> None:
    tokenizer = WordTokenizer(["a", "b", JOINER + ",", "\t"], "punctuation")
    spans = tokenizer.spans(text)[tokenizer.encode(text) == 0].tolist()
    assert list(tokenizer.unknowns(text)) == [Unknown(text[start:end], start) for start, end in spans]
    assert all(start < end for start, end in spans)


@pytest.mark.parametrize(
    ("split", "text", "surfaces"),
    [
        ("punctuation", "Ay, my lord!", ["Ay", ",", "my", "lord", "!"]),
        ("punctuation", " a  b\tc\n\n d ", [" ", "a", "  ", "b", "\t", "c", "\n", "\n", " ", "d", " "]),
        ("punctuation", " a  b", [" ", "a", "  ", "b"]),
        ("punctuation", "a a,a ,a", ["a", "a", ",", "a", ",", "a"]),
        ("punctuation", f"{JOINER}a {JOINER}{JOINER}", [JOINER, "a", JOINER, JOINER]),
        ("whitespace", "  Ay, my\u3000lord!\n <unk> \n", ["Ay,", "my", "lord!", "\n", "<unk>", "\n"]),
        ("whitespace", " \t ", []),
        ("punctuation", "", []),
        ("whitespace", "", []),
    ],
)
def test_a_word_stands_where_it_was_written_without_the_spaces_that_it_implies(
    split: Any, text: str, surfaces: list[str]
) -> None:
    spans = WordTokenizer(["a", "my"], split).spans(text)
    assert (spans.dtype, spans.shape) == (np.int64, (len(surfaces), 2))
    assert [text[start:end] for start, end in spans.tolist()] == surfaces


def test_a_word_met_again_has_the_place_of_its_own() -> None:
    tokenizer = WordTokenizer([], "punctuation")
    assert tokenizer.spans("a an a,a\na").tolist() == [[0, 1], [2, 4], [5, 6], [6, 7], [7, 8], [8, 9], [9, 10]]


@settings(deadline=None)
@given(running_text, st.sampled_from(["punctuation", "whitespace"]))
@example("a ", "punctuation")
@example("\ta", "punctuation")
def test_outside_of_all_spans_there_is_only_white_space_and_in_running_text_only_single_spaces(
    text: str, split: Any
) -> None:
    tokenizer = WordTokenizer(["a", "b"], split)
    spans = tokenizer.spans(text).tolist()
    assert len(spans) == len(tokenizer.encode(text))
    assert "".join("".join(text[start:end] for start, end in spans).split()) == "".join(text.split())
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    between = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    assert all(end <= start for end, start in zip(ends, starts, strict=True))
    if split == "punctuation":
        assert set(between) <= {"", " "}
        assert between[0] == between[-1] == ""
    else:
        assert not "".join(between).strip()


def test_unknown_words_are_named_with_their_places() -> None:
    tokenizer = WordTokenizer(["so", "be", JOINER + ","], "punctuation")
    assert list(tokenizer.unknowns("so, bee\nbe; so")) == [Unknown("bee", 4), Unknown(";", 10)]
    assert tokenizer.decode(tokenizer.encode("so, bee be")) == "so, <unk> be"


def test_in_running_text_a_written_unk_is_a_word_between_two_unknown_signs() -> None:
    tokenizer = WordTokenizer(["so", JOINER + "unk"], "punctuation")
    assert list(tokenizer.unknowns("so <unk>")) == [Unknown("<", 3), Unknown(">", 7)]


@pytest.mark.parametrize(
    ("split", "vocab_size", "min_count", "words"),
    [
        ("whitespace", None, None, ["a", "b", "c", "d"]),
        ("whitespace", None, 2, ["a", "b", "c"]),
        ("whitespace", 4, None, ["a", "b"]),
        ("punctuation", None, None, ["a", "b", "c"]),
        ("punctuation", None, 1, ["a", "b", "c", "d"]),
        ("punctuation", 3, 1, ["a"]),
    ],
)
def test_the_vocabulary_holds_the_most_frequent_words_first(
    split: Any, vocab_size: int | None, min_count: int | None, words: list[str]
) -> None:
    tokenizer = WordTokenizer.build(text_of("d c c\n", "b b a a\na"), vocab_size, min_count, split)
    assert tokenizer.words == ["<unk>", "\n", *words]
    assert tokenizer.vocab_size == len(words) + 2


def test_split_text_is_taken_as_it_stands_and_unk_in_it_is_the_unknown_symbol() -> None:
    text = " the <unk> , don't @-@ the \n\n = Title = \n"
    tokenizer = WordTokenizer.build(text_of(text), None, None, "whitespace")
    tokens = ["the", "<unk>", ",", "don't", "@-@", "the", "\n", "\n", "=", "Title", "=", "\n"]
    assert tokens_of(tokenizer, text) == tokens
    assert tokenizer.decode(tokenizer.encode(text)) == "the <unk> , don't @-@ the\n\n= Title =\n"
    assert np.count_nonzero(tokenizer.encode(text) == tokenizer.unk_id) == 1
    assert list(tokenizer.unknowns(text)) == []
    assert list(tokenizer.unknowns(" the  Titles\n")) == [Unknown("Titles", 6)]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["the", "<unk>", ",", "don't", "\n", JOINER, JOINER + "a"])))
def test_decode_undoes_encode_for_split_text_with_single_spaces(words: list[str]) -> None:
    text = "\n".join(" ".join(line.split()) for line in " ".join(words).split("\n"))
    tokenizer = WordTokenizer.build(text_of(text), None, None, "whitespace")
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("words", [["a", "a"], ["a", ""], ["\n"], ["<unk>"]])
def test_a_vocabulary_with_a_word_twice_or_an_empty_one_is_refused(words: list[str]) -> None:
    with pytest.raises(TokenizerError, match=r"^a word vocabulary needs distinct words, none empty$"):
        WordTokenizer(words, "punctuation")


@pytest.mark.parametrize("split", ["punctuation", "whitespace"])
def test_little_memory_for_runs_changes_neither_the_vocabulary_nor_the_ids(monkeypatch, split):
    text = "one two, three four; two one five-six one\n" * 3
    texts = text_of(*(text[start : start + 43] for start in range(0, len(text), 43)))
    made = WordTokenizer.build(texts, 8, None, split)
    ids = made.encode(text)
    monkeypatch.setattr("rnngen.tokenizers.word._MOST_RUNS", 3)
    again = WordTokenizer.build(texts, 8, None, split)
    assert again.words == made.words
    np.testing.assert_array_equal(again.encode(text), ids)


def test_of_too_many_distinct_words_the_rare_ones_are_forgotten_and_the_frequent_ones_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(word, "_MOST_WORDS", 100)
    monkeypatch.setattr(word, "_MOST_RUNS", 50)
    largest = 0

    def forget(counts: Counter[str]) -> None:
        nonlocal largest
        largest = max(largest, len(counts))
        forget_rare(counts)

    forget_rare = word._forget_rare
    monkeypatch.setattr(word, "_forget_rare", forget)
    lines = [f"the cat {n} sat on {n * 7919 % 10007} mats\n" for n in range(5000)]
    tokenizer = WordTokenizer.build(text_of(*lines), 8, 2, "punctuation")
    assert set(tokenizer.words[2:]) == {"the", "cat", "sat", "on", "mats"} | set(tokenizer.words[7:])
    assert 100 < largest < 200


@pytest.mark.parametrize(
    ("words", "split"),
    [
        (["a b"], "punctuation"),
        (["a\u2028"], "punctuation"),
        ([" \n"], "punctuation"),
        (["a", " "], "whitespace"),
        (["a\tb"], "whitespace"),
    ],
)
def test_a_word_with_white_space_in_it_that_no_text_could_have_is_refused(words: list[str], split: Any) -> None:
    with pytest.raises(TokenizerError, match=r"^a word vocabulary needs words without white space in them$"):
        WordTokenizer(words, split)


def test_white_space_alone_is_a_word_of_running_text() -> None:
    assert WordTokenizer(["a", "  ", "\t"], "punctuation").vocab_size == 5


def test_ids_of_runs_are_kept_in_bounded_memory(monkeypatch):
    monkeypatch.setattr("rnngen.tokenizers.word._MOST_KEPT", 3)
    tokenizer = WordTokenizer(["a", "b"], "punctuation")
    text = "a b c d e f g a " + "b" * 1000
    first = tokenizer.encode(text).tolist()
    assert tokenizer.encode(text).tolist() == first
    assert len(tokenizer._ids_of_run) <= 3
    assert max(map(len, tokenizer._ids_of_run)) <= 64
