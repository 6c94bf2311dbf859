"""Choosing among scored lines, from log-probabilities by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnngen.errors import ConfigError
from rnngen.evaluate.scored_lines import Boundaries, ScoredLine
from rnngen.evaluate.selection import Choice, choose, choose_texts
from rnngen.storage import sorted_texts
from rnngen.tokenizers.base import encode_known
from rnngen.tokenizers.char import CharTokenizer

TOKENIZER = CharTokenizer("ab")
# Mean surprisals 2, 1, 3, 1; the log-probabilities of the lines -4, -1, -9, -3.
LOGPROBS = [[-2, -2], [-1], [-3, -3, -3], [-1, -1, -1]]


def test_of_equal_lines_the_first_of_the_first_file_comes_first():
    files = [[line(1, [-3]), line(2, [-1])], [line(1, [-1]), line(2, [-3])]]
    order = [list(texts) for texts in choose_texts(iter(files), Choice(sort="logprob"), lambda one: str(one.number))]
    assert order == [["2", "1", "1", "2"]]


def line(number: int, logprobs: list[float]) -> ScoredLine:
    return ScoredLine(
        number=number,
        encoded=encode_known(TOKENIZER, "a" * len(logprobs), "unk", "the line"),
        logprobs=np.array(logprobs, np.float32),
        boundaries=Boundaries(eos=False),
    )


def blocks():
    lines = [line(number, logprobs) for number, logprobs in enumerate(LOGPROBS, 1)]
    return iter([lines[:3], lines[3:]])


def numbers(**choice) -> list[list[int]]:
    return [[line.number for line in block] for block in choose(blocks(), Choice(**choice))]


def test_thresholds_keep_the_order_and_the_blocks():
    assert numbers() == [[1, 2, 3], [4]]
    assert numbers(max_perplexity=math.exp(2) + 1e-6) == [[1, 2], [4]]
    assert numbers(min_logprob_nats=-3) == [[2], [4]]
    assert numbers(max_perplexity=math.exp(1) + 1e-6, min_logprob_nats=-2) == [[2], []]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"sort": "perplexity"}, [2, 4, 1, 3]),
        ({"sort": "logprob"}, [2, 4, 1, 3]),
        ({"sort": "logprob", "top": 2}, [2, 4]),
        ({"top": 3}, [2, 4, 1]),
        ({"sort": "perplexity", "top": 99}, [2, 4, 1, 3]),
        ({"sort": "perplexity", "min_logprob_nats": -5}, [2, 4, 1]),
    ],
)
def test_the_best_come_first_and_equal_ones_in_their_order(choice, wanted, monkeypatch):
    assert numbers(**choice) == [wanted]
    monkeypatch.setattr(sorted_texts, "CHARS_IN_MEMORY", 1)
    texts = [list(block) for block in choose_texts(blocks(), Choice(**choice), lambda line: str(line.number))]
    assert texts == [list(map(str, wanted))]


def test_texts_without_an_order_come_block_by_block():
    arriving = blocks()
    texts = choose_texts(arriving, Choice(), lambda line: f"{line.number} {line.text}")
    assert list(next(texts)) == ["1 aa", "2 a", "3 aaa"]
    assert [one.number for one in next(arriving)] == [4]  # not read ahead


def test_lines_of_which_nothing_was_scored_come_last_and_pass_no_limit():
    lines = [[line(1, []), line(2, [-9])]]
    assert [[one.number for one in block] for block in choose(lines, Choice(sort="perplexity"))] == [[2, 1]]
    assert [[one.number for one in block] for block in choose(lines, Choice(max_perplexity=1e99))] == [[2]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_perplexity": math.nan}, "max_perplexity is nan"),
        ({"max_perplexity": 0.5}, "max_perplexity is 0.5: it must be a number from 1 to 1e\\+300"),
        ({"min_logprob_nats": 3}, "min_logprob_nats is 3: it must be a number from -1e\\+30 to 0"),
        ({"top": 0}, "top is 0: it must be a whole number from 1 to 9223372036854775807"),
    ],
)
def test_a_value_out_of_range_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        Choice(**wrong)
