"""Lines of n-best lists, taken apart and put together again."""

from __future__ import annotations

import pytest

from rnngen.errors import ConfigError, DataError
from rnngen.text.corpus import LONGEST_LINE
from rnngen.text.nbest import check_feature, parse

MOSES = "0 ||| we must go . ||| d: 0 -5.5 LM0= -36.1 ||| -9.2298"


def rescored(line: str, form: str) -> str:
    return parse(line, form, "line 1").with_number("-1.25")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (MOSES, "0 ||| we must go . ||| d: 0 -5.5 LM0= -36.1 RNNLM= -1.25 ||| -9.2298"),
        (
            "7 |||  a  b  ||| LM0= 1  ||| 2 ||| 0-0 1-1 |||",
            "7 |||  a  b  ||| LM0= 1 RNNLM= -1.25  ||| 2 ||| 0-0 1-1 |||",
        ),
        ("s ||| ||| ||| -1e3", "s ||| ||| RNNLM= -1.25 ||| -1e3"),
        ("0\t||| a||| |||b ||| F= 1\t|||\t.5", "0\t||| a||| |||b ||| F= 1 RNNLM= -1.25\t|||\t.5"),
    ],
)
def test_a_moses_line_has_one_more_feature_and_is_otherwise_the_same(line, wanted):
    assert rescored(line, "moses") == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("-10.5 -3 2 a b", "-10.5 -1.25 2 a b"),
        (" -10.5\t-inf  2   a   b ", " -10.5\t-1.25  2   a   b "),
        ("-10 0 0", "-10 -1.25 0"),
        ("-10 0 2 <s> a b </s>", "-10 -1.25 2 <s> a b </s>"),
        ("-10 0 4 <s> a b </s>", "-10 -1.25 4 <s> a b </s>"),
    ],
)
def test_a_srilm_line_has_another_lscore_and_is_otherwise_the_same(line, wanted):
    assert rescored(line, "srilm") == wanted


def test_a_kaldi_line_becomes_an_uttid_and_a_cost():
    assert rescored("utt-a-1 we must go", "kaldi") == rescored("  utt-a-1\t", "kaldi") == "utt-a-1 -1.25"


def test_the_text_of_a_hypothesis_is_its_words_with_one_space_between():
    assert parse("0 |||  a \t b  ||| F= 1 ||| 2", "moses", "line 1").text == "a b"
    assert parse("-1 -1 2 <s>  a  b </s> ", "srilm", "line 1").text == "a b"
    assert parse("u  a  b ", "kaldi", "line 1").text == "a b"
    # White space beyond ASCII is part of a word, as the three tools have it; the marks count at the ends only.
    assert parse("-1 -1 3 a\u00a0b <s> c", "srilm", "line 1").text == "a\u00a0b <s> c"


@pytest.mark.parametrize(
    ("line", "form"), [("0 |||  ||| F= 1 ||| 2", "moses"), ("-1 -1 0 <s> </s>", "srilm"), ("u-1", "kaldi")]
)
def test_a_hypothesis_may_be_empty(line, form):
    assert parse(line, form, "line 1").text == ""


def test_a_hypothesis_knows_its_list_its_score_and_what_to_write_when_it_is_the_best():
    found = parse(MOSES, "moses", "line 1")
    assert (found.list_id, found.score, found.if_best) == ("0", -9.2298, "we must go .")
    found = parse("-10.5 -3 2 <s> a b </s>", "srilm", "line 1")
    assert (found.score, found.if_best) == (-10.5, "a b")
    found = parse("talk-2-1 a b", "kaldi", "line 1")
    assert (found.list_id, found.score, found.if_best) == ("talk-2", 0, "talk-2 a b")
    assert parse("talk a b", "kaldi", "line 1").list_id == parse("talk-1", "kaldi", "line 1").if_best == "talk"


def lists_of(lines: list[str], form: str) -> list[tuple[str, int]]:
    """The lists that lines are in, each as its ID and its number of lines."""
    found: list[list] = []
    before = None
    for line in lines:
        before = parse(line, form, "line 1", before)
        if before is None:
            continue
        if before.starts_list:
            found.append([before.list_id, 0])
        assert before.list_id == found[-1][0]
        found[-1][1] += 1
    return [(list_id, count) for list_id, count in found]


