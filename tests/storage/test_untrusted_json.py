"""Untrusted JSON, in bounded memory and depth."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from rnngen.storage import untrusted_json
from rnngen.storage.untrusted_json import MOST_DEPTH, MOST_VALUES, Budget, parse


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


@pytest.mark.parametrize(
    "part", ["{},", "[[]],", '{"a":{}},', '{"a":1},', '{"a":[0,""]},', "1.5,"], ids=lambda part: part
)
def test_too_many_values_are_refused_before_they_take_memory(part):
    text = "[" + part * (MOST_VALUES * 4 // len(part) + 1) + "0]"
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 4,194,304 values"):
        parse(text)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * len(text)


@pytest.mark.parametrize("part", ["[[]]", '{"a":{}}', '{"a":' * 50 + "0" + "}" * 50])
def test_as_many_values_as_may_be_take_little_memory(part):
    cost = 1 + part.count(",") + 4 * part.count(":") + 8 * (part.count("[") + part.count("{"))
    text = "[" + ",".join([part] * ((MOST_VALUES - 8) // cost)) + "]"
    tracemalloc.start()
    parse(text)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 250 << 20


def test_names_that_all_differ_take_little_memory():
    text = json.dumps({str(n): n for n in range(MOST_VALUES // 5 - 10)})
    tracemalloc.start()
    assert len(parse(text)) == MOST_VALUES // 5 - 10
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 250 << 20


def test_two_million_words_are_read_whatever_signs_they_have():
    words = [f'{n}",[{{:' for n in range(2_000_000)]
    assert parse(json.dumps(words)) == words


def test_all_texts_of_a_file_share_one_budget():
    text, budget = json.dumps([0] * (MOST_VALUES // 3)), Budget()
    for _ in range(2):
        parse(text, budget)
    with pytest.raises(ValueError, match="more than 4,194,304 values"):
        parse(json.dumps([[0] * (MOST_VALUES // 3)]), budget)


def test_signs_within_strings_are_no_values():
    text = json.dumps([",[{" * (untrusted_json.MOST_VALUES // 2), '\\"'])
    assert parse(text)[1] == '\\"'


def test_a_long_string_without_an_end_is_refused_at_once():
    with pytest.raises(ValueError, match="Unterminated string"):
        parse('"' + '\\"' * (untrusted_json.MOST_VALUES // 2 + 1))
