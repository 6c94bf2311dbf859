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


def test_a_list_of_another_form_names_its_own(nbest):
    result = nbest("kaldi")
    assert (result.code, result.out) == (1, "")
    assert "use --nbest moses" in result.err