@pytest.mark.parametrize(
    ("uttids", "wanted"),
    [
        # As lattice-to-nbest numbers them; a list that was filtered, or sorted as text, is still one.
        ("a-1 a-2 a-3 b-1 c-1 c-2", [("a", 3), ("b", 1), ("c", 2)]),
        ("a-1 a-3 a-4", [("a", 3)]),
        ("a-1 a-10 a-11 a-2", [("a", 4)]),
        (
            "1089-134686-0000-1 1089-134686-0000-2 1089-134686-0001-1",
            [("1089-134686-0000", 2), ("1089-134686-0001", 1)],
        ),
        # Utterances of their own.
        (
            "1089-134686-0000 1089-134686-0001 1089-134686-0002",
            [("1089-134686-0000", 1), ("1089-134686-0001", 1), ("1089-134686-0002", 1)],
        ),
        ("a-7", [("a-7", 1)]),
        ("a-7 a-8 a-0 a-01", [("a-7", 1), ("a-8", 1), ("a-0", 1), ("a-01", 1)]),
        ("a a-2", [("a", 1), ("a-2", 1)]),
        ("a-1 b-2 a-2", [("a", 1), ("b-2", 1), ("a-2", 1)]),
        # Two lists of one utterance, such as those of two decoders.
        ("a-1 a-2 a-1 a-2", [("a", 2), ("a", 2)]),
        (f"a-1 a-{'9' * 5000}", [("a", 2)]),
    ],
)
def test_kaldi_numbers_hypotheses_from_1_without_leading_zeros_and_anything_else_is_an_utterance(uttids, wanted):
    assert lists_of([f"{uttid} the bell" for uttid in uttids.split()], "kaldi") == wanted
    found = [parse(f"{uttid} the bell", "kaldi", "line 1") for uttid in uttids.split()[:1]]
    assert found[0].if_best == f"{wanted[0][0]} the bell"


def test_lists_of_moses_and_srilm_are_what_stands_together():
    moses = [f"{id} ||| a ||| F= 1 ||| 0" for id in ("3", " 3", "7", "3", "utt-1", "utt-2")]
    assert lists_of(moses, "moses") == [("3", 2), ("7", 1), ("3", 1), ("utt-1", 1), ("utt-2", 1)]
    assert lists_of(["", "-1 0 0", "-2 0 0", " \t", "", "-3 0 0"], "srilm") == [("", 2), ("", 1)]


def test_a_blank_line_separates_lists_of_srilm():
    assert parse("", "srilm", "line 1") is None
    assert parse(" \t", "srilm", "line 1") is None


MISTAKES = [
    ("moses", "0 ||| a ||| F= 1", "has 2 separators ' ||| ' where a Moses list has 3 or more"),
    ("moses", "", "line 5 has 0 separators"),
    ("moses", "0|||a|||F= 1|||2", "has 0 separators"),
    ("moses", " ||| a ||| F= 1 ||| 2", "has no ID in its first field"),
    ("moses", "0 ||| a ||| F= 1 ||| nan", "has 'nan' where a number (total) must be"),
    ("moses", "0 ||| a ||| F= 1 |||", "has '' where a number (total) must be"),
    ("moses", "-1.5 -2 1 a", "for 'ascore lscore nwords words' use --nbest srilm"),
    ("moses", "utt-1 a", "for 'uttid words' use --nbest kaldi"),
    ("srilm", "-1 -2", "has 2 fields where a SRILM list has 3 or more"),
    ("srilm", "a -2 1 b", "has 'a' where a number (ascore) must be"),
    ("srilm", "-1 1_0 1 b", "has '1_0' where a number (lscore) must be"),
    ("srilm", "-1 -2 1.0 b", "has '1.0' where the number of words (nwords) must be"),
    ("srilm", "-1 -2 3 a b", "says nwords 3 and has 2 words"),
    ("srilm", "-1 -2 1 <s> a </s> b", "says nwords 1 and has 3 words"),
    ("srilm", MOSES, "use --nbest moses"),
    ("srilm", "utt-1 a b", "use --nbest kaldi"),
    ("kaldi", "  ", "is blank where a Kaldi list has an uttid"),
    ("kaldi", MOSES, "use --nbest moses"),
    ("kaldi", "-1.5 -2 2 a b", "use --nbest srilm"),
]


