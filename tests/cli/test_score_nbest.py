"""`rnngen score --nbest`: what is written of n-best lists."""

from __future__ import annotations

import pytest

LIST = "0 ||| the bell ||| F= 1 ||| -1\n0 ||| zqxzqx☃ ||| F= 1 ||| -1\n1 ||| a ||| F= 1 ||| 0\n"


@pytest.fixture
def nbest(rnngen, models):
    def call(*arguments, content=LIST):
        return rnngen("score", "-", "-m", models["char"], "--nbest", *arguments, stdin=content.encode())

    return call


def test_every_line_has_its_score_and_unknown_symbols_are_noted(nbest):
    result = nbest("moses")
    assert result.code == 0
    for line, given in zip(result.out.splitlines(), LIST.splitlines(), strict=True):
        before, score = line.rsplit(" ||| ", 1)[0].split(" RNNLM= ")
        assert given.startswith(before)
        assert float(score) < 0
    assert "the list has 1 unknown symbol, taken as the unknown symbol; the first is '☃'" in result.err
    assert "at character 7 of the hypothesis in line 2" in result.err


def test_the_best_of_each_list_is_written_alone(nbest):
    assert nbest("moses", "--best").out == "the bell\na\n"
    assert nbest("moses", "--best", "--weight", "-1").out == "zqxzqx☃\na\n"
    assert nbest("kaldi", "--best", "-q", content="u-1 zqxjzq\nu-2 the\nv-1\n").out == "u the\nv\n"


def test_what_comes_before_a_malformed_line_is_written(nbest):
    for best, wanted in (((), "u-1 u-2 v-1"), (("--best",), "u")):
        result = nbest("kaldi", *best, content="u-1 zq\nu-2 the\nv-1\n\nw-1\n")
        assert (result.code, " ".join(line.split()[0] for line in result.out.splitlines())) == (1, wanted)
        assert "line 4 is blank" in result.err


def test_three_utterances_of_kaldi_stay_three_when_the_best_are_chosen(nbest):
    content = "1089-134686-0000 the bell\n1089-134686-0001 lads\n1089-134686-0002 haul\n"
    assert nbest("kaldi", "--best", content=content).out == content


def test_the_number_of_a_second_model_stands_beside_that_of_the_first(nbest, rnngen, models):
    once = nbest("moses").out
    assert once.count(" RNNLM= ") == 3
    both = rnngen("score", "-", "-m", models["lstm"], "--nbest", "moses", "--feature", "Second", stdin=once.encode())
    assert "already" not in both.err
    for line, before in zip(both.out.splitlines(), once.splitlines(), strict=True):
        features, total = before.rsplit(" ||| ", 1)
        assert line.startswith(f"{features} Second= -")
        assert line.endswith(f" ||| {total}")
    again = nbest("moses", content=once)
    assert again.out == once
    assert "3 lines had RNNLM= already, and its number was replaced: --feature NAME appends" in again.err
    assert nbest("moses", "--feature", "Second", "--best").out == nbest("moses", "--best").out


def test_a_name_that_cannot_be_a_feature_is_refused(nbest):
    for name in ("", "A=", "a b"):
        result = nbest("moses", "--feature", name)
        assert (result.code, result.out) == (2, "")
        assert f"feature is {name!r}: it must be a word" in result.err


def test_a_list_that_comes_again_is_noted_once(nbest):
    result = nbest("moses", "--best", content="".join(f"{id} ||| a ||| F= 1 ||| 0\n" for id in "01010"))
    assert result.out == "a\n" * 5
    assert result.err.count("the list 0 comes again after others") == 1
    assert result.err.count("comes again") == 1


def test_a_list_of_another_form_names_its_own(nbest):
    result = nbest("kaldi")
    assert (result.code, result.out) == (1, "")
    assert "use --nbest moses" in result.err
