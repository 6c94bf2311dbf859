"""The report as records: what they hold, and that they agree with the measures and comparisons."""

from __future__ import annotations

import math

import pytest
from chunks import Chunks

from rnngen.evaluate.comparison import compare
from rnngen.evaluate.measures import MEASURES
from rnngen.evaluate.predictors import measure_text
from rnngen.evaluate.report import model_record, model_records, pair_records
from rnngen.text.corpus import FileText
from rnngen.tokenizers.char import CharTokenizer

CHARS, MORE_CHARS = CharTokenizer(" abc"), CharTokenizer(" abc☃")
TEXT = Chunks("ab c\n\n☃ca\nabba\n")


@pytest.fixture
def measured(uniform_engine):
    return [measure_text(uniform_engine(V), one, TEXT) for V, one in ((8, CHARS), (16, CHARS), (9, MORE_CHARS))]


def test_a_record_has_every_measure_with_and_without_unknown_symbols_and_how_the_text_was_read(measured):
    record = model_record("mine", measured[0])
    for name in MEASURES:
        for known, prefix in ((False, ""), (True, "known_")):
            found = measured[0].estimate(name, known)
            assert record[prefix + name] == found.value
            assert record[f"{prefix}{name}_standard_error"] == found.standard_error
    counts = {"n_tokens": 15, "n_words": 4, "n_chars": 15, "n_bytes": 17, "n_unknown": 1, "n_lines": 4}
    assert {name: record[name] for name in counts} == counts
    words = {"record": "model", "model": "mine", "state": "carry", "on_unknown": "unk"}
    assert {name: record[name] for name in words} == words
    assert record["perplexity"] == pytest.approx(8)


def test_the_records_of_several_files_come_before_that_of_the_text(measured, uniform_engine, tmp_path):
    assert model_records("mine", measured[0]) == [model_record("mine", measured[0])]
    for name, text in (("a", "ab c\n\n"), ("b", "ca")):
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in "ab"]
    records = model_records("mine", measure_text(uniform_engine(8), CHARS, FileText(paths)))
    assert [(one["record"], one["file"], one["n_tokens"]) for one in records] == [
        ("file", paths[0], 6), ("file", paths[1], 2), ("model", None, 8),
    ]  # fmt: skip
    assert len({tuple(one) for one in records}) == 1


def test_every_pair_is_compared_in_order(measured):
    records = pair_records(["x", "y", "z"], measured)
    assert [(one["model_a"], one["model_b"]) for one in records] == [("x", "y"), ("x", "z"), ("y", "z")]
    found = compare(measured[0], measured[1])
    assert records[0]["difference"] == found.difference.value == pytest.approx(math.log(2))
    assert (records[0]["unit"], records[0]["verdict"]) == ("nats per token", "A is better")
    assert records[1]["caveat"] == "the comparison favours A, which has more unknown symbols (1 in A, 0 in B)"


def test_letters_name_the_predictors_in_the_verdicts(measured):
    records = pair_records(["x", "y", "z"], measured, ["A", "B", "C"])
    assert [one["verdict"] for one in records] == ["A is better", "A is better", "C is better"]
    assert "1 in B, 0 in C" in records[2]["caveat"]


def test_one_predictor_has_no_pairs(measured):
    assert pair_records(["x"], measured[:1]) == []
