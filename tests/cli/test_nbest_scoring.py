"""n-best lists with rnngen's numbers in them, and the best hypothesis of each."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from rnngen.cli.output import Console
from rnngen.errors import ConfigError, DataError, TokenizerError
from rnngen.evaluate.rescoring import nbest
from rnngen.models import Model


@pytest.fixture
def loaded(models):
    """A function: name of a model to that model, ready to run."""
    from rnngen import checkpoint
    from rnngen.engine.language_model import Engine

    def load(name: str = "char") -> Model:
        found = checkpoint.load(Path(models[name]))
        return Model(Path(models[name]), found, Engine(found.config, found.weights))

    return load


@pytest.fixture
def call(loaded, capsys):
    """A function: a list as one string, its form and more to what is written."""

    def score(content: str, form: str, best=False, weight=None, on_unknown="unk", model="char") -> str:
        lines = content.splitlines(keepends=True)
        arriving = iter([lines[:2], lines[2:]] if len(lines) > 2 else [lines] if lines else [])
        capsys.readouterr()
        nbest(loaded(model), arriving, form, best, weight, on_unknown, Console(False))
        return capsys.readouterr().out

    return score


@pytest.fixture
def nats(loaded):
    """A function: a line to its log-probability, by the plain way."""
    from rnngen.engine.scoring import score_lines

    def measure(text: str, model: str = "char") -> float:
        one = loaded(model)
        tokenizer = one.tokenizer
        (found,) = score_lines(one.model, [tokenizer.encode(text)], tokenizer.newline_id)
        return float(found.sum(dtype="float64"))

    return measure


GOOD, BAD = "The bell shall ring again.", "Zzq xjkw bell the qqv."
KALDI = f"u-1 {BAD}\nu-2 {GOOD}\nv-1\n"


@pytest.mark.parametrize("model", ["char", "word", "subword", "byte"])
def test_the_number_is_that_of_the_line_and_its_end(call, nats, model):
    costs = [float(line.split()[1]) for line in call(KALDI, "kaldi", model=model).splitlines()]
    wanted = [-nats(BAD, model), -nats(GOOD, model), -nats("", model)]
    assert costs == pytest.approx(wanted, abs=1e-4)


def test_moses_and_srilm_have_logarithms_to_base_ten(call, nats):
    wanted = pytest.approx(nats(GOOD) / math.log(10), abs=1e-4)
    out = call(f"0 ||| {GOOD} ||| F= 1 ||| 2\n", "moses")
    before, value = out.removesuffix(" ||| 2\n").split(" RNNLM= ")
    assert before == f"0 ||| {GOOD} ||| F= 1"
    assert float(value) == wanted
    ascore, value, rest = call(f"-7.5 -99 5  {GOOD}\n", "srilm").split(" ", 2)
    assert (ascore, rest) == ("-7.5", f"5  {GOOD}\n")
    assert float(value) == wanted


def test_identical_hypotheses_have_identical_numbers_in_any_order_and_list(call):
    generator = random.Random(1)
    words = GOOD.split() + BAD.split()
    texts = [" ".join(generator.choices(words, k=generator.randrange(9))) for _ in range(40)] * 2
    numbers = dict(zip(texts, (line.split()[1] for line in call(listed(texts), "kaldi").splitlines()), strict=True))
    for size in (80, 33, 1):
        chosen = generator.sample(texts, size)
        found = [line.split()[1] for line in call(listed(chosen), "kaldi").splitlines()]
        assert found == [numbers[text] for text in chosen]


def listed(texts: list[str]) -> str:
    return "".join(f"u-{number} {text}\n" for number, text in enumerate(texts, 1))


def test_the_best_of_moses_has_the_highest_total_and_weighted_number(call):
    content = f"0 ||| {BAD} ||| F= 1 ||| -1\n0 ||| {GOOD} ||| F= 1 ||| -1.5\n1 ||| a ||| F= 1 ||| 0\n"
    assert call(content, "moses", best=True) == f"{GOOD}\na\n"
    assert call(content, "moses", best=True, weight=0.0) == f"{BAD}\na\n"
    assert call(content, "moses", best=True, weight=-1.0) == f"{BAD}\na\n"


def test_the_best_of_srilm_is_one_a_list_and_blank_lines_separate_lists(call):
    content = f"-1 0 5 <s> {BAD} </s>\n-1 0 5 {GOOD}\n\n\n-1 0 0\n"
    assert call(content, "srilm", best=True) == f"{GOOD}\n\n"
    assert call(content, "srilm").split("\n")[2:4] == ["", ""]
    one_list = f"-1 0 5 {BAD}\n-3 0 5 {GOOD}\n"
    assert call(one_list, "srilm", best=True, weight=8.0) == f"{GOOD}\n"
    assert call(one_list, "srilm", best=True, weight=0.001) == f"{BAD}\n"


def test_the_best_of_kaldi_costs_the_least(call):
    assert call(KALDI, "kaldi", best=True) == f"u {GOOD}\nv\n"


def test_of_equals_the_first_is_the_best(call):
    content = "0 ||| a  b ||| F= 1 ||| 2\n0 ||| b ||| F= 1 ||| 0\n0 ||| b ||| F= 1 ||| 1e0\n"
    assert call(content, "moses", best=True, weight=0.0) == "a b\n"
    same = "".join(f"0 ||| {text} ||| F= 1 ||| 1\n" for text in ("b", "a", "c"))
    assert call(same, "moses", best=True, weight=0.0) == "b\n"


def test_what_comes_before_a_malformed_line_is_written(loaded, capsys):
    for best, wanted in ((False, ["u-1", "u-2", "v-1"]), (True, ["u"])):
        with pytest.raises(DataError, match="line 4 is blank"):
            nbest(loaded(), iter([[*KALDI.splitlines(True), "\n", "w-1\n"]]), "kaldi", best, None, "unk", Console(True))
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == wanted


def test_an_unknown_symbol_that_must_not_be_ends_the_list_with_its_line(loaded, capsys):
    with pytest.raises(TokenizerError, match="the hypothesis in line 2 has a symbol"):
        nbest(loaded(), iter([["u-1 a\n", "u-2 漢\n"]]), "kaldi", False, None, "error", Console(True))
    assert capsys.readouterr().out.startswith("u-1 ")


def test_unknown_symbols_are_counted_in_every_line_and_the_first_is_named(loaded, capsys):
    nbest(loaded(), iter([["u-1 a\n"], ["u-2 b漢\n", "u-3 b漢"]]), "kaldi", False, None, "skip", Console(False))
    out, err = capsys.readouterr()
    assert "the list has 2 unknown symbols, left out; the first is '漢'" in err
    assert "at character 2 of the hypothesis in line 2" in err
    assert len(out.splitlines()) == 3


def test_nul_characters_and_very_long_lines_are_lines_like_others(call):
    out = call("u-1 a\0b\nu-2 " + "a " * 3000 + "\nu-3 a", "kaldi")
    assert [line.split()[0] for line in out.splitlines()] == ["u-1", "u-2", "u-3"]


def test_blocks_of_any_size_give_the_same(call, monkeypatch):
    content = KALDI * 3
    whole = call(content, "kaldi"), call(content, "kaldi", best=True)
    monkeypatch.setattr("rnngen.evaluate.scored_lines.MOST_LINES", 1)
    assert (call(content, "kaldi"), call(content, "kaldi", best=True)) == whole


@pytest.mark.parametrize(
    ("form", "best", "weight", "message"),
    [
        ("kaldi", True, 2.0, "weight is 2: a Kaldi list has no other score"),
        ("moses", True, math.nan, "weight is nan: it must be a finite number"),
        ("srilm", False, 8.0, "weight is 8: it is for choosing the best hypothesis; add --best"),
    ],
)
def test_a_weight_that_weighs_nothing_is_refused(call, form, best, weight, message):
    with pytest.raises(ConfigError, match=message):
        call("u-1 a\n", form, best=best, weight=weight)


def test_an_empty_list_is_an_error(call):
    with pytest.raises(DataError, match="the list is empty"):
        call("", "moses")
