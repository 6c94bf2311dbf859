"""n-best lists with new scores in them, and the best hypothesis of each."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from small_tokenizers import CONFIGS, build

from rnngen.engine.scoring import score_lines
from rnngen.errors import ConfigError, DataError, TokenizerError
from rnngen.evaluate.rescoring import best_hypotheses, rescore, rescore_files
from rnngen.tokenizers.char import CharTokenizer
from rnngen.tokenizers.unknowns import Unknowns

CHARS = CharTokenizer("abcdefghijklmnopqrstuvwxyz .")


@pytest.fixture
def network_for(make_engine):
    """A function: a tokenizer to a network with random weights, which finds the letters j, q, x and z unlikely."""

    def make(tokenizer):
        bias = np.zeros(tokenizer.vocab_size, np.float32)
        if tokenizer is CHARS:
            bias[tokenizer.encode("jqxz")] = -5
        return make_engine({"output.bias": bias}, vocab_size=tokenizer.vocab_size)

    return make


@pytest.fixture
def rescored(network_for):
    """A function: blocks of lines and their form to the rescored lines."""

    def call(arriving, form, tokenizer=CHARS, on_unknown="unk", unknowns=None):
        blocks = rescore(network_for(tokenizer), tokenizer, arriving, form, on_unknown, unknowns)
        return itertools.chain.from_iterable(blocks)

    return call


@pytest.fixture
def call(rescored):
    """A function: a list as one string, its form and more to what is written."""

    def written(content: str, form: str, best=False, weight=None, tokenizer=CHARS) -> str:
        lines = content.splitlines(keepends=True)
        arriving = [lines[:2], lines[2:]] if len(lines) > 2 else [lines] if lines else []
        found = rescored(arriving, form, tokenizer)
        texts = [one.if_best for one in best_hypotheses(found, form, weight)] if best else [one.line for one in found]
        return "".join(f"{text}\n" for text in texts)

    return written


@pytest.fixture
def nats(network_for):
    """A function: a line to its log-probability, by the plain way."""

    def measure(text: str, tokenizer=CHARS) -> float:
        (found,) = score_lines(network_for(tokenizer), [tokenizer.encode(text)], tokenizer.newline_id)
        return float(found.sum(dtype="float64"))

    return measure


def test_a_list_ends_with_its_file(network_for):
    files = [("a", [["-1 -1 1 be\n", "-2 -1 1 the\n"]]), ("b", [["-3 -1 1 bell\n"]])]
    lines = itertools.chain.from_iterable(rescore_files(network_for(CHARS), CHARS, files, "srilm"))
    assert [one.text for one in best_hypotheses(lines, "srilm", 0)] == ["be", "bell"]


def test_a_wrong_line_of_several_files_is_named_with_its_file(network_for):
    files = [("a", [["u-1 be\n", "u-2 the\n"]]), ("-", [["\n"]])]
    with pytest.raises(DataError, match=r"^line 1 of standard input is blank"):
        list(rescore_files(network_for(CHARS), CHARS, files, "kaldi"))
    with pytest.raises(DataError, match=r"^the list is empty"):
        list(rescore_files(network_for(CHARS), CHARS, [], "kaldi"))


GOOD, BAD = "be bell shall ring again.", "zqjkw bell the qqv zq."
KALDI = f"u-1 {BAD}\nu-2 {GOOD}\nv-1\n"


@pytest.mark.parametrize("level", ["char", "word", "bpe", "byte"])
def test_the_score_is_that_of_the_line_and_its_end(call, nats, level):
    tokenizer = build(CONFIGS[level])
    costs = [float(line.split()[1]) for line in call(KALDI, "kaldi", tokenizer=tokenizer).splitlines()]
    wanted = [-nats(BAD, tokenizer), -nats(GOOD, tokenizer), -nats("", tokenizer)]
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


def test_identical_hypotheses_have_identical_scores_in_any_order_and_list(call):
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


def test_the_best_of_moses_has_the_highest_total_and_weighted_score(call):
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


def test_what_comes_before_a_malformed_line_is_yielded(rescored):
    arriving = [[*KALDI.splitlines(True), "\n", "w-1\n"]]
    for best, wanted in ((False, ["u-1", "u-2", "v-1"]), (True, ["u"])):
        found = rescored(arriving, "kaldi")
        texts = (one.if_best for one in best_hypotheses(found, "kaldi")) if best else (one.line for one in found)
        for uttid in wanted:
            assert next(texts).split()[0] == uttid
        with pytest.raises(DataError, match="line 4 is blank"):
            next(texts)


def test_an_unknown_symbol_that_must_not_be_ends_the_list_with_its_line(rescored):
    found = rescored([["u-1 a\n", "u-2 漢\n"]], "kaldi", on_unknown="error")
    assert next(found).line.startswith("u-1 ")
    with pytest.raises(TokenizerError, match="the hypothesis in line 2 has a symbol"):
        next(found)


def test_unknown_symbols_are_counted_in_every_line_and_the_first_is_named(rescored):
    unknowns = Unknowns()
    lines = list(rescored([["u-1 a\n"], ["u-2 b漢\n", "u-3 b漢"]], "kaldi", on_unknown="skip", unknowns=unknowns))
    said = unknowns.note("the list", "skip")
    assert said.startswith("the list has 2 unknown symbols, left out; the first is '漢'")
    assert said.endswith("at character 2 of the hypothesis in line 2")
    assert len(lines) == 3


def test_nul_characters_and_very_long_lines_are_lines_like_others(call):
    out = call("u-1 a\0b\nu-2 " + "a " * 3000 + "\nu-3 a", "kaldi")
    assert [line.split()[0] for line in out.splitlines()] == ["u-1", "u-2", "u-3"]


def test_blocks_of_any_size_give_the_same(call, monkeypatch):
    content = KALDI * 3
    whole = call(content, "kaldi"), call(content, "kaldi", best=True)
    monkeypatch.setattr("rnngen.evaluate.scored_lines.MOST_LINES", 1)
    assert (call(content, "kaldi"), call(content, "kaldi", best=True)) == whole


@pytest.mark.parametrize(
    ("form", "weight", "message"),
    [
        ("kaldi", 2.0, "weight is 2: a Kaldi list has no other score"),
        ("moses", math.nan, "weight is nan: it must be a number from -1e\\+30 to 1e\\+30"),
    ],
)
def test_a_weight_that_weighs_nothing_is_refused_before_anything_is_read(form, weight, message):
    with pytest.raises(ConfigError, match=message):
        best_hypotheses(iter(()), form, weight)


def test_an_empty_list_is_an_error(call):
    with pytest.raises(DataError, match="the list is empty"):
        call("", "moses")
