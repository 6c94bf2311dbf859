"""JSON of strangers in bounded memory and depth."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from rnngen import bounded_json
from rnngen.bounded_json import MOST_DEPTH, parse


def test_what_python_writes_is_read_back():
    value = {"a": [1, -2.5, None, True, '\ud800\n"', {}], "b": 2**127, "": float("inf")}
    assert parse(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "b": {"c": 2, "c": 3}}', "a name twice in one object"),
        ("1" * 5000, "a number too large"),
        (str(2**128), "a number too large"),
        ("[" * 100_000, "too deep"),
        ("[" * (MOST_DEPTH + 2) + "]" * (MOST_DEPTH + 2), "too deep"),
        ("[1,", "Expecting value"),
    ],
)
def test_what_could_do_harm_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse(text)


def test_a_value_of_the_largest_depth_is_read():
    assert parse("[" * MOST_DEPTH + "]" * MOST_DEPTH)


def test_too_many_values_are_refused_before_they_take_memory():
    text = "[" + "{}," * (bounded_json.MOST_VALUES // 2 + 1) + "0]"
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 4,194,304 values"):
        parse(text)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * len(text)


def test_signs_within_strings_are_no_values():
    text = json.dumps([",[{" * (bounded_json.MOST_VALUES // 2), '\\"'])
    assert parse(text)[1] == '\\"'


def test_a_long_string_without_an_end_is_refused_at_once():
    with pytest.raises(ValueError, match="Unterminated string"):
        parse('"' + '\\"' * (bounded_json.MOST_VALUES // 2 + 1))
