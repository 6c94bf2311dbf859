"""Lines of words and tags, and what a tagger knows by name."""

from __future__ import annotations

import numpy as np
import pytest

from rnngen.errors import CheckpointError, DataError
from rnngen.text.corpus import StringText
from rnngen.text.tagged import MOST_TAGS, Sentence, TagVocabulary, check_lines, from_arrays, parse, sentences, to_arrays


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("the bell", "line 7 has 1 column: it must be words, a tab, and as many tags"),
        ("the\tDET\tx", "line 7 has 3 columns"),
        ("the bell\tDET", "line 7 has 2 words and 1 tag: it must have as many tags as words"),
        ("\tDET", "line 7 has 0 words and 1 tag"),
        (" \t ", "line 7 has 0 words and 0 tags"),
    ],
)
def test_a_line_that_is_no_sentence(line, said):
    with pytest.raises(DataError) as error:
        parse(line, "line 7")
    assert str(error.value).startswith(said)


def test_blank_lines_are_left_out_and_counted():
    assert list(sentences(["a\tX\n", "\n", " b  c\tY Z"])) == [Sentence(["a"], ["X"]), Sentence(["b", "c"], ["Y", "Z"])]
    with pytest.raises(DataError, match=r"line 3 of x has 1 column"):
        list(sentences(["a\tX", "", "b"], " of x"))


def test_every_line_of_a_text_is_checked():
    check_lines(StringText("a\tX\n" * 3), "")
    with pytest.raises(DataError, match="line 3 has 2 words and 1 tag"):
        check_lines(StringText("a\tX\nb\tX\nc d\tX\n"), "")
    with pytest.raises(DataError, match="the text has blank lines only"):
        check_lines(StringText("\n \n"), "")


def test_words_are_sorted_by_number_and_tags_by_name():
    known = TagVocabulary.of(sentences(["a b b\tY X X", "c\tX"]))
    assert known == TagVocabulary(("b", "a", "c"), ("X", "Y"))
    assert from_arrays(to_arrays(known), 3, 2) == known
    with pytest.raises(DataError, match="different tags, and 1,000 are the most: are the columns swapped"):
        TagVocabulary.of([Sentence(["a"], [str(number)]) for number in range(MOST_TAGS + 1)])


@pytest.mark.parametrize(
    ("words", "said"),
    [(b"a\nb\n", "has not the 3 entries"), (b"a\nb\nc", "has not"), (b"a\nb\nb\n", "distinct"),
     (b"a\n\nb\n", "distinct"), (b"a\nb c\nd\n", "without white space"), (b"a\n\xff\nd\n", "is not UTF-8")],
)  # fmt: skip
def test_broken_arrays_are_refused(words, said):
    arrays = to_arrays(TagVocabulary(("a", "b", "c"), ("X",))) | {"tags.words": np.frombuffer(words, np.uint8)}
    with pytest.raises(CheckpointError, match=said):
        from_arrays(arrays, 3, 1)
