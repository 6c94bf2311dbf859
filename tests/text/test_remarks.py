"""What the start of a text shows: marks, columns, copies; and no false alarm."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rnngen.config import Level, TokenizerConfig, TrainConfig
from rnngen.text.corpus import FileText, StringText, survey
from rnngen.text.dataset import prepare
from rnngen.text.remarks import START_CHARS, WithStart, remarks, words_are_apart

CORPORA = sorted(Path(__file__).parents[2].joinpath("corpora").glob("*.txt"))
SHARED = sorted(Path(__file__).parents[3].joinpath("shared", "corpora").rglob("*.t[xs][tv]"))
VERSE = [f"line {number} of the verse" for number in range(200)]


def lines(*parts: str) -> str:
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize("path", [*CORPORA, *SHARED], ids=lambda path: path.name)
def test_real_texts_give_no_remark(path):
    text = WithStart(FileText([str(path)]))
    survey(text)
    start = text.start
    assert remarks(start, by_lines=False) == ()
    assert words_are_apart(start)


def test_marks_of_sentences_are_found_where_they_are_words():
    [said] = remarks(lines(*(f"<s> {line} </s>" for line in VERSE)), False)
    assert said == (
        "the text has <s> or </s> 400 times in its first 200 lines: they are learnt as text, and rnngen knows without "
        "them where lines end: remove them"
    )
    assert remarks(lines(*(f"<s>{line}</s>" for line in VERSE)), False) == ()  # struck through, in HTML
    assert remarks(lines(*VERSE, "a tag <s> is a word"), False) == ()


@pytest.mark.parametrize(("delimiter", "name"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs")])
def test_a_table_is_known_by_its_columns_also_behind_quotes(delimiter, name):
    quoted = f'"said{delimiter} and ""done"""'
    rows = [delimiter.join((str(number), quoted, "x")) for number in range(12)]
    [said] = remarks(lines(delimiter.join(("id", "text", "kind")), *rows), False)
    assert said.startswith(f"the text is a table of 3 columns: the {name} between them are learnt as text; ")
    assert remarks(lines(*rows[:8]), False) == ()  # too few to tell
    assert remarks(lines(*(delimiter.join((str(n), "pair")) for n in range(12))), False) == ()
    assert remarks(lines(*VERSE, *rows), False) == ()


def test_json_lines_music_and_tablature_are_no_tables():
    for line in ('{{"id": {}, "said": "yes", "kind": 7}}', "|: A{}B c | d2 e2 | f4 :|", "e|---{}---|-----|--2--|"):
        assert remarks(lines(*map(line.format, range(12))), False) == ()


def test_a_quote_that_never_ends_makes_no_table():
    assert remarks('"' + lines(*(f"{n}, a verse, of three" for n in range(9000))), False) == ()


@pytest.mark.parametrize("by_lines", [False, True])
def test_lines_that_nearly_all_stand_there_more_than_once(by_lines):
    [said] = remarks(lines(*VERSE[:5], "") * 40, by_lines)
    assert said.startswith("100% of the first 200 lines stand there more than once: ")
    assert said.endswith(": sort -u removes copies" if by_lines else ": remove the copies")
    assert remarks(lines(*VERSE) * 2, by_lines) == (said.replace("200", "400"),)  # a text that is given twice
    assert remarks(lines(*VERSE, *VERSE[:100]), by_lines) == ()
    assert remarks(lines(*VERSE[:5]) * 19, by_lines) == ()  # a few lines


def test_short_lines_of_running_text_are_copies_only_in_the_same_order():
    column = lines(*(random.Random(7).choices(["the", "bell", "is", "slow", "to", "wake"], k=600)))
    assert remarks(column, False) == ()
    assert remarks(column, True) != ()
    assert remarks(column * 2, False) != ()


def test_only_the_start_is_kept():
    text = WithStart(StringText("a b\n" * START_CHARS))
    assert sum(map(len, text.chunks())) == 4 * START_CHARS
    assert START_CHARS <= len(text.start) < 1.5 * START_CHARS


def test_words_without_white_space_between_them():
    assert not words_are_apart("鐘はゆっくりと目を覚まし、渡し守は王を知らない。そして潮は満ちる。\n" * 9)
    assert words_are_apart("Donaudampfschifffahrt und Rindfleischetikettierung")
    assert words_are_apart("")


def notes_of(text: str, level: Level, **given: object) -> tuple[str, ...]:
    return prepare(StringText(text), None, TrainConfig(), given.get("tokenizer"), TokenizerConfig(level)).notes  # type: ignore[arg-type]


CHINESE = "".join(f"{chr(0x4E00 + n)}{chr(0x5000 + n)}在河边等着，\n" for n in range(400))
REMEDY = "a model of --level char or --level subword suits such a text"


def test_a_text_whose_words_are_mostly_unknown_is_one_for_characters():
    assert notes_of(CHINESE, "word") == (f"most words of the text to train on are unknown: {REMEDY}",)
    assert notes_of(CHINESE, "char") == notes_of(CHINESE, "subword") == ()
    play = CORPORA[0].read_text("utf-8")
    assert notes_of(play, "word") == ()
    words = prepare(StringText(play), None, TrainConfig(), None, TokenizerConfig("word")).tokenizer
    assert notes_of(CHINESE, "word", tokenizer=words) == (f"most words of the text to train on are unknown: {REMEDY}",)


def test_a_text_without_white_space_is_one_for_characters():
    text = "".join(sign * 3 + ("，" if n % 9 else "。\n") for n, sign in enumerate("鐘渡守王潮水夜風舟岸" * 90))
    said = "the text has hardly any white space, so its words are whole phrases at word level"
    assert f"{said}: {REMEDY}" in notes_of(text, "word")
    assert f"{said}: {REMEDY}" not in notes_of(text, "char")