@pytest.mark.parametrize(("form", "line", "message"), MISTAKES)
def test_a_line_of_another_form_is_an_error_that_names_line_text_and_remedy(form, line, message):
    with pytest.raises(DataError) as caught:
        parse(line, form, "line 5")
    told = str(caught.value)
    assert told.startswith("line 5 ")
    assert message in told
    assert f"a line of --nbest {form} is '" in told


def test_a_malformed_line_is_shown_in_short_and_printable():
    with pytest.raises(DataError) as caught:
        parse("\0\x1b" + "x" * 1_000_000, "srilm", "line 1")
    assert "\\x00\\x1bxxx" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_words_of_digits_are_no_scores():
    assert parse("utt-1 2 1 5", "kaldi", "line 1").text == "2 1 5"


def test_a_list_that_has_our_number_already_gets_the_new_one_in_its_place():
    old = "0 ||| a b ||| LM= -1 RNNLM= -3.5 W= 2 ||| -7"
    assert parse(old, "moses", "line 1").with_number("-4.25") == "0 ||| a b ||| LM= -1 RNNLM= -4.25 W= 2 ||| -7"
    once = parse("0 ||| a b ||| LM= -1 ||| -7", "moses", "line 1").with_number("-4.25")
    assert parse(once, "moses", "line 1").with_number("-4.25") == once
    assert [parse(line, "moses", "line 1").replaces for line in (old, once, MOSES)] == [True, True, False]


def test_a_feature_of_another_name_stands_beside_the_first():
    first = parse("0 ||| a b ||| LM= -1 ||| -7", "moses", "line 1").with_number("-4.25")
    second = parse(first, "moses", "line 1", None, "Small").with_number("-5.5")
    assert second == "0 ||| a b ||| LM= -1 RNNLM= -4.25 Small= -5.5 ||| -7"
    again = parse(second, "moses", "line 1", None, "Small").with_number("-6")
    assert again == "0 ||| a b ||| LM= -1 RNNLM= -4.25 Small= -6 ||| -7"
    # A name that ends with ours is another one.
    old = "0 ||| a ||| BigRNNLM= 3 ||| -7"
    assert parse(old, "moses", "line 1").with_number("-1") == "0 ||| a ||| BigRNNLM= 3 RNNLM= -1 ||| -7"


@pytest.mark.parametrize("features", ["T= 1 2", "T= 1 T= 2", "T=", "T= x"])
def test_a_feature_that_is_not_one_number_is_not_replaced(features):
    with pytest.raises(DataError, match=r"^line 3 has a feature T= that is not one number: choose another name"):
        parse(f"0 ||| a ||| {features} ||| -7", "moses", "line 3", None, "T")


@pytest.mark.parametrize("name", ["", "a b", "A=", "|||", "a\tb", None])
def test_a_name_that_no_feature_can_have_is_refused(name):
    with pytest.raises(ConfigError, match=r"^feature is .*: it must be a word without = and \|"):
        check_feature(name)


def test_the_longest_line_is_that_of_all_that_takes_lines_one_by_one():
    line = "u " + "a" * (LONGEST_LINE - 2)
    assert len(parse(line, "kaldi", "line 1").text) == LONGEST_LINE - 2
    with pytest.raises(DataError, match="1,048,576 are the most"):
        parse(line + "a", "kaldi", "line 1")


@pytest.mark.parametrize("form", ["moses", "srilm", "kaldi"])
def test_a_line_of_a_hundred_million_characters_is_refused_at_once(form):
    with pytest.raises(DataError, match=r"^line 3 has 100,000,000 characters where 1,048,576 are the most: "):
        parse("||| " * 25_000_000, form, "line 3")


def test_a_score_of_a_million_digits_is_refused_and_not_computed():
    line = "1" * 1_000_000 + "x -1.5 1 to"
    with pytest.raises(DataError, match=r"^line 3 has '11111111111111111111' where a number \(ascore\) must be: "):
        parse(line, "srilm", "line 3")
