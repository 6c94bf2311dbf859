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
SIGNS = "aab'\u2019   \t\n\r\u0301\u00a0\u3000\x1c_-,.<>1\U0001f600\u00df"
JOINED = "\u200b\u200c\u200d\u00ad\ufe0f\u093f\u2640\U0001f1e9\U0001f1ea\U0001f3fd"
running_text = st.text(st.sampled_from(SIGNS + JOINED + JOINER))


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


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None),  # Persian with a zero width non-joiner
        ("\u0dc1\u0dca\u200d\u0dbb\u0dd3", None),  # Sinhala with a zero width joiner
        ("\u0939\u093f\u0928\u094d\u0926\u0940", None),  # Hindi: vowel signs and a virama
        ("soft\u00adhyphen", None),
        ("\U0001f44d\U0001f3fd", None),  # a thumb with a skin tone
        ("\U0001f1e9\U0001f1ea", None),  # a flag
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", ["\U0001f1e9\U0001f1ea", "~\U0001f1eb\U0001f1f7"]),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f", None),  # the tags of a flag
        ("1\ufe0f\u20e3", None),  # a keycap
        ("#\ufe0f\u20e3", None),
        ("\u2764\ufe0f", None),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", None),  # a family
        ("\U0001f3f3\ufe0f\u200d\U0001f308", None),
        ("cafe\u0301's", None),
        ("\u05e9\u05dc\u05d5\u05dd\u200f.", ["\u05e9\u05dc\u05d5\u05dd\u200f", "~."]),
        ("\u0e01\u200b\u0e02", ["\u0e01", "~\u200b", "~\u0e02"]),  # a zero width space does separate
        ("\U0001f44d\U0001f44d", ["\U0001f44d", "~\U0001f44d"]),
    ],
)
def test_format_and_extend_characters_do_not_break_a_word(text: str, tokens: list[str] | None) -> None:
    tokenizer = WordTokenizer.build(text_of(text), None, 1, "punctuation")
    assert tokens_of(tokenizer, text) == [token.replace("~", JOINER) for token in tokens or [text]]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", ["a\u00a0b", "a\u3000b", "a\vb", "a\fb", "a\x1cb", "a\u2028b", "a\u0085b"])
def test_split_text_is_split_at_blanks_and_tabs_only_and_at_a_carriage_return(text: str) -> None:
    tokenizer = WordTokenizer.build(text_of(text), None, None, "whitespace")
    assert tokens_of(tokenizer, text) == [text]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokens_of(WordTokenizer(["a", "b"], "whitespace"), "a  b\tb\ra\r\n b") == ["a", "b", "b", "a", "\n", "b"]


@pytest.mark.parametrize("text", ["so be ", " so be", "\tso  be\t ", "so \t be", "so be\r"])
def test_a_blank_at_the_ends_of_a_line_is_no_unknown_word(text: str) -> None:
    tokenizer = WordTokenizer(["so", "be"], "punctuation")
    assert tokens_of(tokenizer, text) == ["so", "be"]
    assert list(tokenizer.unknowns(text)) == []
    assert tokens_of(WordTokenizer(["so", "be", " "], "punctuation"), "so be ") == ["so", "be", " "]


def test_a_vocabulary_of_version_1_is_used_by_its_own_rules() -> None:
    running = WordTokenizer(["so", JOINER + "\u200c", JOINER + "be"], "punctuation", 1)
    assert tokens_of(running, "so\u200cbe ") == ["so", JOINER + "\u200c", JOINER + "be", "<unk>"]
    assert tokens_of(WordTokenizer(["so", "be"], "whitespace", 1), "so\u00a0be\vso") == ["so", "be", "so"]
    assert [tokenizer.to_dict().get("split_version") for tokenizer in (running, WordTokenizer([], "whitespace"))] == [
        None, 2,
    ]  # fmt: skip


@pytest.mark.parametrize("version", [0, 3, "2", True, None, [2]])
def test_a_version_of_the_rules_that_is_not_known_is_refused(version: Any) -> None:
    with pytest.raises(TokenizerError, match=r"its words are split by version .* this rnngen knows 1 to 2: "):
        WordTokenizer(["so"], "punctuation", version)


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
@example(f"{JOINER}\u0301 {JOINER}\u200d\u2640 {JOINER}\U0001f1e9\U0001f1ea")
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
        ("punctuation", " a  b\tc\n\n d ", [" ", "a", "b", "\t", "c", "\n", "\n", " ", "d", " "]),
        ("punctuation", " a  b\u00a0 c", [" ", "a", "b", "\u00a0 ", "c"]),
        ("punctuation", "a a,a ,a", ["a", "a", ",", "a", ",", "a"]),
        ("punctuation", f"{JOINER}a {JOINER}{JOINER}", [JOINER, "a", JOINER, JOINER]),
        ("whitespace", "  Ay, my\u3000lord!\n <unk> \n", ["Ay,", "my\u3000lord!", "\n", "<unk>", "\n"]),
        ("whitespace", " \t ", []),
        ("punctuation", "", []),
        ("whitespace", "", []),
    ],
)
def test_a_word_stands_where_it_was_written_without_the_spaces_that_it_implies(
    split: Any, text: str, surfaces: list[str]
) -> None:
    known = [" ", "\t"] if split == "punctuation" else []
    spans = WordTokenizer(["a", "my", *known], split).spans(text)
    assert (spans.dtype, spans.shape) == (np.int64, (len(surfaces), 2))
    assert [text[start:end] for start, end in spans.tolist()] == surfaces


def test_a_word_met_again_has_the_place_of_its_own() -> None:
    tokenizer = WordTokenizer([], "punctuation")
    assert tokenizer.spans("a an a,a\na").tolist() == [[0, 1], [2, 4], [5, 6], [6, 7], [7, 8], [8, 9], [9, 10]]


@settings(deadline=None)
@given(running_text, st.sampled_from(["punctuation", "whitespace"]))
@example("a ", "punctuation")
@example("\ta", "punctuation")
@example("a \u00a0\t", "punctuation")
def test_outside_of_all_spans_there_are_only_blanks_and_in_running_text_none_that_the_vocabulary_has(
    text: str, split: Any
) -> None:
    tokenizer = WordTokenizer(["a", "b", "  ", "\t"] if split == "punctuation" else ["a", "b"], split)
    spans = tokenizer.spans(text).tolist()
    assert len(spans) == len(tokenizer.encode(text))
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    between = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    assert all(end <= start for end, start in zip(ends, starts, strict=True))
    assert not "".join(between).strip(" \t\r")
    if split == "punctuation":
        assert not {"  ", "\t"} & set(between)


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
